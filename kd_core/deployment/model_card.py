"""The model card of an exported student: Markdown with the Hub's metadata. No torch."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
from huggingface_hub import EvalResult, ModelCardData
from jinja2 import Environment, StrictUndefined

from kd_core.config import HUB_PREFIX, INTERMEDIATE, ObjectiveConfig
from kd_core.data.bundled import ORIGINS, TASKS
from kd_core.data.uploads import safe_name
from kd_core.deployment import staircase
from kd_core.deployment.cascade import Cascade
from kd_core.deployment.network_code import allowing, with_code
from kd_core.deployment.reports import FormReport
from kd_core.distillation.calibration import Scaled, floor
from kd_core.distillation.metrics import ECE_BINS, Scores
from kd_core.distillation.report import Report
from kd_core.distillation.report_tables import calibration_error, score
from kd_core.distillation.report_times import latency_conditions, unsteady
from kd_core.distillation.roles import FROM_TEACHER, NAMES, ROLES
from kd_core.models.presets import TEACHERS, other_network
from kd_core.system.formatting import capitalised, count, megabytes, milliseconds, percent, with_interval
from kd_core.system.machine import describe_machine

TEMPLATE = Path(__file__).with_suffix(".md")
# Of the teachers that come along: what their weights are, and the licence.
WEIGHTS = {
    "bundled": ("sentence-transformers/all-MiniLM-L6-v2", "Apache License 2.0"),
    "extra": ("intfloat/multilingual-e5-small", "MIT License"),
}

PIPELINE = """\
# pip install transformers torch
from transformers import pipeline

classify = pipeline("text-classification", model="model"{allow})
print(classify(["a text", "another text"], truncation=True))
"""
ONNX = """\
# pip install onnxruntime tokenizers
import json

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

tokenizer = Tokenizer.from_file("onnx/tokenizer.json")  # cuts long texts, and pads
session = onnxruntime.InferenceSession("onnx/{file}")
labels = json.load(open("onnx/config.json", encoding="utf-8"))["id2label"]

texts = ["a text", "another text"]
read = tokenizer.encode_batch(texts)
logits = session.run(["logits"], {{
    "input_ids": np.array([text.ids for text in read], dtype=np.int64),
    "attention_mask": np.array([text.attention_mask for text in read], dtype=np.int64),
}})[0]
print([labels[str(row.argmax())] for row in logits])
"""


def _of_one(report: Report, seed: int) -> str:
    """The scores of one seed's student: first the one that the run is judged by."""
    one, metric = report.student.seeds[seed], report.metric
    accuracy = f"{report.measures} {with_interval(one.accuracy, one.low, one.high)}"
    if metric == "accuracy":
        return accuracy
    return f"{report.judged_by} {percent(report.student.of_seed(seed, metric))}, {accuracy}"


def pipeline_code(student: str) -> str:
    """How an exported student of that name is used with transformers."""
    return PIPELINE.format(allow=allowing(bool(other_network(student))))


def model_card(
    report: Report,
    forms: Sequence[FormReport],
    files: Mapping[str, str | None],
    onnx: Sequence[str],
    calibrated: Scaled | None = None,
    pair: Cascade | None = None,
    network: str | None = None,
) -> str:
    """``files``: the SHA-256 of each that has to be brought; ``onnx``: names of the bundle's ONNX files;
    ``pair``: the cascade that comes along; ``network``: what the student is where it is no transformer (None:
    as its name says).
    """
    config = report.config
    task, teacher, student = config["task"]["name"], config["teacher"]["model"], config["student"]["model"]
    seeds, shifted = config["training"]["seeds"], report.student.shifted
    objective = ObjectiveConfig.model_validate(config["objective"])
    first = report.student.seeds[seeds[0]]
    conditions = staircase.conditions(forms, describe_machine(), report.rows["test"], report.measures)
    network = other_network(student) if network is None else network
    source = student if config["student"]["init"] == "pretrained" else teacher
    template = Environment(
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    ).from_string(TEMPLATE.read_text("utf-8"))
    return template.render(
        metadata=_metadata(config, source, files, first, network).to_yaml(),
        report=report,
        config=config,
        task=plain(_last(task)),
        about=TASKS.get(task, ""),
        teacher=plain(_last(teacher)),
        student=plain(_last(student)),
        labels=[plain(name) for name in report.labels],
        notes=[plain(note) for note in report.notes],
        sentence=plain(report.sentence),
        created=f"{datetime.fromisoformat(report.created):%d %B %Y}",
        first=first,
        here=_of_one(report, seeds[0]),
        seeds=seeds,
        network=network,
        code=with_code(config),
        objective=_minimised(objective),
        learned_from=_learned_from(objective),
        learns_answers=objective.alpha < 1,
        source=plain(_last(source)),
        unlabelled=report.rows.get("transfer", 0) - report.rows.get("spans", 0),
        origin=ORIGINS.get(task),
        hub_data=plain(task.removeprefix(HUB_PREFIX)) if task.startswith(HUB_PREFIX) else "",
        weights=_weights(source),
        onnx=onnx,
        pipeline_code=PIPELINE.format(allow=allowing(bool(network))),
        pair=pair,
        onnx_code=ONNX.format(file=onnx[-1]) if onnx else "",
        controls=[ROLES[who] for who in report.models if who not in ("teacher", "student")],
        models=_markdown(_models(report)),
        timed=plain(f"{latency_conditions(report)} {unsteady(report)}"),
        forms=_markdown(staircase.table(forms, report.measures)),
        files=files,
        conditions=f"{conditions} {staircase.doubt(forms)}".rstrip(),
        shifted=_markdown(_shifted(report)) if shifted else "",
        calibrated=calibrated,
        ece_floor=floor(first.reliability),
        after_floor=floor(calibrated.after.reliability) if calibrated else None,
        bins=ECE_BINS,
        start=None if report.teacher_is_file else FROM_TEACHER.get(config["student"]["init"]),
        others=report.measured[report.other_metric],
        read=report.student.by(report.other_metric),
        worst=_worst(report),
        percent=percent,
        with_interval=with_interval,
        megabytes=megabytes,
        count=count,
        capitalised=capitalised,
        plain=plain,
    )


