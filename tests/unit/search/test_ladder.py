from __future__ import annotations

import io
import json
import pickle
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from kd_core import job_kinds
from kd_core.cli import main
from kd_core.cli.ladder import show
from kd_core.config import DistillConfig
from kd_core.deployment import forms, int8_answers
from kd_core.distillation.report import Report
from kd_core.distillation.run_folder import VALIDATION
from kd_core.errors import ModelError, Stopped
from kd_core.jobs.store import Store
from kd_core.search import estimate
from kd_core.search.kept import Pairs, at_least
from kd_core.search.ladder import LadderConfig, LadderResult, Rung
from kd_core.search.ladder_sentences import conclusion, doubt, outlook
from kd_core.system.control import Control
from tests import ROOT, SAMPLES

JOB = "20260101-000000-aaaa"
THREE = LadderConfig(students=("tiny", "mini", "half"), int8=False)


def rung(student: str, kept: float, bound: float, answer: str, **facts: Any) -> Rung:
    about = {"params": 5_000_000, "texts": 400, "accuracy": 0.8, "run_id": f"run of {student}"}
    return Rung(student=student, kept=kept, at_least=bound, answer=answer, **(about | facts))


def ladder(*rungs: Rung, config: LadderConfig = THREE, **facts: Any) -> LadderResult:
    return LadderResult(config=config, rungs=rungs, teacher_params=20_000_000, **facts)


# Which student is tried next, and which is chosen

PARAMS = {"cnn": 2_450_000, "tiny": 2_650_000, "mini": 7_700_000, "third": 8_100_000, "half": 9_900_000}
HALF = rung("half", 0.99, 0.985, "shown", size_mb=10.4, int8=True)
MINI = rung("mini", 0.97, 0.95, "no", size_mb=8.3, int8=True)
TINY = rung("tiny", 0.99, 0.981, "shown", size_mb=3.0, int8=True)
LIKELY = rung("tiny", 0.985, 0.96, "likely", needed=900, size_mb=10.7)
BEYOND = rung("tiny", 0.99, 0.985, "shown", size_mb=3.0, latency_ms=0.6, int8=True, fits=False)
FLOOR = rung("tfidf", 0.995, 0.981, "shown", params=70_000, size_mb=1.2)


@pytest.mark.parametrize(
    ("students", "rungs", "following", "chosen"),
    [
        ("tiny,mini,half", (), "tiny", None),
        ("tiny,mini,half", (LIKELY,), "mini", 0),
        ("tiny,mini,half", (FLOOR, LIKELY), "mini", 1),  # nobody could have TF-IDF: no run stores it
        ("half,mini,tiny,cnn", (HALF,), "mini", 0),
        ("half,mini,tiny,cnn", (HALF, MINI, TINY), "cnn", 2),  # 2.5 MB
        ("half,mini,tiny,cnn", (HALF, MINI, BEYOND), "cnn", 0),
        ("half,custom", (HALF,), None, 0),  # this teacher cannot have the other
        ("tiny,mini", (BEYOND,), "mini", None),
        ("mini", (MINI,), None, None),
    ],
)
def test_next_and_chosen_student(students, rungs, following, chosen) -> None:
    result = ladder(*rungs, config=LadderConfig(students=students.split(",")), params=PARAMS)
    assert result.next == following
    assert result.chosen == (None if chosen is None else rungs[chosen])


@pytest.mark.parametrize(
    ("size_mb", "int8", "following"),
    [
        (8.6, True, "mini"),  # whose file in int8 may be 7.7 MB
        (8.5, True, None),  # less than a tenth is not worth a training
        (10.6, False, None),  # in PyTorch mini has 30.8 MB
    ],
)
def test_smaller_files_are_tried_after_one_that_is_shown(size_mb, int8, following) -> None:
    shown = rung("tiny", 0.99, 0.981, "shown", size_mb=size_mb)
    result = ladder(shown, config=THREE.model_copy(update={"int8": int8}))
    assert (result.next, result.needs_params) == (None, True)
    known = result.model_copy(update={"params": PARAMS})
    assert (known.next, known.needs_params) == (following, False)


