"""``kd predict``: the models of a run on new texts."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from kd_core.cli.output import as_json, console, from_left, print_json, stray_prints_to_stderr, table
from kd_core.cli.progress import Narrator
from kd_core.cli.runs import find_finished
from kd_core.distillation.events import ignore
from kd_core.distillation.roles import NAMES
from kd_core.errors import DataError
from kd_core.system.formatting import percent

MANY = 100  # texts, from which on it is said how far it is
LONGEST = 500  # characters of a text that are shown of it


@click.command()
@click.argument("run")
@click.argument("text", nargs=-1)
@click.option(
    "--calibrated",
    is_flag=True,
    help="Divide each model's logits by a temperature fitted on the validation texts: no answer changes.",
)
@as_json
def predict(run: str, text: tuple[str, ...], calibrated: bool, as_json: bool) -> None:
    """Classify TEXT with the models of RUN; without TEXT, each line of the standard input that is not blank.

    Before a TEXT that begins with a dash write --.
    """
    from kd_core.deployment import predict

    named = {f"text {number:,}": given for number, given in enumerate(text, start=1)} or _lines_of_stdin()
    for name, given in named.items():
        predict.checked(given, name)
    texts = list(named.values())
    run_id = find_finished(run)
    with stray_prints_to_stderr(), Narrator(console(sys.stderr)) as watch:
        tell = watch if len(texts) >= MANY else ignore
        result = predict.predict_texts(run_id, texts, calibrated=calibrated, on_event=tell)
    if as_json:
        return print_json(result)
    out = console(sys.stdout)
    for answers in result["predictions"]:
        text = answers["text"]
        shown = text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text):,} characters)"
        out.print(shown, style="bold", soft_wrap=True)
        if len(text) > predict.MAX_CHARACTERS:
            out.print(f"The first {predict.MAX_CHARACTERS:,} of its characters are read.", soft_wrap=True)
        rows = [(NAMES[who], *_likeliest(answers[who])) for who in NAMES if answers.get(who)]
        out.print(table(("", "Answer", "Probability", "Next"), rows, numbers=(2,)))
        doubts: dict[str, list[str]] = {}
        for who, reading in answers["reading"].items():
            for doubt in predict.Reading(**reading).doubts:
                doubts.setdefault(doubt, []).append(NAMES[who])
        for doubt, whose in doubts.items():
            out.print(f"{', '.join(whose)}: {doubt}", soft_wrap=True)
    if result["students"]:
        out.print(result["students"], soft_wrap=True)
    return None


def _likeliest(probabilities: Mapping[str, float]) -> tuple[str, str, str]:
    """The answer, its probability, and the second choice with its own."""
    first, second = sorted(probabilities.items(), key=lambda item: -item[1])[:2]
    return first[0], percent(first[1]), f"{from_left(second[0])} {percent(second[1])}"


def _lines_of_stdin() -> dict[str, str]:
    """By the name of the line."""
    if sys.stdin.isatty():
        raise click.UsageError('No text: write it after the run, kd predict RUN "text", or pipe lines.')
    from kd_core.data.decode import MAX_BYTES, limit_bytes

    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    limit_bytes(len(data), "The standard input")
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"The standard input is not UTF-8 (byte {error.start}); convert it, for example with iconv."
        ) from error
    lines = enumerate(content.split("\n"), start=1)
    texts = {f"line {number:,}": line.strip() for number, line in lines if line.strip()}
    if not texts:
        raise DataError("The standard input has no text; write one on each line.")
    return texts
