"""``kd cascade``: a student that passes on what it is unsure of."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from kd_core.cli.output import as_json, console, print_json, table
from kd_core.cli.runs import find_run


@click.command()
@click.argument("run")
@click.option("--agree", type=float, default=97.0, show_default=True, metavar="PERCENT", help="Of all texts.")
@click.option(
    "--method",
    type=click.Choice(["clopper_pearson", "conformal"]),
    default="clopper_pearson",
    show_default=True,
    help="A promise with 95 % confidence, or one that holds on average.",
)
@click.option("--script", is_flag=True, help="Print a program that uses both models, instead of the table.")
@as_json
def cascade(run: str, agree: float, method: str, script: bool, as_json: bool) -> None:
    """When RUN's student should pass a text on, so that the pair agrees with the teacher in PERCENT of cases.

    The threshold is found on the validation texts, and the promise is checked on the test texts.
    """
    run_id = find_run(run)
    from kd_core.deployment import cascade as engine
    from kd_core.distillation.report import Report
    from kd_core.distillation.run_folder import PREDICTIONS, find
    from kd_core.system.formatting import percent

    found = engine.cascade(run_id, agree / 100, method)  # type: ignore[arg-type]
    if as_json:
        return print_json(asdict(found) | {"held": found.held, "sentence": found.sentence})
    out = console(sys.stdout)
    if script:
        click.echo(engine.script(found, "model", "TEACHER"), nl=False)
        return None
    folder = find(run_id)
    answers = engine.recorded(folder, Report.read(folder), PREDICTIONS)
    rows = engine.risk_coverage(answers, [0.25, 0.5, 0.75, 0.9, 1.0])
    cells = [
        (percent(coverage, 0), percent(risk), f"{percent(low)} to {percent(high)}")
        for coverage, risk, low, high in rows.itertuples(index=False)
    ]
    out.print(
        "\nTest texts of which the student is surest, and on how many of them it differs from the teacher."
    )
    out.print(table(("Answered", "Differs", "95 % interval"), cells, range(3)))
    out.print(f"\n{found.sentence}", soft_wrap=True)
    return None