# What is said

NO = rung("half", 0.94, 0.91, "no")
NEAR = rung("mini", 0.98, 0.93, "likely", needed=100_001)
LARGE = rung("half", 0.99, 0.97, "likely", size_mb=39.6, latency_ms=0.4, fits=False)
FAILED = Rung(student="cnn", run_id="", answer="failed", fits=False, error="out of memory")
BOUNDED = [rung("half", 0.96, 0.91, "no", at_most=most) for most in (0.979, 0.98)]


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        ([LIKELY, HALF], "Shown: half, int8, with 25 % of the teacher's parameters, keeps 99.0 % of"),
        ([HALF], " of its accuracy on the validation texts, at least 98.5 %.$"),
        ([NO, LIKELY, LARGE], "Likely: tiny, with 25 % of the teacher's parameters, keeps 98.5 % of"),
        ([LIKELY], "but they show only that it keeps 96.0 % or more. About 900 of them would settle it"),
        ([NEAR], "It is so near to 98 % that hardly any number of texts would settle it.$"),
        ([rung("tiny", 1.2, 1.0, "shown")], "texts, at least 100.0 %.$"),
        ([rung("tiny", 1.6, 1.2, "shown")], "at least 120.0 %. So the teacher is the weaker of the two: "),
        ([rung("tiny", 1.3, 0.7, "likely")], "at least 70.0 %. So the teacher may be the weaker of"),
        ([FLOOR, LIKELY], "TF-IDF, which counts words and letters and has no teacher, is shown to keep"),
        ([FLOOR, NO], "enough: 99.5 %, at least 98.1 %.$"),
        ([rung("tfidf", 1.37, 0.73, "likely"), NO], "at least 73.0 %. So the teacher may be the weaker"),
        (
            [MINI, NO, FAILED],
            "is likely to keep 98 % of the teacher's accuracy. The most is 97.0 %, of mini,",
        ),
        ([FAILED], "None of these students could be tried: each failed, for the reason that it shows.$"),
        ([BOUNDED[1]], "The most is 96.0 %, of half: between 91.0 % and 98.0 % by these 400 texts, "),
        ([BOUNDED[1]], "by these 400 texts, which are too few to rule out 98 %.$"),
        ([BOUNDED[0]], "by these 400 texts, which rule out 98 %.$"),
    ],
)
def test_conclusion(rungs, said) -> None:
    assert said in f"{conclusion(ladder(*rungs))}$"


@pytest.mark.parametrize(
    ("rungs", "within", "said"),
    [
        ([MINI], {}, "Not tried yet, from the smallest up: third, half.$"),
        ([NO, BEYOND], {"ms": 0.5}, "None of these students within the limits is likely to keep 98 % of"),
        ([BEYOND, LARGE], {"mb": 2.5}, " 2.5 MB: the smallest is tiny, int8, with 3.0 MB.$"),
        ([BEYOND, LARGE], {"ms": 0.1}, " 0.1 ms a text: the quickest is half, with 0.40 ms.$"),
        ([BEYOND, LARGE], {"mb": 2.5, "ms": 0.1}, "is within 2.5 MB and 0.1 ms a text: the smallest is "),
    ],
)
def test_conclusion_of_other_settings(rungs, within, said) -> None:
    settings = {f"within_{unit}": most for unit, most in within.items()}
    config = LadderConfig(students=("tiny", "mini"), int8=False, **settings)
    assert said in f"{conclusion(ladder(*rungs, config=config))}$"


FEW, SPAM = {"a": 300, "b": 16}, {"ham": 950, "spam": 50, "none": 0}