# What Markdown reads as markup, or as the start of a list, a heading or an address.
_MARKUP = re.compile(r"^\W|[^\w\s,;'()%/.+:-]|(?<=www)\.|:(?=\S)|(?<=^\d)[.)]", re.IGNORECASE)


def plain(text: object) -> str:
    """A user's text on one line that Markdown shows as it is."""
    return _MARKUP.sub(_literally, " ".join(str(text).split()))


def _literally(match: re.Match[str]) -> str:
    character = match[0]
    if character in "<>&":
        return f"&#{ord(character)};"
    return f"\\{character}" if character in string.punctuation else character


def _learned_from(objective: ObjectiveConfig) -> str:
    """In words, after "learned from"."""
    heeded = ["the labels"] if objective.alpha else []
    if objective.alpha < 1:
        answers = "probabilities" if objective.learns_probabilities else "choices"
        heeded.append(f"a larger teacher's {answers}")
    if objective.needs_teacher_online:
        heeded.append("its inner states" if objective.alpha < 1 else "a larger teacher's inner states")
    return " and from ".join(heeded) if objective.uses_teacher else "the labels alone"


def _worst(report: Report) -> tuple[str, float] | None:
    """The other texts of which the student knows least, and its score; of reports of before by that alone."""
    _, *others = report.on_other_texts["student"].items()
    read, rises = report.student.by(report.other_metric), report.student.rises
    worse = [(name, own) for name, own in others if (rises[name][1] < 0 if name in rises else own < read)]
    return min(worse, key=lambda item: item[1], default=None)


def _minimised(objective: ObjectiveConfig) -> str:
    """In a sentence's half."""
    terms = [f"{objective.alpha:g} x hard loss"] if objective.alpha else []
    if objective.alpha < 1:
        softened = f", temperature {objective.temperature:g}" if objective.has_temperature else ""
        terms.append(f"{1 - objective.alpha:g} x soft loss ({objective.divergence}{softened})")
    inner = {name: getattr(objective, name) for name in INTERMEDIATE}
    terms += [f"{weight:g} x {name.removesuffix('_weight')}" for name, weight in inner.items() if weight]
    weights = plain(objective.class_weights)
    return " + ".join(terms) + ("" if weights == "none" else f"; classes weighed: {weights}")


def _metadata(
    config: Mapping[str, Any], source: str, files: Mapping[str, str | None], first: Scores, network: str
) -> ModelCardData:
    """``source``: the model whose weights the student began with."""
    task, student = config["task"]["name"], config["student"]["model"]
    preset, weights = TEACHERS.get(source), _weights(source)
    base = weights[0] if weights else preset.hub_id if preset else source
    if source in files:
        base = None
    custom = ["custom_code"] if network else []  # the Hub's name for it
    measured = {"accuracy": ("Accuracy", first.accuracy), "f1": ("Macro-F1", first.macro_f1)}
    if config["task"].get("gold") == "none":
        measured = {"agreement": ("Agreement with the teacher", first.accuracy)}
    return ModelCardData(
        language=ORIGINS[task].code if task in ORIGINS else None,
        license="other",
        license_name="see-model-card",
        license_link="README.md",
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["text-classification", "knowledge-distillation", "kd-studio", *custom],
        base_model=base,
        datasets=[task.removeprefix(HUB_PREFIX)] if task.startswith(HUB_PREFIX) else None,
        metrics=list(measured),
        model_name=f"{safe_name(_last(student))}-{safe_name(_last(task))}",
        eval_results=[
            EvalResult(
                task_type="text-classification",
                dataset_type=safe_name(_last(task)),
                dataset_name=_last(task),
                dataset_split="test",
                metric_type=kind,
                metric_name=name,
                metric_value=round(value, 4),
            )
            for kind, (name, value) in measured.items()
        ],
    )


def _weights(source: str) -> tuple[str, str] | None:
    return WEIGHTS.get(TEACHERS[source].source) if source in TEACHERS else None


def _last(name: str) -> str:
    """A file's or a model's name without its folder; that of a Hub model or data set stays whole."""
    return name.removeprefix("bring/")


def _models(report: Report) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "Model": NAMES[who],
                **{
                    plain(capitalised(name)): score(model, metric) for metric, name in report.measured.items()
                },
                "Calibration error": calibration_error(report, who),
                "Parameters": count(model.params),
                "Size": megabytes(model.size_mb),
                "Latency p50": milliseconds(model.p50),
            }
            for who, model in report.judged.items()
        ]
    )


def _shifted(report: Report) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"Model": NAMES[who]} | {plain(name).capitalize(): percent(score) for name, score in own.items()}
            for who, own in report.on_other_texts.items()
        ]
    )


def _markdown(table: pd.DataFrame) -> str:
    rows = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)
