"""Reading a large file in a process of its own, which may take so much memory and no more.

What a file makes of a reader is not known before it was read; so whoever serves pages does not read it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa

from kd_core.data.decode import read_bytes
from kd_core.data.read import read_table
from kd_core.data.table import Table
from kd_core.errors import DataError
from kd_core.system.atomic import write_text
from kd_core.system.container import available_memory
from kd_core.system.process import python

FROM_BYTES = 5 * 10**6
MOST_MEMORY = 3 * 10**9  # for one file; a table of MAX_CELLS short cells takes 2.5 GB while it is made
LOOK_EVERY = 0.05  # seconds between looks at the memory, where the system has no limit of its own
LONGEST = 300.0
DATA, ASKED, ROWS, REST = "data", "asked.json", "rows.arrow", "rest.json"


def read_file(source: Path | bytes, name: str, **options: Any) -> Table:
    """``read_table``, in another process where the file is large.

    Raises: DataError, also where that takes too much memory or time.
    """
    data = read_bytes(source, name)
    if len(data) < FROM_BYTES:
        return read_table(data, name, **options)
    limit = int(min(MOST_MEMORY, 0.8 * available_memory()))
    asked = {"name": name, "limit": limit, "options": options | {"columns": [*options.get("columns", ())]}}
    with scratch(name) as place:
        (place / DATA).write_bytes(data)
        (place / ASKED).write_text(json.dumps(asked), encoding="utf-8")
        command = python("kd_core.data.apart", str(place))
        none = subprocess.DEVNULL
        _watch(subprocess.Popen(command, stdin=none, stdout=none, stderr=none), limit)
        try:
            rest = json.loads((place / REST).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # it was ended, or a library without memory ended it
            raise _too_large(name, limit) from None
        if "error" in rest:
            raise DataError(rest["error"], settings=rest["settings"])
        with pa.OSFile(str(place / ROWS)) as rows:
            frame = pa.ipc.open_file(rows).read_all().to_pandas()
    more: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in rest.items()
    }
    return Table(frame=frame, **more)


def _watch(process: subprocess.Popen[bytes], limit: int) -> None:
    """Until it ends; it is ended where it takes more than ``limit`` bytes, or too long."""
    deadline = time.monotonic() + LONGEST
    try:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            if watched.memory_info().rss > limit or time.monotonic() > deadline:
                process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
    except psutil.Error:  # it has just ended
        process.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _too_large(name: str, limit: int) -> DataError:
    return DataError(
        f"{name} needs more than {limit / 1e6:,.0f} MB of memory, or {LONGEST / 60:.0f} minutes, to be read. "
        "Give a sample of its rows."
    )


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder to read the file ``name`` in, gone after the block. Raises: DataError where it has no room."""
    try:
        with tempfile.TemporaryDirectory(prefix="kd-read-") as folder:
            yield Path(folder)
    except OSError as error:
        raise _no_room(name, tempfile.tempdir or "any folder for temporary files", error) from error


def _no_room(name: str, place: Path | str, error: OSError) -> DataError:
    return DataError(
        f"{name} cannot be read, since nothing can be written to {place}: {error.strerror or error}. "
        "Free some space there, or choose another folder with TMPDIR."
    )


def _limit_memory(limit: int) -> None:
    """Of this process, over what it has already; only Linux holds a process to that.

    It is for what asks for very much at once: where small pieces come to the limit, Python 3.11 may try for
    ever to unwind from the error (it has no room for a number). Those the watch sees in time.
    """
    if sys.platform == "linux":
        import resource

        most = psutil.Process().memory_info().vms + limit + limit // 4
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _main(place: Path) -> None:
    asked = json.loads((place / ASKED).read_text(encoding="utf-8"))
    _limit_memory(asked["limit"])
    try:
        table = read_table((place / DATA).read_bytes(), asked["name"], **asked["options"])
        rows = pa.Table.from_pandas(table.frame, preserve_index=True)
        with pa.OSFile(str(place / ROWS), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            writer.write_table(rows)
        rest = {key: value for key, value in vars(table).items() if key != "frame"}
    except DataError as error:
        rest = {"error": str(error), "settings": error.settings}
    except (MemoryError, pa.ArrowMemoryError):
        rest = {"error": str(_too_large(asked["name"], asked["limit"])), "settings": ()}
    except OSError as error:
        (place / DATA).unlink()  # there is room now to say so
        rest = {"error": str(_no_room(asked["name"], place.parent, error)), "settings": ()}
    write_text(place / REST, json.dumps(rest))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