@pytest.mark.parametrize(
    ("counts", "metric", "said"),
    [
        (FEW, "accuracy", "With 316 validation texts an equal student is shown to keep 96.2 %, so 98 %"),
        (FEW, "accuracy", "so 98 % can be likely but hardly shown; about 987 would be enough.$"),
        ({"a": 2_000}, "accuracy", " an equal student is shown to keep 98.6 %: enough for 98 %.$"),
        (SPAM, "macro_f1", "50 of them 'spam' (as good for macro-F1 as 190 for accuracy), an equal "),
        (SPAM, "f1:spam", "50 of them 'spam' (as good for F1 of spam as 50 for accuracy), an equal "),
    ],
)
def test_outlook(counts, metric, said) -> None:
    found = outlook(THREE, counts, metric)
    assert said in f"{found}$"
    seeds = THREE.model_copy(update={"distill": THREE.distill.change({"training.seeds": [4, 5, 6]})})
    assert outlook(seeds, counts, metric) == f"{found} Of each student one is judged, that of seed 4."


def test_ladder_config() -> None:
    seeds = {"training.seeds": [4, 5]}
    config = LadderConfig(distill=DistillConfig().change(seeds), students=("tiny", "half"), int8=False)
    one = config.rung("half")
    assert (one.student.model, one.training.seeds) == ("half", (4,))
    assert one.controls.labelled_only is one.controls.shifted is False
    assert config.confidence == pytest.approx(1 - 0.05 / 3)  # TF-IDF, tiny, half
    assert LadderConfig(students=("tiny", "half")).confidence == pytest.approx(1 - 0.05 / 5)  # int8 too


# A student by the answers that its run has kept


def keep_answers(folder: Path, labels: np.ndarray, chosen: dict[str, np.ndarray]) -> Report:
    """A report of 10.7 MB and 1.69 ms, whose run has kept these answers."""
    answers = pd.DataFrame({"text": [f"text {row}" for row in range(len(labels))], "label": labels})
    for name, said in chosen.items():
        answers[name] = list(np.eye(5, dtype=np.float32)[said])
    answers.to_parquet(folder / VALIDATION)
    content = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    floor = content["student"] | {"params": 100, "size_mb": 0.8, "latency_ms": None}
    return Report.from_dict(content | {"folder": str(folder), "tfidf": floor})


@pytest.fixture
def sample(tmp_path) -> Report:
    """Of 1,000 texts the teacher has the first 900 right, the student 5 others and 10 of these not."""
    right = {"teacher": [*range(900)], "student-0": [*range(890), *range(900, 905)], "tfidf": [*range(800)]}
    chosen = {name: np.where(np.isin(np.arange(1000), rows), 2, 0) for name, rows in right.items()}
    return keep_answers(tmp_path, np.full(1000, 2), chosen)


@pytest.mark.parametrize(
    ("keep", "answer", "needed"), [(98, "shown", 547), (99, "likely", 4_065), (99.5, "no", None)]
)
def test_student_is_judged_by_its_validation_answers(sample, keep, answer, needed) -> None:
    config = LadderConfig(students=("tiny",), int8=False, keep=keep)
    floor, tiny = LadderResult(config=config).with_report("tiny", sample).rungs
    assert (tiny.kept, tiny.texts, tiny.params) == (895 / 900, 1_000, sample.student.params)
    assert tiny.at_least == at_least(Pairs(890, 5, 10, 95), 0.975)  # two are judged, and share the 5 %
    assert (tiny.answer, tiny.needed) == (answer, needed)
    assert (floor.title, floor.kept, floor.answer) == ("TF-IDF", 800 / 900, "no")
    assert (floor.params, floor.size_mb) == (100, 0.8)


@pytest.mark.parametrize(
    ("limits", "fits"),
    [({"mb": 10.699228, "ms": 1.6866065}, True), ({"mb": 10.6}, False), ({"ms": 1.68}, False)],
)
def test_limits_in_megabytes_and_milliseconds(sample, limits, fits) -> None:
    within = {f"within_{unit}": most for unit, most in limits.items()}
    config = LadderConfig(students=("tiny",), int8=False, **within)
    assert LadderResult(config=config).with_report("tiny", sample).rungs[1].fits is fits


