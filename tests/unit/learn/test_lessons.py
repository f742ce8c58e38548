"""The lessons: complete, filled with recorded numbers, and correct."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import special, stats

from kd_core.learn import lessons as module
from kd_core.learn.choosing import best_of
from kd_core.learn.facts import FACTS, facts
from kd_core.learn.lab_results import soft_over_hard, transfer_table
from kd_core.learn.lessons import Lesson, lessons
from kd_core.learn.recorded import FOLDER, other_tasks, recorded, recorded_lab

NAMES = ["soft-labels", "temperature", "alpha", "data-and-size", "when-not", "choosing"]


def test_six_lessons_in_order() -> None:
    assert list(lessons()) == NAMES == list(FACTS)
    assert {lesson.minutes for lesson in lessons().values()} == {10}
    assert lessons()["data-and-size"].part_names == ("Before", "Lab", "Lab 2", "Reveal", "Summary")


@pytest.mark.parametrize("name", NAMES)
def test_placeholders_are_filled_and_the_answer_can_be_given(name: str) -> None:
    lesson, found = lessons()[name], facts(name)
    for text in (lesson.question, *lesson.options, *lesson.parts.values()):
        assert not re.search(r"[{}]", found.fill(text))
    if lesson.number:
        assert lesson.number.low < float(found.answer) < lesson.number.high
    else:
        assert found.answer in [found.fill(option) for option in lesson.options]


@pytest.mark.parametrize("name", NAMES)
def test_no_measured_number_is_typed(name: str) -> None:
    """Typed numbers are settings, years or a paper's number, never shares."""
    texts = " ".join((lessons()[name].question, *lessons()[name].parts.values()))
    texts = re.sub(r"\b\d{4}\.\d{5}\b|95 % interval", "", texts)
    assert not re.search(r"\d\s*(%|points)|\d\.\d{2}", texts)


def test_closest_class() -> None:
    """Only texts that the teacher classifies correctly count."""
    known, found = recorded(), facts("soft-labels")
    wrong = known.logits["teacher"].argmax(axis=1) != known.truth
    row = known.labels.index(found.words["class"])
    shares = special.softmax(known.logits["teacher"], axis=1)[(known.truth == row) & ~wrong]
    assert found.words["read"] == str(len(shares))
    rest = np.delete(shares, row, axis=1).mean(axis=0)
    names = [name for name in known.labels if name != found.words["class"]]
    assert found.answer == names[int(rest.argmax())]
    assert found.words["share"] == f"{100 * rest.max() / rest.sum():.0f} %"
    assert found.words["wrong"] == str(wrong.sum())
    low, share, high = (float(found.words[name].split()[0]) for name in ("share_low", "share", "share_high"))
    assert low < share < high
    assert low > 25, "more than an even share"
    stays, *others = (float(found.words[name].split()[0]) for name in ("stays", "most_stays", "least_stays"))
    assert stays > others[0] >= others[1], "the class that the texts settle best"


def test_growth_of_the_gradient_with_t_squared() -> None:
    """The gradient of forward KL by the logits is (p_s - p_t) / T."""
    known, found = recorded(), facts("temperature")

    def growth(student: np.ndarray) -> float:
        lengths = [
            t
            * np.linalg.norm(
                special.softmax(student / t, 1) - special.softmax(known.logits["teacher"] / t, 1), axis=1
            )
            for t in (1, 4)
        ]
        return float(np.median(lengths[1] / lengths[0]))

    assert found.words["growth_trained"] == f"{growth(known.logits['alone']):.1f}" == "180.6"
    assert found.words["growth_untrained"] == f"{growth(np.zeros((200, 5))):.1f}" == "2.6"


def test_answer_of_the_temperature_lesson() -> None:
    found, logits = facts("temperature"), recorded().logits["teacher"]
    row = int(found.words["row"])
    assert found.answer == pytest.approx(100 * special.softmax(logits[row] / 8).max(), abs=1e-9)
    assert found.words["cold"] == f"{100 * special.softmax(logits[row]).max():.1f} %" == "90.7 %"


def test_alpha_at_which_the_gradients_balance() -> None:
    known, found = recorded(), facts("alpha")
    row, names = int(found.words["row"]), list(known.labels)
    label, said = names.index(found.words["label"]), names.index(found.words["wrong_class"])
    assert known.truth[row] == label != said == known.logits["teacher"][row].argmax()
    soft = 4 * (special.softmax(known.logits["teacher"][row] / 4) - 1 / 5)
    hard = np.eye(5)[label] - 1 / 5
    level = (soft[said] - soft[label]) / (soft[said] - soft[label] + hard[label] - hard[said])
    assert 0 < float(found.words["turn"]) - level <= 0.05
    cold = special.softmax(known.logits["teacher"][row]) - 1 / 5
    level_cold = (cold[said] - cold[label]) / (cold[said] - cold[label] + hard[label] - hard[said])
    assert 0 < float(found.words["turn_cold"]) - level_cold <= 0.05
    assert found.words["push_label"] == f"{0.3 * hard[label] + 0.7 * soft[label]:+.2f}".replace("-", "−")
    assert found.answer == f"{names[said]}, as the teacher says"


