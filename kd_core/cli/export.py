"""``kd export``: a run's student to take away, and what each form of it costs and buys."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from kd_core.cli.carry_out import start
from kd_core.cli.output import as_json, console, print_json, table
from kd_core.cli.runs import find_finished
from kd_core.deployment.reports import FormReport, by_metric
from kd_core.deployment.runtimes import form_name
from kd_core.system import paths
from kd_core.system.formatting import capitalised, megabytes, what_is_timed, with_interval


@click.command()
@click.argument("run")
@click.option("--to", metavar="DIR", required=True, help="New folder, or new file that ends in .zip.")
@click.option("--onnx", is_flag=True, help="Convert the student to ONNX.")
@click.option("--int8", is_flag=True, help="Quantise its ONNX form to 8 bits too; implies --onnx.")
@click.option(
    "--calibrate",
    is_flag=True,
    help="Divide its logits by the temperature that makes its probabilities fit the validation texts best.",
)
@click.option(
    "--agree",
    type=float,
    metavar="PERCENT",
    help="Bring the teacher and a cascade that agrees with it so often (kd cascade).",
)
@as_json
def export(
    run: str, to: str, onnx: bool, int8: bool, calibrate: bool, agree: float | None, as_json: bool
) -> None:
    """Measure the forms of RUN's distilled student, and write it with all that its users need."""
    run_id = find_finished(run)
    from kd_core.deployment.cascade import check_agree
    from kd_core.deployment.export import ExportConfig, check
    from kd_core.deployment.staircase import comparisons, doubt
    from kd_core.distillation.report import Report
    from kd_core.distillation.run_folder import find
    from kd_core.jobs.store import Store

    target = str(paths.expanded(to).absolute())
    if agree is not None:
        check_agree(agree)
    onnx = onnx or int8  # which is made of it
    config = ExportConfig(run=run_id, to=target, onnx=onnx, int8=int8, calibrate=calibrate, agree=agree)
    check(config)
    report = start(Store(), config, kind="export", name=Path(target).name)
    if as_json:
        return print_json(report)
    out = console(sys.stdout)
    judged = Report.read(find(run_id))
    whose = f", {judged.first_seed}" if judged.first_seed else ""
    out.print(
        f"\nOn {report['texts']:,} test texts{whose}. Latency p50 and p95 in ms: "
        f"{what_is_timed(1, 1, tokenizer=True)}, one at a time.",
        soft_wrap=True,
    )
    forms, measures = by_metric(report["forms"], judged.measures)
    teacher = forms[0]
    whom = "teacher" if teacher["who"] == "teacher" else "first"
    headings = ("", capitalised(measures), "Size", "p50", "p95", f"Against the {whom}")
    rows = [_row(form, teacher) for form in forms]
    out.print(table(headings, rows, numbers=(1, 2, 3, 4)))
    out.print()
    for line in comparisons(forms):
        out.print(line, soft_wrap=True)
    if beside := doubt(report["forms"]):
        out.print(beside, soft_wrap=True)
    if temperature := report.get("temperature"):
        out.print(f"The models there divide their logits by {temperature:.2f}: no answer changes.")
    if pair := report.get("cascade"):
        out.print(pair, soft_wrap=True)
    out.print(f"\nIn {report['to']}", soft_wrap=True)
    return None


def _row(form: FormReport, teacher: FormReport) -> tuple[str, ...]:
    from kd_core.deployment.staircase import gains

    latency = form["latency_ms"]
    return (
        form_name(form["who"], form["runtime"]),
        with_interval(form["accuracy"], form["low"], form["high"]),
        megabytes(form["size_mb"]),
        f"{latency['p50']:.2f}",
        f"{latency['p95']:.2f}",
        "" if form is teacher else ", ".join(gains(form, teacher)),
    )