def test_doubt_about_milliseconds_beside_other_work() -> None:
    assert doubt(ladder(NO)) == ""
    slow = NO.model_copy(update={"waited": 0.6})
    assert "was at other work for 60 % (half) of the time" in doubt(ladder(MINI, slow))


@pytest.mark.parametrize(
    ("metric", "answer", "kept", "said"),
    [
        ("accuracy", "shown", 950 / 965, "Shown: tiny, with 12 % of the teacher's parameters, keeps 98.4 %"),
        ("macro_f1", "no", 1900 / 1950 / (1840 / 1875 + 90 / 125), "between 48.4 % and 68.6 % by these"),
        ("f1:entertainment", "no", 0.0, "likely to keep 95 % of the teacher's F1 of entertainment. "),
    ],
)
def test_student_that_never_says_the_rare_class(tmp_path, metric, answer, kept, said) -> None:
    """950 texts are of the first class; the teacher has 920 of these right and 45 of the 50 others."""
    teacher, labels = np.repeat([0, 1, 0, 1], [920, 30, 5, 45]), np.repeat([0, 1], [950, 50])
    sample = keep_answers(tmp_path, labels, {"teacher": teacher, "student-0": np.zeros(1000, int)})
    training = sample.config["training"] | {"metric": metric}
    report = sample.model_copy(update={"config": sample.config | {"training": training}})
    config = LadderConfig(students=("tiny",), int8=False, keep=95)
    result = LadderResult(config=config).with_report("tiny", report)
    (one,) = result.rungs
    assert (one.answer, one.kept) == (answer, pytest.approx(kept))
    assert (one.accuracy, one.score) == (report.student.accuracy, report.student.by(metric))
    assert (result.metric, result.teacher_tested) == (metric, report.teacher.by(metric))
    assert said in conclusion(result)


# The job


@pytest.fixture
def run_ladder(sample, tiny_config, kd_home, monkeypatch):
    """``run_ladder("half")``: the job, with the answers of ``sample`` and these megabytes for each run."""
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    sizes = {"half": 0.2, "custom": 0.02}

    def run_inside(store: Store, run_id: str, *_: Any) -> None:
        student = sample.to_dict()["student"] | {"size_mb": sizes[store.run(run_id).student]}
        store.save_report(run_id, sample.to_dict() | {"run_id": run_id, "student": student})

    def call(*students: str, int8: bool = False) -> LadderResult:
        distill = tiny_config.change({"student.hidden": 8})
        config = LadderConfig(distill=distill, students=students, int8=int8)
        store = Store()
        store.create_run(JOB, config.model_dump(mode="json"), kind="ladder")
        report = job_kinds.ladder_handler(store.run(JOB), lambda event: None, Control())
        return LadderResult.model_validate(report)

    monkeypatch.setattr(job_kinds, "_run_inside", run_inside)
    return call


def refuse(*_: Any) -> None:
    raise ModelError("it cannot be done")


@pytest.mark.parametrize(
    ("students", "tried"), [(("half", "custom"), ["half", "custom"]), (("custom", "half"), ["custom"])]
)
def test_job_tries_only_smaller_students_after_one_that_is_shown(run_ladder, students, tried) -> None:
    result = run_ladder(*students)
    assert [rung.student for rung in result.students] == tried
    assert result.chosen.student == "custom"
    assert set(result.params) == {"custom", "half"}  # known before a training


def test_job_goes_on_without_sizes_or_int8(run_ladder, monkeypatch) -> None:
    monkeypatch.setattr(estimate, "read_rungs", refuse)
    monkeypatch.setattr(int8_answers, "measure", refuse)
    rungs = [rung for rung in run_ladder("half", "custom", int8=True).rungs if rung.student != "tfidf"]
    assert [(rung.title, rung.error) for rung in rungs] == [("half, int8", "it cannot be done"), ("half", "")]