def test_recorded_gain() -> None:
    cells = json.loads((FOLDER / "transfer-bbc-headlines.json").read_text("utf-8"))["cells"]
    most = max(cell["transfer"] for cell in cells)
    mean = {
        who: np.mean([c["accuracy"] for c in cells if c["who"] == who and c["transfer"] == transfer])
        for who, transfer in (("alone", 0), ("student", most))
    }
    assert facts("data-and-size").answer == pytest.approx(100 * (mean["student"] - mean["alone"]))


def test_smallest_good_student() -> None:
    report, found = recorded_lab("size"), facts("data-and-size")
    by_size: dict[str, list[dict]] = {}
    for cell in report["cells"]:
        by_size.setdefault(f"{cell['layers']} x {cell['hidden']}", []).append(cell)
    means = {name: np.mean([cell["accuracy"] for cell in mine]) for name, mine in by_size.items()}
    enough = [name for name, mean in means.items() if mean >= max(means.values()) - 0.01]
    assert found.words["smallest"] == min(enough, key=lambda name: by_size[name][0]["params"])
    assert found.words["best"] == max(means, key=lambda name: means[name])


def test_weaker_gradient() -> None:
    found, known = facts("temperature"), recorded()
    row = int(found.words["row"])

    def size(t: float) -> float:
        alone, teacher = (special.softmax(known.logits[who][row] / t) for who in ("alone", "teacher"))
        assert stats.entropy(teacher, alone) >= 0
        return float(np.linalg.norm(alone - teacher) / t)

    assert found.words["weaker"] == f"{size(1) / size(8):.1f} times"
    assert found.words["halved"] == f"{size(8) / size(16):.1f} times"


def test_cases_without_a_gain() -> None:
    tasks, report = other_tasks(), recorded_lab("transfer")
    for task in tasks.values():
        assert abs(task["distilled"] - task["alone"]) < 0.5
    films = tasks["films"]
    assert 0 < films["distilled"] - films["floor"] < 0.5 * (films["teacher"] - films["distilled"])
    assert soft_over_hard(report).kind == "no_difference"
    table = transfer_table(report)
    assert set(table["kind"].dropna()) == {"no_difference"}
    known, words = recorded(), facts("when-not").words
    assert (words["few"], words["others"]) == ("No", "Nor does any of the others.")
    assert report["config"]["student"]["init"] == "teacher_vectors", "as those of the table"
    assert (words["lab_alone"], words["lab_gain"]) == ("85.6 %", facts("alpha").words["labelled_gain"])
    assert words["lab_random"] == "71.9 %"
    right = (known.logits["student"].argmax(axis=1) == known.truth).sum()
    assert (words["right_student"], words["agree_teacher"]) == (str(right), "200")


def test_gain_on_labelled_texts() -> None:
    row = transfer_table(recorded_lab("transfer")).set_index(["who", "transfer"]).loc[("student", 0)]
    low, high = (f"{100 * row[end]:+.1f}".replace("-", "−") for end in ("delta_low", "delta_high"))
    words = facts("alpha").words
    assert words["labelled_gain"] == f"{100 * row['delta']:+.1f} points ({low} to {high})"
    assert row["kind"] == "no_difference"
    assert words["labelled_told"].endswith("these texts cannot tell")


def test_recorded_stairs() -> None:
    cells, words = recorded_lab("transfer")["cells"], facts("data-and-size").words
    mean = {
        (who, texts): np.mean([c["accuracy"] for c in cells if (c["who"], c["transfer"]) == (who, texts)])
        for who, texts in (("plain_start", 0), ("alone", 0), ("student", 0), ("student", 8_000))
    }
    assert words["random_start"] == f"{100 * mean['plain_start', 0]:.1f} %"
    for name, after, before in (
        ("start_gain", ("alone", 0), ("plain_start", 0)),
        ("labelled_gain", ("student", 0), ("alone", 0)),
        ("transfer_gain", ("student", 8_000), ("student", 0)),
    ):
        assert words[name].startswith(f"{100 * (mean[after] - mean[before]):+.1f} points"), name
    assert words["few_labels"] == "200"
    assert words["few_labels_gain"].startswith("+8.0 points (+6.0 to ")


def test_optimism_of_the_best_student() -> None:
    seen, unseen = best_of(recorded_lab("size"))
    assert seen[0] == pytest.approx(unseen[0], abs=0.001), "nothing was picked"
    assert (np.diff(seen) > 0).all()
    assert facts("choosing").answer == pytest.approx(100 * unseen[-1])


def test_incomplete_lessons_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (module.FOLDER / "1-soft-labels.md").read_text("utf-8")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    for part, slip in (("Reveal", "Revel"), ("Found", "Fund")):
        (tmp_path / "1-x.md").write_text(text.replace(f"## {part}", f"## {slip}"), "utf-8")
        with pytest.raises(ValidationError, match=f"lesson x has no text for {part}"):
            module.read("1-x.md")
    (tmp_path / "1-x.md").write_text(f"{text}\n## Lab\nThe controls of last year.", "utf-8")
    with pytest.raises(ValueError, match=r"lesson 1-x\.md has a part twice"):
        module.read("1-x.md")
    (tmp_path / "1-x.md").write_text(re.sub("options: .*\n", "", text), "utf-8")
    with pytest.raises(ValidationError, match="give options or a number"):
        module.read("1-x.md")


def test_labs_and_steps_match() -> None:
    lesson: Lesson = lessons()["alpha"]
    assert [lab.name for lab in lesson.labs] == ["loss"]
    assert lesson.lab_parts == ("Lab",)
