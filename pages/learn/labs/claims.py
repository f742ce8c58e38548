"""Lab 8: what papers say, tested here. A guess first; then the picture, the verdict and its command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from kd_core import figures
from kd_core.data.bbc import LABELS
from kd_core.errors import KDError, RunError
from kd_core.figures.claims import LOOKS
from kd_core.jobs.states import PENDING
from kd_core.jobs.store import RunRow
from kd_core.learn.claims import (
    EPOCHS,
    OUTCOMES,
    TEMPERATURES,
    ClaimName,
    Findings,
    claims,
    findings,
    inherited,
    right_option,
    unseen_table,
)
from kd_core.learn.lab_results import LabReport, cells_of
from kd_core.learn.recorded import is_recorded, recorded_lab
from kd_core.system import formatting
from pages.learn.labs.controls import Controls, question
from pages.learn.labs.own import ask_seeds, ask_settings, ask_source, finished_runs, measure
from pages.shared.badges import VERDICTS
from pages.shared.beside import again
from pages.shared.charts import chart, is_dark
from pages.shared.live_job import job_view
from pages.shared.state import store
from pages.shared.text import escape, prose
from pages.shared.visitors import in_classroom

PAGE = "claims"
CONTROLS = ("claim", "source", "settings", "seeds", "start")
MOST_CLASSES = 8  # that are left out in turn; each costs four students a seed


def claims_lab() -> None:
    names = [name for name in claims() if is_recorded(name) or not in_classroom()]
    if not names:
        st.info(
            "The students of these claims do not come with KD Studio, and a classroom measures nothing. "
            "On your own machine this lab does.",
            icon=":material/hourglass_top:",
        )
        return
    controls = Controls(PAGE, *CONTROLS)
    result = controls.open()
    name: ClaimName = controls.add(
        "claim",
        "radio",
        "Claim",
        names,
        format_func=lambda name: claims()[name].paper,
        horizontal=True,
    )
    try:
        job = ask_source(controls, name, recorded=is_recorded(name))
        with result:
            _claim(name, job)
            if controls.may_start:
                with st.expander("Measure it on this machine", icon=":material/play_arrow:"):
                    _measure(name)
    except KDError as error:
        st.error(escape(error), icon=":material/error:")


def _claim(name: ClaimName, job: RunRow | None) -> None:
    claim = claims()[name]
    st.header("What the paper says", anchor=False)
    prose(f"{claim.says} ([{claim.paper}]({claim.address}))")
    with st.expander("How it is tested here", icon=":material/science:"):
        st.markdown(claim.here)
    if job and job.status != "done":
        job_view(job, f"{PAGE}.job")
    known = _recorded(name) or _found(name, job)
    if known is None or known.main is None:
        st.info(
            "The verdict appears here, after your guess, when its students are trained."
            if job
            else "The students of this claim do not come with KD Studio: measure it on this machine, below.",
            icon=":material/hourglass_top:",
        )
        return
    asking = Controls(f"{PAGE}.{name}", *CONTROLS)  # each claim has a guess of its own
    answer, because = right_option(name, known), SENTENCES[name](known)
    if question(asking, claim.question, claim.options, answer, because):
        again(_result, name, job, every=2 if job and job.status in PENDING else None)


def _result(name: ClaimName, job: RunRow | None) -> None:
    """The picture, the verdict and the table; of a job under way, as far as it has come."""
    claim, report, found = claims()[name], _report(name, job), _found(name, job)
    if report is None or found is None or found.points.empty:
        st.info(
            "The first result appears here when its students are trained.", icon=":material/hourglass_top:"
        )
        return
    described = "; ".join(
        f"{row['place']}, {LOOKS[row['series']].name.lower()}: {formatting.percent(row['mean'])}"
        for row in found.points.to_dict("records")
    )
    mark = f"; {found.level[0].lower()}: {formatting.percent(found.level[1])}" if found.level else ""
    chart(
        figures.claim_chart(found.points, found.level, claim.title, claim.x, claim.y, dark=is_dark()),
        key=f"{PAGE}.{name}",
        alt=f"{claim.title}, by {claim.x.lower()}. {described}{mark}",
    )
    st.caption(
        f"Bars: 95 % interval by {report['test_texts']:,} test texts, as if these seeds were all. Dashes: "
        "single seeds. How two of them differ is compared text by text and seed by seed, below."
    )
    if found.main is None:
        if job and job.status not in PENDING:
            st.caption("It ended before it had a student of each kind, which the verdict needs.")
        else:
            waits = "The verdict needs a student of each kind; the next is being trained."
            st.caption(f":material/hourglass_top: {waits}")
        return
    with st.container(border=True, key=f"{PAGE}.verdict"):
        colour, icon = VERDICTS[found.main.kind]
        st.badge(OUTCOMES[found.main.kind], color=colour, icon=icon)
        prose(SENTENCES[name](found))
    st.header("What you see", anchor=False)
    prose(WORDS[name](report, found))
    if name == "hinton2015":
        _classes(report)
    _again(name, report, recorded=job is None)


@st.cache_data(max_entries=3, show_spinner=False)
def _recorded(name: ClaimName) -> Findings | None:
    """A dozen comparisons take longer than a page should."""
    return findings(name, recorded_lab(name)) if is_recorded(name) else None


def _found(name: ClaimName, job: RunRow | None) -> Findings | None:
    """What was recorded, or what a job has measured so far."""
    if job is None:
        return _recorded(name)
    report = _report(name, job)
    return findings(name, report) if report and report["cells"] else None


def _report(name: ClaimName, job: RunRow | None) -> LabReport | None:
    if job is None:
        return recorded_lab(name) if is_recorded(name) else None
    try:
        report: LabReport = store().report_json(job.id)
        return report
    except RunError:  # nothing is measured yet
        return None


def _again(name: ClaimName, report: LabReport, *, recorded: bool) -> None:
    config, machine = report["config"], report["machine"]
    seeds = sorted({cell["seed"] for cell in report["cells"]})
    if recorded:
        st.markdown("The command that measures it again, in a copy of KD Studio's repository:")
        st.code(f"python assets/record.py claim {name} --again", language="bash", wrap_lines=True)
    st.caption(
        f"{escape(config['task']['name'])}; student {escape(config['student']['model'])}, "
        f"{config['training']['steps']:,} steps, {formatting.counted(len(seeds), 'seed')}. Measured on "
        f"{escape(machine['processor'])}, {machine['cores']} cores, PyTorch {escape(machine['torch'])}."
    )


# A measurement of one's own


def _measure(name: ClaimName) -> None:
    controls = Controls(PAGE, *CONTROLS, part="measure")
    controls.open()
    covered = "Task, teacher and student; what the claim is about is set as described"
    taught = {
        run_id: run for run_id, run in finished_runs().items() if not run.config["task"].get("knowledge")
    }
    run = ask_settings(controls, taught, covered)
    seeds = ask_seeds(controls)
    try:
        classes = store().report(run.id).labels if run else list(LABELS)
    except RunError:
        classes = []
    classes = classes[:MOST_CLASSES]
    students = len(seeds) * STUDENTS[name](len(classes))
    controls.note(
        f"{students} students, one after the other. You can leave the page, stop and go on later: what is "
        "measured stays."
    )
    too_few = name == "hinton2015" and len(classes) < 3
    left_out = {"classes": tuple(classes)} if name == "hinton2015" else {}
    controls.button(
        "start",
        "Measure",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not seeds or too_few,
        on_click=measure,
        args=(run, seeds, controls.key("source"), f"{claims()[name].paper}: "),
        kwargs={"lab": name, **left_out},
        help="With a class left out, two have to remain" if too_few else None,
    )


STUDENTS: dict[ClaimName, Callable[[int], int]] = {
    "hinton2015": lambda classes: 1 + (1 + len(TEMPERATURES)) * classes,
    "cho2019": lambda classes: 1 + len(EPOCHS),
    "stanton2021": lambda classes: 1 + 4 + 2,
}


# The three claims in words


def _gain(found: Findings, name: str = "") -> str:
    """One of the comparisons, or the one that decides."""
    pair = found.others.get(name) if name else found.main
    if pair is None:
        return "not measured yet"
    return f"**{formatting.points(pair.delta)}** ({formatting.interval(pair.low, pair.high)})"


def _share(found: Findings, place: str, series: str) -> str:
    rows = found.points[(found.points["place"] == place) & (found.points["series"] == series)]
    return formatting.percent(rows["mean"].iloc[0]) if len(rows) else "not measured yet"


def _hinton_sentence(found: Findings) -> str:
    return (
        f"After its shift, the student of T = 4 recognises {_share(found, 'T = 4', 'after')} of the texts of "
        f"a class that it never saw, the one of labels alone {_share(found, 'Labels alone', 'after')}: "
        f"{_gain(found, 'T = 4 over labels alone')}. T = 4 alone decides; of the "
        "other temperatures, which are below, one may stand out by chance."
    )


def _hinton_words(report: LabReport, found: Findings) -> str:
    lines = []
    for place in dict.fromkeys(found.points["place"]):
        before, after = (_share(found, place, series) for series in ("before", "after"))
        line = f"- {place}: {before} as trained, {after} after the shift"
        over = f"{place} over labels alone"
        lines.append(
            f"{line}, {_gain(found, over)} over labels alone." if over in found.others else f"{line}."
        )
    cells = cells_of(report, who="student", temperature=4)
    shifts = [cell["shift"] for cell in cells if "shift" in cell]
    return (
        f"How many texts of {_which(report)} are recognised by students that never saw one:\n\n"
        + "\n".join(lines)
        + f"\n\nAt T = 4 the shift adds {np.mean(shifts):.1f} to the logit on average, and changes how many "
        f"are recognised by {_gain(found, 'shift')}. Against a student that saw the class it is "
        f"{_gain(found, 'the class seen')}. In the paper, a student that never saw a handwritten 3 "
        "recognised 98.6 % of them after a shift of 3.5.\n\nLabels alone, shifted in the same way, show what "
        "a shift does without a teacher: a text that no known class likes may be of the missing one."
    )


def _which(report: LabReport) -> str:
    """The classes that were left out."""
    names = [
        report["labels"][place] for place in sorted({c["unseen"] for c in report["cells"] if "unseen" in c})
    ]
    if len(names) == len(report["labels"]):
        return "a class, over all classes,"
    return f"a class ({', '.join(map(escape, names))}; the others were never left out)"


def _classes(report: LabReport) -> None:
    rows = unseen_table(report).to_dict("records")
    table = pd.DataFrame(
        {
            "Class": [row["class"] for row in rows],
            "Learned from": [row["setting"] for row in rows],
            "Recognised as trained": [formatting.percent(row["before"]) for row in rows],
            "Recognised shifted": [formatting.percent(row["after"]) for row in rows],
            "Shift": [formatting.signed(row["shift"]) for row in rows],
            "Accuracy shifted, all texts": [formatting.percent(row["accuracy"]) for row in rows],
        }
    )
    with st.expander("Class by class"):
        st.dataframe(
            table, hide_index=True, key=f"{PAGE}.classes", alt="Texts recognised of each missing class"
        )


def _cho_sentence(found: Findings) -> str:
    stopped = f"after {formatting.counted(found.early, 'epoch')}"
    return (
        f"Stopped {stopped}, which of the early stops is best on validation, teachers make students that are "
        f"{_gain(found, f'{found.early}')} of accuracy against those of {EPOCHS[-1]} epochs."
    )


def _cho_words(report: LabReport, found: Findings) -> str:
    lines = []
    for epochs in map(str, EPOCHS):
        teacher, student = (_share(found, epochs, series) for series in ("teacher", "student"))
        line = (
            f"- {formatting.counted(int(epochs), 'epoch')}: the teacher has {teacher}, its student {student}"
        )
        lines.append(
            f"{line}, {_gain(found, epochs)} against the last." if epochs in found.others else f"{line}."
        )
    return (
        "\n".join(lines)
        + f"\n\nFrom {EPOCHS[0]} epoch to {EPOCHS[-1]} the teacher gains {_gain(found, 'teacher')}. "
        f"Taught by the last, the student is {_gain(found, 'over alone')} against itself alone. The paper's "
        f"models are image classifiers that start from random weights{_ours(report['config']['teacher'])}."
    )


def _ours(teacher: Mapping[str, Any]) -> str:
    keeps = f"keeps its {teacher.get('weights', 'best')} weights"
    if teacher["model"] == "scratch":
        return f", as this teacher does, which {keeps}"
    return f". Ours starts pre-trained and {keeps}: more epochs may change little of what it says"


def _stanton_sentence(found: Findings) -> str:
    return (
        "From the fewest to the most transfer texts, agreement with the teacher changes by "
        f"{_gain(found, 'agreement')} and accuracy by {_gain(found, 'accuracy')}: the first by "
        f"{_gain(found)} more than the second."
    )


def _stanton_words(report: LabReport, found: Findings) -> str:
    alone, student, wrong = inherited(report)
    most = found.points[found.points["series"] == "agreement"].iloc[-1]
    return (
        f"With the most transfer texts the student still answers {formatting.percent(1 - most['mean'])} of "
        f"the test texts otherwise than its teacher.\n\nThe teacher is wrong on {wrong} test texts. The "
        f"student alone gives the same wrong answer to {formatting.percent(alone, 0)} of them, the distilled "
        f"one to {formatting.percent(student, 0)}: {_gain(found, 'inherited')}. Only what is more than alone "
        "is inherited.\n\nThe random teacher means nothing. With more texts its students' agreement with it "
        f"changes by {_gain(found, 'random agreement')}. Agreement says how well a student copies, not "
        "whether what it copies is right."
    )


SENTENCES: dict[ClaimName, Callable[[Findings], str]] = {
    "hinton2015": _hinton_sentence,
    "cho2019": _cho_sentence,
    "stanton2021": _stanton_sentence,
}
WORDS: dict[ClaimName, Callable[[LabReport, Findings], str]] = {
    "hinton2015": _hinton_words,
    "cho2019": _cho_words,
    "stanton2021": _stanton_words,
}