@pytest.fixture(scope="module")
def climbed(tiny_config, once) -> SimpleNamespace:
    """A ladder by macro-F1 that was stopped while "half" was trained, then while it was asked in int8.

    The teacher cannot have "custom". ``begun`` is the result at the first stop, ``statuses`` are those of the
    runs at each.
    """

    def build(folder: Path) -> None:
        teacher = {"teacher.epochs": 30, "teacher.learning_rate": 0.003}  # it has half of the texts right
        changes = {"student.init": "teacher_layers", "training.metric": "macro_f1", **teacher}
        distill = tiny_config.change(changes)
        config = LadderConfig(distill=distill, students=("custom", "half"), keep=100)
        statuses, heard, reports = [], [], []
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KD_HOME", str(folder / "home"))
            patch.delenv("KD_DATABASE_URL", raising=False)
            store = Store()
            store.create_run(JOB, config.model_dump(mode="json"), kind="ladder")
            for place in ("training the distilled student", "asking the student in int8"):
                control = Control()

                def listen(event: Any, control: Control = control, place: str = place) -> None:
                    heard.append(event)
                    if event.label == f"student half: {place}":
                        control.stop()

                with pytest.raises(Stopped):
                    job_kinds.ladder_handler(store.run(JOB), listen, control)
                reports.append(store.report_json(JOB))
                statuses.append([row.status for row in store.runs(kind="distil")])
            store.set_status(JOB, "stopped")
            out, err = io.StringIO(), io.StringIO()
            with redirect_stdout(out), redirect_stderr(err):
                assert main(["resume", JOB, "--json"]) == 0
        begun, result = map(LadderResult.model_validate, (reports[0], json.loads(out.getvalue())))
        kept = {"config": config, "begun": begun, "statuses": statuses, "heard": heard, "result": result}
        (folder / "climbed.pickle").write_bytes(pickle.dumps({**kept, "said": err.getvalue()}))

    folder = once("climbed", build)
    return SimpleNamespace(**pickle.loads((folder / "climbed.pickle").read_bytes()), home=folder / "home")


@pytest.fixture
def store(climbed, monkeypatch) -> Store:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setenv("KD_HOME", str(climbed.home))
    return Store()


def test_stopped_ladder_goes_on_with_the_run_it_had_begun(climbed, store, capsys) -> None:
    assert climbed.statuses == [["stopped", "failed"], ["done", "failed"]]
    assert climbed.result.rungs[-1].run_id == climbed.begun.running
    assert climbed.heard[-1].label == "student half: asking the student in int8"
    assert 0.8 < climbed.heard[-1].done / climbed.heard[-1].total < 1
    assert climbed.said.splitlines()[-1].endswith(": 100 % of all")
    assert [row.status for row in store.runs(kind="distil")] == ["done", "failed"]
    assert main(["show", JOB]) == 0
    assert "Shares of the teacher's macro-F1 that are kept" in capsys.readouterr().out


