"""JSON objects as rows: one in each line, an array of them, or one object that holds them all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

from kd_core.data.table import Table, limit_columns, make_table, unique_names
from kd_core.errors import DataError


def _constant(name: str) -> str | None:
    """``NaN`` without quotes is how pandas writes that there is no value."""
    return None if name == "NaN" else name


# Numbers stay as they are written: 1.0 is not 1.
DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_constant)


def read_json(text: str, name: str) -> Table:
    held = _held(text)
    unit = "row" if held or text.lstrip().startswith("[") else "line"
    objects: dict[int, dict[str, Any]] = {}
    keys: dict[str, None] = {}
    for place, value in enumerate(held, start=1) if held else _json_values(text, name, unit):
        if not isinstance(value, dict):
            raise DataError(
                f'{name}: {unit} {place:,} is no JSON object such as {{"text": ..., "label": ...}}.'
            )
        objects[place] = value
        keys |= dict.fromkeys(value)
        limit_columns(len(keys), 1, name)
    if unit == "line" and len(objects) == 1 and keys and _holds_rows(value):
        listed = ", ".join(map(repr, [*map(_cell, keys)][:5]))
        raise DataError(
            f"{name} is one JSON object that holds all rows ({listed}). "
            'Give an array of objects, [{"text": ..., "label": ...}, ...], or one object in each line; '
            'pandas writes them with to_json(orient="records").'
        )
    if objects and not keys:
        raise DataError(f'{name} has nothing but empty objects. Give such as {{"text": ..., "label": ...}}.')
    limit_columns(len(keys), len(objects), name)
    names = unique_names(list(map(_cell, keys)), name)
    nested = {
        key for value in objects.values() for key, cell in value.items() if isinstance(cell, dict | list)
    }
    hidden = tuple(column for column, key in zip(names, keys, strict=True) if key in nested)
    rows = [[_cell(value.get(key)) for key in keys] for value in objects.values()]
    return make_table(name, names, rows, list(objects), unit, nested=hidden)


def _json_values(text: str, name: str, unit: str) -> Iterator[tuple[int, Any]]:
    """The values with their line, or their place in the array that they are in."""
    line = 1
    try:
        if unit == "row":
            yield from enumerate(DECODER.decode(text), start=1)
        else:
            # Not splitlines: a text may hold other line separators.
            for line, content in enumerate(text.split("\n"), start=1):
                if content.strip():
                    yield line, DECODER.decode(content)
    except json.JSONDecodeError as error:
        if _is_one_object(text):
            raise DataError(
                f"{name} is one JSON object over several lines. Give an array of objects, "
                '[{"text": ..., "label": ...}, ...], or one object in each line.'
            ) from error
        raise DataError(
            f"{name}: line {line + error.lineno - 1:,} is not valid JSON "
            f"({error.msg}, column {error.colno:,})."
        ) from error
    except RecursionError as error:
        raise DataError(f"{name}: {unit} {line:,} is nested too deeply.") from error


def _held(text: str) -> list[Any]:
    """The rows of a file that is one object; [] where it is none, or where it does not say which they are.

    They are its only list of objects, its lists or objects as columns (``to_json`` and ``to_dict`` of pandas
    write these), or its objects as rows, each with a name.
    """
    with suppress(ValueError, RecursionError):
        start = len(text) - len(text.lstrip())
        value, end = DECODER.raw_decode(text, start)
        if not isinstance(value, dict) or text[end:].strip():
            return []
        cells = list(value.values())
        lists = [cell for cell in cells if isinstance(cell, list)]
        rows = [each for each in lists if each and all(isinstance(row, dict) for row in each)]
        if len(rows) == 1:
            return rows[0]
        nested = any(isinstance(each, dict | list) for each in chain.from_iterable(lists))
        if len(lists) == len(cells) and not nested:
            return [dict(zip(value, row, strict=True)) for row in zip(*cells, strict=True)]
        if all(isinstance(cell, dict) for cell in cells):
            names = dict.fromkeys(chain.from_iterable(cells))
            if len(cells) > len(names):
                return cells
            return [{column: cell.get(name) for column, cell in value.items()} for name in names]
    return []


def _holds_rows(value: dict[str, Any]) -> bool:
    """A list of objects, or all columns, as pandas writes them unless it is told otherwise."""
    lists = [cell for cell in value.values() if isinstance(cell, list) and cell]
    return any(all(isinstance(row, dict) for row in rows) for rows in lists) or all(
        isinstance(cell, dict | list) for cell in value.values()
    )


def _is_one_object(text: str) -> bool:
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(text), dict)
    return False


def _cell(value: Any) -> str:
    if value is None or isinstance(value, dict | list):
        value = ""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    # Half of a surrogate pair, which JSON can hold and Arrow cannot.
    return text.encode("utf-8", "replace").decode("utf-8")
