"""A run's models on new texts: answers, agreement, and the words that mattered."""

from types import SimpleNamespace

import numpy as np
import pytest

from kd_core.deployment import predict
from kd_core.deployment.predict import Answer, Reading, answers, effects, open_models, predict_texts, words_of
from kd_core.distillation.calibration import scaled
from kd_core.distillation.metrics import softmax
from kd_core.errors import DataError, RunError

RUN = "20260131-143000-a1b2"
COLUMNS = {"teacher": "teacher", "student": "student-0", "alone": "alone-0"}


class Counting:
    """Odds of 3 to 1 for sport by each "goal", of 2 to 1 for politics by each "vote"; others: none."""

    labels = ("sport", "politics")

    def __init__(self, tokenizer, max_length=64):
        self.tokenizer, self.max_length, self.asked = tokenizer, max_length, []

    def predict(self, texts, *_, **__):
        self.asked += texts
        odds = [[text.count("goal") * np.log(3), text.count("vote") * np.log(2)] for text in texts]
        return np.array(odds, np.float32)


@pytest.mark.parametrize("calibrated", [False, True])
def test_probabilities_are_those_of_the_run(exported, run_id, calibrated):
    rows, events = exported.predictions.head(3), []
    texts = rows["text"].to_list()
    found = predict_texts(run_id, texts, calibrated=calibrated, on_event=events.append)
    assert [(event.done, event.total) for event in events] == [(n, 9) for n in (0, 3, 3, 6, 6, 9)]
    assert [event.label for event in events[::2]] == ["Teacher", "Distilled student", "Student alone"]
    assert [answer["text"] for answer in found["predictions"]] == texts
    assert found["students"] == "The students are those of seed 0, the first of 2."
    for who, column in COLUMNS.items():
        plain = softmax(np.stack(rows[column]))
        temperature = (
            scaled(exported.home / "runs" / run_id, exported.run, who).temperature if calibrated else 1.0
        )
        for row, whole, expected in zip(
            found["predictions"], plain, softmax(np.stack(rows[column]), temperature), strict=True
        ):
            assert list(row[who]) == exported.run.labels
            assert list(row[who].values()) == pytest.approx(expected, abs=1e-5)
            shown = Answer(
                who, dict(zip(row[who], whole.tolist(), strict=True)), 1.0, Reading(1, 1, 0)
            ).divided(temperature)
            assert shown.probabilities == pytest.approx(row[who], abs=1e-5)


@pytest.mark.parametrize("text", ["", "  \n\t", "\0", " \0 "])
def test_empty_text(text):
    with pytest.raises(DataError, match=r"^There is nothing to classify: the text is empty\. Write a few w"):
        predict.checked(text)


def test_half_of_a_surrogate_pair_and_missing_run(kd_home):
    with pytest.raises(DataError, match=r"^Text 2 has half of a surrogate pair, .* UTF-8\. Convert it first"):
        predict_texts(RUN, ["fine", "a\ud83d"])
    with pytest.raises(RunError, match=f"^There is no run {RUN} in "):
        predict_texts(RUN, ["a text"])


@pytest.mark.parametrize(
    "text",
    [
        "😀😀 👩‍👩‍👧",
        "亚洲股市上涨 今日は हिन्दी",
        "go\0al \0\x07\x1b[31m\u202e",
        "[CLS] [SEP] [MASK] [PAD]",
        "goal vote " * 100_000,
        "a" * 1_000_000,
    ],
    ids=["emoji", "scripts", "control", "special tokens", "a million characters", "one long word"],
)
def test_strange_texts_get_an_answer(run_id, text):
    model = open_models(run_id)["student"]
    [found] = answers({"student": model}, text)
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert found.sure == max(found.probabilities.values())
    assert found.milliseconds > 0
    assert 0 <= found.reading.unknown <= found.reading.read <= found.reading.tokens
    assert np.isfinite(effects(model, text[: predict.MAX_CHARACTERS], words_of(text))).all()


def test_what_was_read(run_id):
    model = open_models(run_id)["teacher"]
    limit = model.max_length - 2  # for [CLS] and [SEP]
    text = "goal 😀 " + "vote " * 100 + "😀"  # of two that it does not know it reads one
    [found] = answers({"teacher": model}, text)
    assert found.reading == Reading(103, limit, 1)
    [predicted] = predict_texts(run_id, [text])["predictions"]
    assert predicted["reading"]["teacher"] == {"tokens": 103, "read": limit, "unknown": 1}
    assert found.probabilities == pytest.approx(predicted["teacher"], abs=1e-5)


CUT = "Of 1,334 word pieces the first 126 are read; what comes after them is cut off."


@pytest.mark.parametrize(
    ("reading", "doubts"),
    [
        (Reading(2, 2, 0), []),
        (Reading(1334, 126, 1), [CUT, "1 of 126 word pieces is not in its vocabulary."]),
        (Reading(10, 10, 5), ["5 of 10 word pieces are not in its vocabulary."]),
        (Reading(10, 10, 6), ["6 of 10 word pieces are not in its vocabulary, so its answer says little."]),
    ],
)
def test_doubts(reading, doubts):
    assert reading.doubts == doubts