def test_students_are_runs_judged_on_the_validation_texts(climbed, store) -> None:
    custom, floor, small, full = climbed.result.rungs
    assert [rung.title for rung in (floor, small, full)] == ["TF-IDF", "half, int8", "half"]
    assert (custom.student, custom.answer, custom.fits) == ("custom", "failed", False)
    assert "--student-init teacher_layers copies whole layers of the teacher" in custom.error
    report = store.report(full.run_id)
    assert (small.run_id, small.params) == (full.run_id, full.params)
    assert store.run(full.run_id).name == "Keep 100 %: half"
    # One look at the validation texts, at the end: they have chosen nothing.
    assert report.config["training"]["evaluate_every"] == report.config["training"]["steps"] == 6
    answers = pd.read_parquet(Path(report.folder) / VALIDATION)
    form = forms.open_form(small.run_id, "student", "int8")
    logits = {name: np.stack(list(answers[name])) for name in ("tfidf", "student-0", "teacher")}
    logits["int8"] = form.predict(answers["text"].to_list())
    tfidf, student, teacher, int8 = (
        f1_score(answers["label"], one.argmax(axis=1), average="macro") for one in logits.values()
    )
    assert [rung.kept * teacher for rung in (floor, small, full)] == pytest.approx([tfidf, int8, student])
    texts, labels = forms.test_split(small.run_id)
    in_int8 = form.predict(texts).argmax(axis=1)
    assert (small.accuracy, small.size_mb) == ((in_int8 == labels).mean(), form.size_mb)
    assert small.score == pytest.approx(f1_score(labels, in_int8, average="macro"))
    assert (full.accuracy, full.score) == (report.student.accuracy, report.student.macro_f1)
    assert floor.score == report.models["tfidf"].macro_f1
    assert small.latency_ms > 0


@pytest.mark.parametrize(
    ("place", "way"), [(2, "kd export {} --to student.zip --onnx --int8"), (3, "kd show {}")]
)
def test_table_of_a_ladder(climbed, capsys, place, way) -> None:
    custom, floor, *_ = climbed.result.rungs
    taken = climbed.result.rungs[place].model_copy(update={"answer": "shown"})
    beyond = floor.model_copy(update={"answer": "no", "fits": False})
    told = climbed.result.model_copy(update={"rungs": (custom, beyond, taken)})
    show(told.model_dump(mode="json"), as_json=False)
    printed = capsys.readouterr().out
    assert "Shares of the teacher's macro-F1 that are kept; 100 % is wanted." in printed
    assert "no, but beyond the limits" in " ".join(printed.split())
    assert f"which decided nothing: macro-F1 {100 * taken.score:.1f} %, the teacher " in printed
    assert f"Run {taken.run_id}: {way.format(taken.run_id)}\n" in printed


# The command


def test_command_says_what_the_texts_can_show(climbed, tmp_path, kd_home, monkeypatch, capsys) -> None:
    started: list[Any] = []

    def start(store: Store, config: LadderConfig, **options: Any) -> Any:
        started.extend((config, options))
        return climbed.result.model_dump(mode="json")

    monkeypatch.setattr(sys.modules["kd_core.cli.ladder"], "start", start)
    (tmp_path / "run.yaml").write_text(climbed.config.distill.to_yaml(), encoding="utf-8")
    flags = f"--keep 100 --students custom,half --config {tmp_path / 'run.yaml'} --json"
    assert main(["distill", *flags.split()]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("With 15 validation texts, 3 of them ")
    assert LadderResult.model_validate(json.loads(printed.out)) == climbed.result
    assert started == [climbed.config, {"kind": "ladder", "name": ""}]


ANSWERS = str(ROOT / "assets" / "samples" / "answers-some-gold.csv")


@pytest.mark.parametrize(
    ("flags", "processes", "problem"),
    [
        ("--keep 120", 1, "--keep must be between 50 and 100, got '120'"),
        ("--keep 90 --metric f1:none", 1, "--metric names 'none', not a class of this task; its classes"),
        ("--keep 98", 2, "--keep tries one student after the other, in one process; start it without "),
        (f"--keep 90 --knowledge {ANSWERS}", 1, f"this run learns from a file of answers ({ANSWERS}), which"),
    ],
)
def test_mistakes_of_the_command(flags, processes, problem, kd_home, monkeypatch, capsys) -> None:
    monkeypatch.delenv("KD_DATABASE_URL", raising=False)
    monkeypatch.setenv("WORLD_SIZE", str(processes))
    assert main(["distill", *flags.split()]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"kd: {problem}")
    assert ("leave out --keep, or --knowledge" in said) == (ANSWERS in flags)
    assert Store().runs() == []
