"""A run's models on new texts: answers, agreement, and the words that mattered."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from kd_core.deployment import predict
from kd_core.deployment.predict import (
    MAX_CHARACTERS,
    MAX_WORDS,
    WARM_UP,
    Answer,
    Reading,
    agreement,
    agreement_sentence,
    answers,
    answers_table,
    checked,
    effects,
    largest_agreement,
    open_models,
    predict_texts,
    words_of,
)
from kd_core.distillation.calibration import scaled
from kd_core.distillation.events import Progress
from kd_core.distillation.metrics import softmax
from kd_core.errors import DataError, RunError
from kd_core.system import paths
from kd_core.system.atomic import new_folder
from tests.unit.distillation.reported import report

RUN = "20260131-143000-a1b2"


@pytest.fixture
def at_home(finished_run, monkeypatch) -> None:
    monkeypatch.setenv("KD_HOME", str(finished_run.home))


@pytest.fixture
def copied_home(finished_run, tmp_path, monkeypatch) -> Path:
    """The run and its ``KD_HOME``, to be damaged."""
    shutil.copytree(finished_run.home, tmp_path / "home")
    monkeypatch.setenv("KD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


class Counting:
    """Odds of 3 to 1 for sport by each "goal", of 2 to 1 for politics by each "vote"; others: none."""

    labels = ("sport", "politics")
    who = "student"

    def __init__(self, tokenizer: Any, max_length: int = 64) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.asked: list[str] = []

    def predict(self, texts: Sequence[str], *_: Any, **__: Any) -> np.ndarray:
        self.asked += texts
        return np.array(
            [[text.count("goal") * np.log(3), text.count("vote") * np.log(2)] for text in texts], np.float32
        )


# predict


def test_predict(finished_run, at_home):
    table = pd.read_parquet(finished_run.folder / "predictions.parquet")
    texts = table["text"].tolist()[:3]
    events: list[Progress] = []
    found = predict_texts(finished_run.report.run_id, texts, on_event=events.append)
    assert [(event.done, event.total) for event in events] == [(n, 9) for n in (0, 3, 3, 6, 6, 9)]
    assert [event.label for event in events[::2]] == ["Teacher", "Distilled student", "Student alone"]
    assert found["run_id"] == finished_run.report.run_id
    assert [answer["text"] for answer in found["predictions"]] == texts
    for who, column in (("teacher", "teacher"), ("student", "student-0"), ("alone", "alone-0")):
        expected = torch.softmax(torch.tensor(np.stack(table[column][:3])), -1).numpy()
        for row, probabilities in zip(found["predictions"], expected, strict=True):
            assert list(row[who]) == finished_run.report.labels
            assert list(row[who].values()) == pytest.approx(probabilities, abs=1e-5)
            assert sum(row[who].values()) == pytest.approx(1)


def test_calibrated_probabilities_are_those_of_divided_logits(finished_run, at_home):
    report, folder = finished_run.report, finished_run.folder
    table = pd.read_parquet(folder / "predictions.parquet").head(3)
    found = predict_texts(report.run_id, table["text"].tolist(), calibrated=True)
    plain = predict_texts(report.run_id, table["text"].tolist())
    for who, name in (("teacher", "teacher"), ("student", "student-0")):
        temperature = scaled(Path(folder), report, who).temperature
        expected = softmax(np.stack(table[name]), temperature)
        for row, before, probabilities in zip(
            found["predictions"], plain["predictions"], expected, strict=True
        ):
            assert list(row[who].values()) == pytest.approx(probabilities, abs=1e-5)
            shown = Answer(who, before[who], 1.0, Reading(1, 1, 0)).divided(temperature)
            assert list(shown.probabilities.values()) == pytest.approx(probabilities, abs=1e-5)
            assert shown.label == max(before[who], key=before[who].get)


def flip_a_byte(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("who", ["student", "teacher"])
def test_what_was_changed_is_refused(finished_run, copied_home, who):
    of_run = finished_run.report
    folder = copied_home / "runs" / of_run.run_id
    teacher = copied_home / "cache" / "teachers" / of_run.teacher_key
    flip_a_byte((folder / "students" / "student-0" if who == "student" else teacher) / "model.safetensors")
    place = folder if who == "student" else teacher
    where = "/".join(place.parts[-2:])
    text = rf"^Files of run {of_run.run_id} are missing or were changed: {re.escape(where)}\. Put them"
    with pytest.raises(RunError, match=text):
        predict_texts(of_run.run_id, ["goal"])


def test_a_teacher_that_is_gone(finished_run, copied_home):
    shutil.rmtree(copied_home / "cache")
    with pytest.raises(RunError, match=rf"^Files of run {finished_run.report.run_id} are missing"):
        predict_texts(finished_run.report.run_id, ["goal"])


def test_a_run_that_is_not_there(kd_home):
    with pytest.raises(RunError, match=f"^There is no run {RUN} in "):
        predict_texts(RUN, ["a text"])


def test_a_run_without_a_report(kd_home):
    (paths.runs() / RUN).mkdir(parents=True)
    with pytest.raises(RunError, match=f"^{RUN} has no report: "):
        predict_texts(RUN, ["a text"])


def test_a_run_with_a_file_that_was_changed(kd_home):
    with new_folder(paths.caches() / "teachers" / report().teacher_key) as folder:
        (folder / "config.json").write_text("{}")
    with new_folder(paths.runs() / RUN) as folder:
        report().write(folder)
    with (paths.runs() / RUN / "report.json").open("a") as file:
        file.write("\n")
    with pytest.raises(RunError, match=r"^Files of run .* are missing or were changed: "):
        predict_texts(RUN, ["a text"])


# What people will type


@pytest.mark.parametrize("text", ["", "  \n\t", "\0", " \0 "])
def test_nothing_to_classify(text):
    with pytest.raises(DataError) as caught:
        checked(text)
    assert str(caught.value) == "There is nothing to classify: the text is empty. Write a few words."


def test_half_of_a_surrogate_pair(kd_home):
    with pytest.raises(DataError) as caught:
        predict_texts(RUN, ["fine", "a\ud83d"])
    assert str(caught.value) == (
        "Text 2 has half of a surrogate pair, which is no character; its bytes are not UTF-8. Convert it "
        "first, for example with iconv."
    )


STRANGE = {
    "emoji": "😀😀 👩‍👩‍👧",
    "another script": "亚洲股市上涨 今日は हिन्दी",
    "NUL": "go\0al \0",
    "control characters": "goal\x07\x1b[31m\u202e",
    "special tokens": "[CLS] [SEP] [MASK] [PAD]",
    "a million characters": "goal vote " * 100_000,
    "one long word": "a" * 1_000_000,
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=STRANGE)
def test_strange_texts_get_an_answer(finished_run, at_home, text):
    models = open_models(finished_run.report.run_id)
    for found in answers(models, text):
        model = models[found.who]
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert found.label in finished_run.report.labels
        assert found.sure == max(found.probabilities.values())
        assert found.milliseconds > 0
        assert 0 <= found.reading.unknown <= found.reading.read <= found.reading.tokens
        spans = words_of(text)
        assert np.isfinite(effects(model, text[:MAX_CHARACTERS], spans)).all()


def test_ten_thousand_texts(finished_run, at_home):
    model = open_models(finished_run.report.run_id)["student"]
    texts = [f"goal {number}" for number in range(10_000)]
    assert model.predict(texts).shape == (10_000, 5)


def test_an_answer_says_what_was_read(finished_run, at_home):
    model = open_models(finished_run.report.run_id)["teacher"]
    limit = model.max_length - 2  # for [CLS] and [SEP]
    text = "goal 😀 " + "vote " * 100 + "😀"  # of two that it does not know it reads one
    [found] = answers({"teacher": model}, text)
    assert found.reading == Reading(103, limit, 1)
    assert found.probabilities == pytest.approx(
        predict_texts(finished_run.report.run_id, [text])["predictions"][0]["teacher"],
        abs=1e-5,
    )
    [predicted] = predict_texts(finished_run.report.run_id, [text])["predictions"]
    assert predicted["reading"]["teacher"] == {"tokens": 103, "read": limit, "unknown": 1}
    [short] = answers({"teacher": model}, "goal vote")
    assert short.reading == Reading(2, 2, 0)


def test_what_makes_an_answer_doubtful():
    assert Reading(2, 2, 0).doubts == []
    cut = "Of 1,334 word pieces the first 126 are read; what comes after them is cut off."
    assert Reading(1334, 126, 1).doubts == [cut, "1 of 126 word pieces is not in its vocabulary."]
    little = "7 of 10 word pieces are not in its vocabulary, so its answer says little."
    assert Reading(10, 10, 7).doubts == [little]


def test_models_are_timed_by_turns_after_they_are_warm(tiny_tokenizer, monkeypatch):
    """The first calls are slow, and later the machine is: neither may count against one of two equals."""
    now, asked = [0.0], []

    class Slow(Counting):
        def encode(self, texts):
            return tiny_tokenizer(texts)["input_ids"]

        def logits(self, ids):
            asked.append(self.who)
            now[0] += 9.0 if len(asked) <= 2 * WARM_UP else 0.001 if len(asked) < 10 else 0.002
            return self.predict(["goal"])

    models = {who: Slow(tiny_tokenizer) for who in ("student", "alone")}
    for who, model in models.items():
        model.who = who
    monkeypatch.setattr(predict, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    student, alone = answers(models, "goal")
    assert asked[:4] == ["student", "alone"] * 2
    assert student.milliseconds == pytest.approx(alone.milliseconds) == pytest.approx(1.0)


# Which words mattered


def test_effects_by_hand(tiny_tokenizer):
    """ "goal vote": 3 to 2 for sport. Without goal 1 to 2, without vote 3 to 1."""
    text = "goal the vote"
    found = effects(Counting(tiny_tokenizer), text, words_of(text))
    assert found == pytest.approx([3 / 5 - 1 / 3, 0, 3 / 5 - 3 / 4])


def test_effects_are_on_the_models_own_answer(tiny_tokenizer):
    text = "vote vote goal"  # 4 to 3 for politics
    found = effects(Counting(tiny_tokenizer), text, words_of(text))
    assert found == pytest.approx([4 / 7 - 2 / 5, 4 / 7 - 2 / 5, 4 / 7 - 4 / 5])


def test_what_is_not_read_has_no_effect_and_does_not_move_up(tiny_tokenizer):
    model, text = Counting(tiny_tokenizer, max_length=4), "goal the goal vote"
    assert effects(model, text, words_of(text)) == pytest.approx([3 / 4 - 1 / 2, 0, 0, 0])
    assert model.asked == ["goal the", "  the", "goal  "]


def test_one_word(tiny_tokenizer):
    assert effects(Counting(tiny_tokenizer), "goal", [(0, 4)]) == pytest.approx([3 / 4 - 1 / 2])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Shares rise, he's back", ["Shares", "rise,", "he's", "back"]),
        ("  a \n b ", ["a", "b"]),
        ("股市up上涨", ["股", "市", "up", "上", "涨"]),
        ("ﾊﾝｶｸｶﾞか\u3099。", ["ﾊ", "ﾝ", "ｶ", "ｸ", "ｶﾞ", "か\u3099", "。"]),
        ("น้ำดื่มok ๒๕๖๗", ["น้ำ", "ดื่", "ม", "ok", "๒๕๖๗"]),
        ("ນ້ຳດື່ມ", ["ນ້ຳ", "ດື່", "ມ"]),
        ("ភាសា\u200bខ្មែរ។", ["ភា", "សា\u200b", "ខ្មែ", "រ", "។"]),
        ("မြန်မာ မင်္ဂလာပါ၊", ["မြ", "န်", "မာ", "မ", "င်္ဂ", "လာ", "ပါ", "၊"]),
        ("😀😀 हिन्दी भाषा", ["😀😀", "हिन्दी", "भाषा"]),
        ("لُغَة עִבְרִית", ["لُغَة", "עִבְרִית"]),
        ("한국어 문장 Tie\u0302\u0301ng Việt", ["한국어", "문장", "Tie\u0302\u0301ng", "Việt"]),
        (" ", []),
    ],
)
def test_words(text, words):
    assert [text[first:last] for first, last in words_of(text)] == words


def test_only_so_many_words():
    assert words_of("a " * 1000)[-1] == (2 * MAX_WORDS - 2, 2 * MAX_WORDS - 1)


# Agreement


@pytest.mark.parametrize(
    ("answers", "same", "short", "sentence"),
    [
        ("aaa", ["teacher", "student", "alone"], "All three", "All three say a."),
        (
            "aa",  # where nobody learned alone
            ["teacher", "student"],
            "Teacher and distilled student",
            "Teacher and distilled student say a.",
        ),
        (
            "aab",
            ["teacher", "student"],
            "Teacher and distilled student",
            "Teacher and distilled student say a; the student alone says b.",
        ),
        (
            "aba",
            ["teacher", "alone"],
            "Teacher and student alone",
            "Teacher and student alone say a; the distilled student says b.",
        ),
        (
            "abb",
            ["student", "alone"],
            "Distilled student and student alone",
            "Distilled student and student alone say b; the teacher says a.",
        ),
        (
            "abc",
            ["teacher"],
            "None",
            "Each says something else: the teacher says a, the distilled student says b, the student alone "
            "says c.",
        ),
    ],
)
def test_agreement(answers, same, short, sentence):
    said = dict(zip(("teacher", "student", "alone"), answers, strict=False))
    assert (largest_agreement(said), agreement(said), agreement_sentence(said)) == (same, short, sentence)


def test_the_table_of_answers():
    logits = {
        "teacher": np.log([[3.0, 1.0], [1.0, 1.5]]),
        "student": np.log([[1.0, 1.0], [1.0, 4.0]]),
        "alone": np.log([[1.0, 3.0], [1.0, 9.0]]),
    }
    table = answers_table(("a", "b"), ["one", "two"], logits, ["a", "x"])
    assert table.round(6).to_dict("list") == {
        "text": ["one", "two"],
        "label": ["a", "x"],
        "teacher": ["a", "b"],
        "teacher_sure": [75.0, 60.0],
        "student": ["a", "b"],
        "student_sure": [50.0, 80.0],
        "alone": ["b", "b"],
        "alone_sure": [75.0, 90.0],
        "agreement": ["Teacher and distilled student", "All three"],
    }
    assert "label" not in answers_table(("a", "b"), ["one", "two"], logits)
    assert "agreement" not in answers_table(("a", "b"), ["one", "two"], {"student": logits["student"]})