def test_models_are_timed_in_turns_after_a_warm_up(tiny_tokenizer, monkeypatch):
    """The first calls are slow, and later the machine is: neither may count against one of two equals."""
    now, asked = [0.0], []

    class Slow(Counting):
        def encode(self, texts):
            return tiny_tokenizer(texts)["input_ids"]

        def logits(self, ids):
            asked.append(self)
            now[0] += 9.0 if len(asked) <= 2 * predict.WARM_UP else 0.001 if len(asked) < 10 else 0.002
            return self.predict(["goal"])

    models = {who: Slow(tiny_tokenizer) for who in ("student", "alone")}
    monkeypatch.setattr(predict, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    student, alone = answers(models, "goal")
    assert asked[:4] == [models["student"], models["alone"]] * 2
    assert student.milliseconds == pytest.approx(alone.milliseconds) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("text", "max_length", "expected"),
    [
        # 3 to 2 for sport; without goal 1 to 2, without vote 3 to 1.
        ("goal the vote", 64, [3 / 5 - 1 / 3, 0, 3 / 5 - 3 / 4]),
        ("vote vote goal", 64, [4 / 7 - 2 / 5, 4 / 7 - 2 / 5, 4 / 7 - 4 / 5]),  # 4 to 3 for politics
        ("goal", 64, [3 / 4 - 1 / 2]),
        ("goal the goal vote", 4, [3 / 4 - 1 / 2, 0, 0, 0]),  # what is not read does not move up
    ],
)
def test_effects_of_words_by_hand(tiny_tokenizer, text, max_length, expected):
    model = Counting(tiny_tokenizer, max_length)
    assert effects(model, text, words_of(text)) == pytest.approx(expected)
    if max_length == 4:
        assert model.asked == ["goal the", "  the", "goal  "]


@pytest.mark.parametrize(
    "text",
    [
        "Shares| rise,| he's| back",
        "  a| \n b ",
        "股|市|up|上|涨",
        "ﾊ|ﾝ|ｶ|ｸ|ｶﾞ|か\u3099|。",
        "น้ำ|ดื่|ม|ok| ๒๕๖๗",
        "ນ້ຳ|ດື່|ມ",
        "ភា|សា\u200b|ខ្មែ|រ|។",
        "မြ|န်|မာ| မ|င်္ဂ|လာ|ပါ|၊",
        "😀😀| हिन्दी| भाषा",
        "لُغَة| עִבְרִית",
        "한국어| 문장| Tie\u0302\u0301ng| Việt",
        " ",
        "a| " * predict.MAX_WORDS,
    ],
)
def test_words(text):
    whole = text.replace("|", "")
    words = [word.strip(" \n") for word in text.split("|")]
    assert [whole[first:last] for first, last in words_of(whole)] == [word for word in words if word]


def test_number_of_words_is_limited():
    assert words_of("a " * 1000)[-1] == (2 * predict.MAX_WORDS - 2, 2 * predict.MAX_WORDS - 1)


PAIR = "Teacher and distilled student"
EACH = "Each says something else: the teacher says a, the distilled student says b, the student alone says c."


@pytest.mark.parametrize(
    ("answers", "same", "short", "sentence"),
    [
        ("aaa", "tsa", "All three", "All three say a."),
        ("aa", "ts", PAIR, f"{PAIR} say a."),  # where nobody learned alone
        ("aab", "ts", PAIR, f"{PAIR} say a; the student alone says b."),
        (
            "aba",
            "ta",
            "Teacher and student alone",
            "Teacher and student alone say a; the distilled student says b.",
        ),
        ("abc", "t", "None", EACH),
    ],
)
def test_agreement(answers, same, short, sentence):
    said = dict(zip(COLUMNS, answers, strict=False))
    assert "".join(who[0] for who in predict.largest_agreement(said)) == same
    assert (predict.agreement(said), predict.agreement_sentence(said)) == (short, sentence)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"student": "a"}, "Distilled student: a."),
        ({"student": "a", "alone": "b"}, "Distilled student: a; the student alone says b."),
    ],
)
def test_agreement_without_a_teacher(said, sentence):
    assert predict.agreement_sentence(said) == sentence


def test_table_of_answers():
    odds = {"teacher": [[3, 1], [1, 1.5]], "student": [[1, 1], [1, 4]], "alone": [[1, 3], [1, 9]]}
    logits = {who: np.log(rows) for who, rows in odds.items()}
    table = predict.answers_table(("a", "b"), ["one", "two"], logits, ["a", "x"]).round(6)
    assert table.to_numpy().tolist() == [
        ["one", "a", "a", 75.0, "a", 50.0, "b", 75.0, PAIR],
        ["two", "x", "b", 60.0, "b", 80.0, "b", 90.0, "All three"],
    ]
    assert list(table)[:4] == ["text", "label", "teacher", "teacher_sure"]
    alone = predict.answers_table(("a", "b"), ["one", "two"], {"student": logits["student"]})
    assert list(alone) == ["text", "student", "student_sure"]
