"""``kd cascade``: a student that passes on what it is unsure of."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from kd_core.cli.output import as_json, console, print_json, stray_prints_to_stderr, table
from kd_core.cli.progress import Narrator
from kd_core.cli.runs import find_finished
from kd_core.deployment.cascade_defaults import AGREE, CORE_HOUR
from kd_core.errors import ConfigError


@click.command()
@click.argument("run")
@click.option(
    "--agree", type=float, default=AGREE, show_default=True, metavar="PERCENT", help="Of all texts."
)
@click.option(
    "--method",
    type=click.Choice(["clopper_pearson", "conformal"]),
    default="clopper_pearson",
    show_default=True,
    help="A promise with 95 % confidence, or one that holds on average.",
)
@click.option(
    "--right", is_flag=True, help="Promise that the pair is right by the gold labels, not that it agrees."
)
@click.option("--int8", is_flag=True, help="The student in ONNX int8; measured at the first call.")
@click.option(
    "--core-hour",
    type=float,
    default=CORE_HOUR,
    show_default=True,
    metavar="PRICE",
    help="Of a core for an hour.",
)
@click.option(
    "--answers",
    type=float,
    metavar="PRICE",
    help="Of 1,000 answers of a teacher that is asked elsewhere, say a large language model.",
)
@click.option("--script", is_flag=True, help="Print a program that uses both models, instead of the table.")
@as_json
def cascade(
    run: str,
    agree: float,
    method: str,
    right: bool,
    int8: bool,
    core_hour: float,
    answers: float | None,
    script: bool,
    as_json: bool,
) -> None:
    """When RUN's student should pass a text on, so that the pair agrees with the teacher in PERCENT of cases.

    The threshold is found on the validation texts, and the promise is checked on the test texts.
    """
    run_id = find_finished(run)
    from kd_core.deployment import cascade as engine
    from kd_core.deployment import cascade_script, int8_answers
    from kd_core.deployment.network_code import with_code
    from kd_core.deployment.runtimes import Runtime
    from kd_core.deployment.times import timed
    from kd_core.distillation.report import Report
    from kd_core.distillation.run_folder import PREDICTIONS, find
    from kd_core.jobs.store import Store
    from kd_core.system.formatting import percent

    for flag, price in (("--core-hour", core_hour), ("--answers", answers)):
        if price is not None and not 0 <= price < float("inf"):
            raise ConfigError(f"{flag} must be a price of 0 or more, got {price:g}")
    if script and int8:
        raise ConfigError("--script loads the student in PyTorch, for which --int8 finds no threshold")
    folder = find(run_id)
    report = Report.read(folder)
    if int8:
        with stray_prints_to_stderr(), Narrator(console(sys.stderr)) as watch:
            int8_answers.measure(run_id, watch)
    judge: engine.Judge = "gold" if right else "teacher"
    runtime: Runtime = "int8" if int8 else "pytorch"
    times = timed(Store(), run_id)[1].latencies
    found = engine.cascade(run_id, agree / 100, method, judge, runtime, times=times)  # type: ignore[arg-type]
    costs = found.costs(core_hour, answers)
    if as_json:
        more = {"held": found.held, "sentence": found.sentence, "latency_ms": found.latency_ms}
        more |= dict(zip(("cost_of_a_million", "teacher_alone"), costs or (None, None), strict=True))
        return print_json(asdict(found) | more)
    out = console(sys.stdout)
    if script:
        teacher = None if report.teacher_is_file else "TEACHER"
        code = with_code(report.config)
        click.echo(cascade_script.script(found, "model", teacher, code=code), nl=False)
        folders = "model" if teacher is None else "model and TEACHER"
        way = f"kd export {run_id} --to DIR --agree {agree:g} writes all of it"
        console(sys.stderr).print(f"It reads {folders} beside itself; {way}.", soft_wrap=True)
        return None
    test = engine.recorded(folder, report, PREDICTIONS, "student", judge, runtime)
    rows = engine.risk_coverage(test, [0.25, 0.5, 0.75, 0.9, 1.0])
    cells = [
        (percent(coverage, 0), percent(risk), f"{percent(low)} to {percent(high)}")
        for coverage, risk, low, high in rows.itertuples(index=False)
    ]
    how = "it is wrong" if right else "it differs from the teacher"
    whose = f"the student {report.first_seed}," if report.first_seed else "the student"
    out.print(f"\nTest texts of which {whose} is surest, and on how many of them {how}.")
    out.print(table(("Answered", "Wrong" if right else "Differs", "95 % interval"), cells, range(3)))
    out.print(f"\n{found.sentence}", soft_wrap=True)
    if found.doubt:
        out.print(found.doubt, soft_wrap=True)
    if costs:
        at = f"at {core_hour:g} for a core-hour" if answers is None else f"at {answers:g} for 1,000 answers"
        dearer = " So the pair is dearer than its teacher alone." if costs[0] > costs[1] else ""
        out.print(
            f"A million texts cost {costs[0]:,.2f}, by the teacher alone {costs[1]:,.2f}, {at}.{dearer}"
        )
    elif report.teacher_is_file:
        out.print(
            "The teacher is a file: how long it takes to answer is not known. What it charges counts with "
            "--answers PRICE, of 1,000 answers.",
            soft_wrap=True,
        )
    return None
