"""Lab 4: what does the student learn from? Measured before, or here and now."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.distillation import roles
from kd_core.distillation.comparison import Verdict
from kd_core.distillation.events import TrainingStarted
from kd_core.errors import KDError, RunError
from kd_core.figures.lab_runs import setting_name
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.learn.lab_results import (
    LabReport,
    cells_of,
    compared,
    soft_over_hard,
    start_over_random,
    transfer_table,
)
from kd_core.learn.recorded import recorded_lab
from kd_core.system import formatting
from pages.learn.labs.controls import Controls, question
from pages.learn.labs.own import ask_seeds, ask_settings, ask_source, finished_runs, measure
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.live_job import job_view
from pages.shared.state import store
from pages.shared.text import escape, prose, term

PAGE = "transfer"
SIZES = (0, 500, 2_000, 8_000)
START = "What its weights begin with"
LABELS, TRANSFER = "The teacher's answers to the labelled texts", "The teacher's answers to further texts"


def transfer_lab() -> None:
    controls = Controls(PAGE, "source", "settings", "sizes", "seeds", "start")
    if not _asked(controls):
        return
    result = controls.open()
    try:
        job = ask_source(controls, "transfer")
        with result:
            if job and job.status != "done":
                job_view(job, f"{PAGE}.job")
            again(_result, job, every=2 if job and job.status in PENDING else None)
            if controls.may_start:
                with st.expander("Measure it on this machine", icon=":material/play_arrow:"):
                    _measure()
    except KDError as error:
        st.error(escape(error), icon=":material/error:")


def _measure() -> None:
    """Start one of your own."""
    controls = Controls(PAGE, "source", "settings", "sizes", "seeds", "start", part="measure")
    controls.open()
    runs = finished_runs()
    covered = "Task, teacher, student, objective and steps; what is in the cache is used again"
    run = ask_settings(controls, runs, covered)
    sizes = controls.add(
        "sizes",
        "pills",
        "Transfer texts",
        SIZES,
        default=SIZES,
        selection_mode="multi",
        format_func="{:,}".format,
        help=term("transfer set"),
    )
    seeds = ask_seeds(controls)
    students = len(seeds) * (2 + len(sizes) + any(sizes))  # alone twice, distilled, on hard answers
    each = _seconds_each(run or next(iter(runs.values()), None))
    takes = f", {formatting.duration(students * each)} by {'that' if run else 'the last'} run" if each else ""
    controls.note(
        f"{students} students, one after the other{takes}. You can leave the page, stop and go on later: "
        "what is measured stays."
    )
    controls.button(
        "start",
        "Measure",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not (sizes and seeds),
        on_click=measure,
        args=(run, seeds, controls.key("source")),
        kwargs={"transfer": tuple(sorted(sizes))},
    )


def _seconds_each(run: RunRow | None) -> float | None:
    """How long a student that was trained in that run took."""
    if run is None:
        return None
    try:
        report = store().report(run.id)
    except RunError:
        return None
    events = [entry.event for entry in store().events(run.id)]
    ready = {(e.who, e.seed) for e in events if isinstance(e, TrainingStarted) and e.cached}
    models = ((who, report.models[who]) for who in report.models if who in roles.STUDENTS)
    trained = [(who, seed) for who, model in models for seed in model.seeds if (who, seed) not in ready]
    return report.seconds["distil"] / len(trained) if trained else None


def _asked(controls: Controls) -> bool:
    report = recorded_lab("transfer")
    most = max(cell["transfer"] for cell in report["cells"])
    alone, labelled, further = (
        cells_of(report, **wanted)
        for wanted in (
            {"who": "alone"},
            {"who": "student", "transfer": 0},
            {"who": "student", "transfer": most},
        )
    )
    gains = {
        START: start_over_random(report),
        LABELS: compared(report, labelled, alone),
        TRANSFER: compared(report, further, labelled),
    }
    start, one, other = map(_gain, gains.values())
    return question(
        controls,
        "Three things of a student come from its teacher: what its weights begin with, the teacher's answers "
        f"to the labelled texts, and its answers to {most:,} texts without labels. Which brings most?",
        tuple(gains),
        max((gain.delta, name) for name, gain in gains.items() if gain)[1],
        f"Over random weights the start brings {start}. The answers to the labelled texts add {one}, those "
        f"to {most:,} further texts another {other}, in the recorded measurement.",
    )


def _gain(gain: Verdict | None) -> str:
    return f"{formatting.points(gain.delta)} ({formatting.interval(gain.low, gain.high)})" if gain else ""


def _result(job: RunRow | None) -> None:
    """The picture, its words and its table; of a job under way, as far as it has come."""
    report = _report(job)
    if not report or not report["cells"]:
        st.info("The first result appears here when its student is trained.", icon=":material/hourglass_top:")
        return
    curve, teacher = _curve(report), report["teacher"]["accuracy"]
    description = ", ".join(
        f"{setting_name(row['who'], row['transfer'])} {formatting.percent(row['accuracy'])}"
        for row in curve.to_dict("records")
    )
    chart(
        figures.transfer_curve(curve, teacher, dark=is_dark()),
        key=f"{PAGE}.curve",
        alt=f"{description}; teacher {formatting.percent(teacher)}",
    )
    st.caption(
        f"Bars: 95 % interval by {report['test_texts']:,} test texts, as if these seeds were all. Dashes: "
        "single seeds."
    )
    st.header("What you see", anchor=False)
    prose(_words(curve, teacher, soft_over_hard(report), start_over_random(report)))
    _table(curve)
    _conditions(report)


def _report(job: RunRow | None) -> LabReport | None:
    if job is None:
        return recorded_lab("transfer")
    try:
        report: LabReport = store().report_json(job.id)
        return report
    except RunError:  # nothing is measured yet
        return None


@st.cache_data(max_entries=16, show_spinner=False)
def _curve(report: LabReport) -> pd.DataFrame:
    return transfer_table(report)


def _words(curve: pd.DataFrame, teacher: float, soft: Verdict | None, start: Verdict | None) -> str:
    rows = curve.dropna(subset="delta").to_dict("records")
    if not rows:
        return "The student alone and a distilled one are needed for a comparison; the next is being trained."
    lines = []
    for row in rows:
        learned_from = (
            "on the labelled texts only"
            if not row["transfer"]
            else f"with {row['transfer']:,} transfer texts"
        )
        if row["who"] == "hard_answers":
            learned_from += " and the teacher's first choices as if they were labels"
        span = formatting.interval(row["delta_low"], row["delta_high"])
        gain = f"**{formatting.points(row['delta'])}** ({span})"
        effect = {
            "helped": "distillation helped",
            "hurt": "distillation hurt",
            "no_difference": "no difference that these texts can show",
        }[row["kind"]]
        lines.append(f"- Distilled {learned_from}: {gain} over the student alone, {effect}.")
    last = rows[-1]
    return (
        "Every student has the same size, the same first weights and the same number of steps. A step with "
        "transfer texts has twice the rows, so those students also see more texts. Points of accuracy, with "
        "their 95 % interval over texts and seeds:\n\n"
        + "\n".join(lines)
        + _of_start(start)
        + _of_soft_labels(soft)
        + f"\n\nWith {last['transfer']:,} transfer texts the student has "
        f"{formatting.percent(last['accuracy'])}, its teacher {formatting.percent(teacher)}. "
        "A label says which class is right; the teacher's answer says how near the others are, and it can be "
        "had for texts that nobody has labelled (Turc et al. 2019, arXiv 1908.08962). Tang et al. 2019 "
        "(arXiv 1903.12136) had no such texts and made some by rules."
    )


def _of_start(start: Verdict | None) -> str:
    """How much of a student is there before it has learned anything."""
    if start is None:
        return ""
    return (
        "\n\nAnd the start? All of these begin with something of the teacher's weights, the student alone "
        f"too. Over the same student from random weights that brings it **{formatting.points(start.delta)}** "
        f"({formatting.interval(start.low, start.high)})."
    )


def _of_soft_labels(soft: Verdict | None) -> str:
    """Whether it is the answers, or only more texts."""
    if soft is None:
        return ""
    gain = f"**{formatting.points(soft.delta)}** ({formatting.interval(soft.low, soft.high)})"
    meaning = {
        "helped": "the other probabilities help, too",
        "hurt": "the first choices alone do better",
        "no_difference": "the gain may come from more texts alone, as far as these texts can tell",
    }[soft.kind]
    return (
        f"\n\nSoft labels, or only more texts? On the same texts, all of the teacher's probabilities "
        f"make {gain} of difference to its first choices: {meaning}."
    )


def _table(curve: pd.DataFrame) -> None:
    rows = curve.to_dict("records")
    table = pd.DataFrame(
        {
            "Learns from": [setting_name(row["who"], row["transfer"]) for row in rows],
            "Accuracy": [formatting.with_interval(row["accuracy"], row["low"], row["high"]) for row in rows],
            "Seeds": [", ".join(formatting.percent(value) for value in row["accuracies"]) for row in rows],
            "Over alone": ["" if pd.isna(row["delta"]) else formatting.points(row["delta"]) for row in rows],
            "95 % interval": [
                "" if pd.isna(row["delta"]) else formatting.interval(row["delta_low"], row["delta_high"])
                for row in rows
            ],
        }
    )
    st.dataframe(table, hide_index=True, key=f"{PAGE}.table", alt="Accuracy by what the student learns from")


def _elsewhere(report: LabReport) -> str:
    """Students that another machine has trained."""
    places: dict[str, set[str]] = {}
    for cell in report["cells"]:
        if "machine" in cell:
            name = setting_name(cell["who"], cell["transfer"])
            places.setdefault(str(cell["machine"]["processor"]), set()).add(name)
    return "".join(f"; on {escape(where)}: {', '.join(sorted(names))}" for where, names in places.items())


def _conditions(report: LabReport) -> None:
    config, machine = report["config"], report["machine"]
    objective, student, training = config["objective"], config["student"], config["training"]
    own = roles.FROM_TEACHER.get(student["init"])
    start = f", which starts from the fine-tuned teacher's {own}" if own else ""
    st.caption(
        f"{escape(config['task']['name'])}; student {escape(student['model'])}, {student['layers']} layers "
        f"of {student['hidden']}{start}; {training['steps']:,} steps, T = {objective['temperature']:g}, "
        f"alpha = {objective['alpha']:g}. A step has {training['batch_size']} labelled texts and, where "
        f"there are any, {training['transfer_batch_size']} transfer texts. Every student, the one alone "
        "included, has "
        f"the same vocabulary, which covers the whole transfer set. {escape(machine['processor'])}, "
        f"{machine['cores']} cores, PyTorch {escape(machine['torch'])}{_elsewhere(report)}. The recorded "
        "numbers are made by the same code, assets/record.py."
    )
