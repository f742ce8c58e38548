"""A run's distilled student to take away: each form measured again, then written as a folder or a zip."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from kd_core.deployment.bundle import make_zip, write_bundle
from kd_core.deployment.cascade import Agree, cascade
from kd_core.deployment.forms import OpenForm, Split, open_form, shifted_splits, test_split, time_in_turns
from kd_core.deployment.paired import judge
from kd_core.deployment.reports import ExportReport, FormReport
from kd_core.deployment.runtimes import Runtime, form_name
from kd_core.distillation import run_folder
from kd_core.distillation.calibration import scaled
from kd_core.distillation.events import OnEvent, Progress, ignore
from kd_core.distillation.metrics import scores
from kd_core.distillation.report import Report
from kd_core.distillation.roles import NAMES, Role
from kd_core.errors import ConfigError, RunError
from kd_core.models.inference import Logits
from kd_core.system import paths
from kd_core.system.atomic import full_disk
from kd_core.system.control import Control
from kd_core.system.formatting import in_sentence, percent
from kd_core.system.machine import describe_machine
from kd_core.system.settings import Settings, setting

TIMED_TEXTS = 100
# The run may have computed in bfloat16, which moves a text or two to the other side.
ALLOWED = 0.02
ALLOWED_TEXTS = 2


class ExportConfig(Settings):
    run: str = setting(..., "Id of a finished run")
    to: str | None = setting(None, "New folder, or new file ending in .zip (none: only measure)")
    onnx: bool = setting(False, "Convert the student to ONNX")
    int8: bool = setting(False, "Quantise its ONNX form to 8 bits too")
    calibrate: bool = setting(
        False,
        "Divide the student's logits by the temperature that makes its probabilities fit the validation "
        "texts best (no answer changes)",
    )
    agree: Agree | None = setting(
        None,
        "Bring the teacher along, and a program in which the student passes on to it what it is unsure of, "
        "so that the two agree with the teacher in so many percent of cases",
    )

    @property
    def runtimes(self) -> tuple[Runtime, ...]:
        if self.int8:
            return "pytorch", "onnx", "int8"
        return ("pytorch", "onnx") if self.onnx else ("pytorch",)


def export_run(
    config: ExportConfig, on_event: OnEvent = ignore, control: Control | None = None
) -> ExportReport:
    """Teacher and student in PyTorch, student in ONNX, student in int8: what each step costs and buys.

    All are evaluated on the whole test split and timed in turns; then ``config.to`` is written, whole or not
    at all. The report has ``run``, ``task``, ``to``, ``texts``, ``forms``, ``machine``, ``temperature``
    and ``cascade``: with ``calibrate`` the bundle's models divide their logits by the temperature, those that
    are measured do not; what a cascade does is told in sentences. A form's
    ``difference`` is the largest between one of its logits and that of the student in PyTorch, and its
    ``paired`` compares the two text by text (the student in PyTorch is compared with the teacher). Where the
    run is judged by an F1, ``judged`` is that. An ONNX form also has ``shifted``: its accuracy on corrupted
    and other texts, which the run knows of the PyTorch ones.
    Raises: RunError, ConfigError, ModelError, Stopped.
    """
    control = control or Control()
    check(config)
    folder = run_folder.find(config.run)
    report = Report.read(folder)
    calibrated = scaled(folder, report, "student") if config.calibrate else None
    pair = config.agree and cascade(config.run, config.agree / 100, calibrated=config.calibrate)
    test = test_split(config.run)
    stages: list[tuple[Role, Runtime]] = [("student", runtime) for runtime in config.runtimes]
    if not report.teacher_is_file:
        stages.insert(0, ("teacher", "pytorch"))
    converted = len(config.runtimes) - 1
    others = shifted_splits(config.run) if converted else {}
    texts = len(test[0])
    total = texts * (len(stages) + 1) + converted * sum(len(split[0]) for split in others.values())
    asking = _Asking(on_event, control, total)
    measured = [_measure(report, who, runtime, test, others, asking) for who, runtime in stages]
    asking.tell("measuring latency")
    forms = _forms(measured, test, report, control)
    control.check()
    if config.to:
        asking.tell(f"writing {Path(config.to).name}", total - 1)
        places = {one.timed.name: one.timed.path for one in measured}
        write = partial(
            write_bundle,
            run_id=config.run,
            student=places["student-pytorch"],
            onnx=places.get("student-onnx"),
            int8=places.get("student-int8"),
            forms=forms,
            calibrated=calibrated,
            pair=pair or None,
            teacher=places.get("teacher-pytorch"),
        )
        _write(Path(config.to), write)
    asking.tell("done", total)
    return {
        "run": config.run,
        "task": report.config["task"]["name"],
        "to": config.to,
        "texts": texts,
        "forms": forms,
        "machine": describe_machine(),
        "temperature": calibrated.temperature if calibrated else None,
        "cascade": pair.sentence if pair else None,
    }


@dataclass
class _Asking:
    """Asks models, and says how many of ``total`` texts they have answered."""

    on_event: OnEvent
    control: Control
    total: int
    done: int = 0

    def tell(self, step: str, done: int | None = None) -> None:
        self.on_event(Progress(None, step, self.done if done is None else done, self.total))

    def predict(self, form: OpenForm, texts: list[str]) -> Logits:
        step, before = f"measuring {_words(form.who, form.runtime)}", self.done
        self.done += len(texts)
        return form.predict(texts, control=self.control, on_rows=lambda rows: self.tell(step, before + rows))


@dataclass(frozen=True)
class _Measured:
    """A form, for one thread; its logits for the test texts; and what is known of it before it is timed."""

    timed: OpenForm
    logits: Logits
    report: dict[str, Any]


def _measure(
    report: Report, who: Role, runtime: Runtime, test: Split, others: Mapping[str, Split], asking: _Asking
) -> _Measured:
    asking.control.check()
    asking.tell(f"preparing {_words(who, runtime)}")
    with _room_on_disk(paths.home()):
        form = open_form(report.run_id, who, runtime)
    logits = asking.predict(form, test[0])
    score = scores(logits, test[1], form.labels)
    found: dict[str, Any] = {
        "name": form.name,
        "who": who,
        "runtime": runtime,
        "accuracy": score.accuracy,
        "low": score.low,
        "high": score.high,
        "macro_f1": score.macro_f1,
        "size_mb": form.size_mb,
        "params": form.params,
    }
    if runtime == "pytorch":
        _check_accuracy(report, who, score.accuracy, len(test[0]))
    else:
        found["shifted"] = {
            name: float((asking.predict(form, texts).argmax(axis=1) == truth).mean())
            for name, (texts, truth) in others.items()
        }
    return _Measured(open_form(report.run_id, who, runtime, threads=1), logits, found)


def _forms(measured: list[_Measured], test: Split, report: Report, control: Control) -> list[FormReport]:
    """Timed in turns, and compared with each other."""
    texts, labels = test
    logits = {one.timed.name: one.logits for one in measured}
    speed = time_in_turns({one.timed.name: one.timed for one in measured}, texts[:TIMED_TEXTS], control)
    answers = {name: own.argmax(axis=1) for name, own in logits.items()}
    judged = judge(answers, labels, report.metric, report.labels)
    return [
        cast(
            FormReport,
            one.report
            | {"difference": _difference(logits, one.timed), "latency_ms": asdict(speed[name])}
            | judged[name],
        )
        for name, one in zip(logits, measured, strict=True)
    ]


def check(config: ExportConfig) -> None:
    """What can be said before anything is computed.

    Raises: RunError for a run that is missing or not finished, ConfigError for a place that cannot be had.
    """
    try:
        run_folder.find(config.run)
    except RunError:
        if run_folder.RUN_ID.fullmatch(config.run) and (paths.work() / config.run).is_dir():
            raise RunError(
                f"Run {config.run} is not finished, so it has no student yet. Wait for its end, or go on "
                f"with it: kd resume {config.run}"
            ) from None
        raise
    if config.to is not None:
        try:
            _check_target(Path(config.to))
        # Too long a name, a NUL in it, a link in a circle, a disk that takes nothing.
        except (OSError, ValueError, RuntimeError) as error:
            why = getattr(error, "strerror", None) or error
            raise ConfigError(f"{config.to!r} cannot be used as a place to export to: {why}.") from error


def _check_target(target: Path) -> None:
    if not target.is_absolute():
        raise ConfigError(f"{str(target)!r} is not an absolute path; write the place in full.")
    inside = target.resolve().is_relative_to(paths.home().resolve())
    if inside and not target.resolve().is_relative_to(paths.exports().resolve()):
        raise ConfigError(
            f"{target} is inside {paths.home()}, where runs and caches lie; choose another place."
        )
    if _is_zip(target) and target.exists():
        raise ConfigError(f"{target} exists already; remove it or choose another name.")
    if target.is_file():
        raise ConfigError(f"{target} is a file; choose a new folder, or a new file that ends in .zip.")
    if target.is_dir() and (entries := sum(1 for _ in target.iterdir())):
        things = "1 file or folder" if entries == 1 else f"{entries:,} files and folders"
        raise ConfigError(f"The folder {target} is not empty: it has {things}. Choose a new or an empty one.")
    above = next((parent for parent in target.parents if parent.exists()), target)
    if above.is_file():
        raise ConfigError(f"{above} is a file, so nothing can be put into it; choose another place.")
    if above.is_dir() and not os.access(above, os.W_OK | os.X_OK):
        raise ConfigError(f"You may not write to {above}; choose another place.")
    paths.try_place(target)


def _write(target: Path, fill: Callable[[Path], None]) -> None:
    """Fill a folder beside ``target``, and put it, or a zip of it, in place as a whole. Raises: RunError."""
    with _room_on_disk(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as temporary:
            folder = Path(temporary, target.name)
            folder.mkdir()
            fill(folder)
            if _is_zip(target):
                make_zip(folder, target)
            else:
                folder.rename(target)  # takes the place of an empty folder, and of no other


@contextmanager
def _room_on_disk(place: Path) -> Iterator[None]:
    """A full disk or a forbidden place, which each library reports in its own way, in one sentence."""
    try:
        yield
    except Exception as error:
        if full := full_disk(error, place):
            raise RunError(
                f"{full}; nothing was written. Free some space, for example with kd clean, or choose another "
                "place."
            ) from error
        if isinstance(error, OSError):
            raise RunError(f"Nothing was written to {place}: {error}. Choose another place.") from error
        raise


def _check_accuracy(report: Report, who: Role, accuracy: float, texts: int) -> None:
    """Raises: RunError where a model does not do what its run says."""
    scored = next(iter(report.models[who].seeds.values()))
    if abs(accuracy - scored.accuracy) > max(ALLOWED, ALLOWED_TEXTS / texts) + 1e-9:
        raise RunError(
            f"{NAMES[who]} of run {report.run_id} has an accuracy of {percent(accuracy)} here, and the run "
            f"says {percent(scored.accuracy)}. Were torch or transformers changed since? Repeat the run."
        )


def _difference(logits: Mapping[str, Logits], form: OpenForm) -> float | None:
    reference = f"{form.who}-pytorch"
    return None if form.name == reference else float(np.abs(logits[form.name] - logits[reference]).max())


def _words(who: Role, runtime: Runtime) -> str:
    return in_sentence(form_name(who, runtime))


def _is_zip(target: Path) -> bool:
    return target.suffix.lower() == ".zip"
