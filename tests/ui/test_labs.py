"""The labs' pages: what all of them share, and what each one says and changes.

What two labs measure on this machine has a module of its own.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats
from streamlit.testing.v1 import AppTest

from kd_core.config import LESSON, slider
from kd_core.distillation.training.replay import Replay
from kd_core.jobs.store import Store
from kd_core.learn.flow import number
from kd_core.learn.glossary import terms
from kd_core.learn.lab_results import size_table, smallest
from kd_core.learn.recorded import recorded, recorded_lab, recorded_replay
from kd_core.objectives import CARDS
from pages.learn.labs.catalogue import LABS
from pages.learn.labs.divergence import LOSSES
from pages.shared.addresses import lab as page_of
from pages.shared.text import term
from tests import SAMPLES, without_gold
from tests.ui.charts import alts, flow_numbers
from tests.ui.lab_page import EVIL, RUN, App, act, images, run, said
from tests.unit.objectives.reference import by_scipy, tckd_nckd

__all__ = ["run"]  # a fixture
OTHER = "20260131-150000-c3d4"
HOTTEST = slider("objective.temperature")[1]
OF_TEXTS = ("temperature", "loss", "divergence")  # labs that can use the texts of a run


def open_lab(app: App, name: str, **parameters: str) -> AppTest:
    return app(page_of(name), **{"hide": "question"} | parameters)


# What all labs share


def test_a_card_for_each_lab(app: App) -> None:
    page = app().switch_page("learn/labs/page.py").run()  # its file is not named like its address
    links = [link.proto.label for link in page.main.get("page_link")]
    cards = [*(f"**{lab.title}**" for lab in LABS), "**Lessons**", "**Quiz**", "**Race**"]
    assert links == [*cards, "**Glossary**"]
    assert all(lab.question in said(page) and f"{lab.minutes} minutes" in said(page) for lab in LABS)


@pytest.mark.parametrize("name", [lab.name for lab in LABS if lab.name not in ("size", "claims")])
def test_question_comes_first_and_reset_asks_again(app: App, name: str) -> None:
    page = app(page_of(name))
    answers = [button.key for button in page.button if button.key.startswith(f"{name}.guess_")]
    assert len(answers) >= 2
    right = 0
    for answer in answers:
        assert "**First a guess.**" in said(page)
        controls = (page.header, page.slider, page.select_slider, page.selectbox, page.metric, page.dataframe)
        assert not any(map(len, controls))
        act(page, ("button", answer, None))
        assert [*page.selectbox, *page.slider]
        words = said(page)
        assert "**First a guess.**" not in words
        assert ("**Right: " in words) != ("**No. The answer is: " in words)
        right += "**Right: " in words
        act(page, ("button", "labs.reset", None))
    assert right == 1


@pytest.mark.parametrize("name", [lab.name for lab in LABS])
def test_link_that_hides_an_unknown_control_says_so(app: App, name: str) -> None:
    words = said(open_lab(app, name, hide="temperatur, question"))
    assert words.count("The link hides temperatur, which is not here. This lab has ") == 1
    assert "First a guess" not in words


def test_reset_restores_the_values_of_the_link(app: App) -> None:
    page = app(page_of("loss"), **{"loss.temperature": "8"})
    guess = ("button", "loss.guess_0", None)
    act(page, guess, ("slider", "loss.temperature", 2.0), ("slider", "loss.alpha", 0.9))
    act(page, ("button", "labs.reset", None), guess)
    assert (page.slider(key="loss.temperature").value, page.slider(key="loss.alpha").value) == (8, 0.3)


@pytest.mark.parametrize("name", OF_TEXTS)
def test_texts_of_a_run_are_inert(app: App, store: Store, run: str, name: str) -> None:
    store.create_run(OTHER, LESSON.model_dump(mode="json"), status="done")
    store.save_report(OTHER, without_gold(json.loads((SAMPLES / "report.json").read_text("utf-8"))))
    page = open_lab(app, name)  # which offers no run without a student alone
    assert page.selectbox(key=f"{name}.source").options == ["200 BBC headlines, recorded", f"Mine · {RUN}"]
    act(page, ("selectbox", f"{name}.source", run))
    assert page.selectbox(key=f"{name}.text").options[1:] == ["2. =1+1", "3. c"]
    assert EVIL in said(page).replace("\u2060", "")
    assert not images(page)


@pytest.mark.parametrize("name", OF_TEXTS)
def test_run_without_its_predictions_says_so(app: App, run: str, home: Path, name: str) -> None:
    (home / "runs" / run / "predictions.parquet").unlink()
    page = act(open_lab(app, name), ("selectbox", f"{name}.source", run))
    assert f"The predictions of {RUN} are missing or damaged" in said(page)


def test_glossary_is_searched(app: App) -> None:
    page = app("learn/glossary/page.py")
    assert said(page).count("**") == 2 * len(terms())
    assert "Divides the logits of both models" in said(page)
    act(page, ("text_input", "glossary.search", "mode seeking"))
    assert "**Reverse KL** · mode seeking" in said(page)
    assert "**Temperature**" not in said(page)
    act(page, ("text_input", "glossary.search", "zebra"))
    assert "No word here goes with “zebra”." in said(page)
    with pytest.raises(KeyError, match="there is no term 'zebra' in the glossary"):
        term("zebra")


# What each lab says with the settings of a link: the lab, the settings, words that are there.
SAYS: list[tuple[str, dict[str, str], str]] = [
    ("temperature", {}, "the teacher gives entertainment 60.5 % and politics 37.9 %. At T = 4 it is 36.6 %"),
    ("temperature", {}, "At T = 4 it is 4.8 times as likely"),
    ("temperature", {}, "83 % of what is left of business goes to politics"),
    ("temperature", {"hide": "temperature,question", "temperature": "8"}, "At T = 8 it is 28.4 % and 26.8 %"),
    ("temperature", {"temperature": "1"}, "Move the temperature to soften the answer."),
    ("loss", {}, "With T² the soft gradient has length 1.71; without it, 0.107."),
    ("loss", {}, "with T² is **311.9 times** as long at T = 8 as at T = 1"),
    ("loss", {"student": "Untrained: all logits 0"}, "with T² is **2.7 times** as long at T = 8 as at T = 1"),
    ("loss", {"t_squared": "false"}, "Without T² the soft gradient has length 0.107; with it, 1.71."),
    ("loss", {"temperature": "1"}, "At T = 1 the factor T² is 1."),
    ("loss", {"divergence": "Logit MSE"}, "so the temperature moves nothing here."),
    ("loss", {"divergence": "DKD"}, "here that part counts 8 times, however sure the teacher is at T = 4."),
    ("divergence", {}, "KL(teacher ‖ student) = 0.653 · mean 0.6, standard deviation 3.05"),
    ("divergence", {}, "backs its class with 93.3 %: surer than its teacher"),
    ("divergence", {}, "They differ by up to **0.010** here."),
    ("divergence", {}, "Here it sits on one hump (width 0.80)"),
    ("divergence", {"distance": "4"}, "Here it covers both humps (width 2.09)"),
    ("divergence", {"share": "5"}, "Here it sits on one hump: mean −2.7, standard deviation 1.53"),
    ("divergence", {"temperature": "20"}, "nearly the same: it backs its class with 23.4 %."),
    ("transfer", {}, "Distilled on the labelled texts only: **+0.6 points** (−2.6 to +3.8) over the student"),
    ("transfer", {}, "with 8,000 transfer texts: **+2.1 points** (−0.6 to +4.7) over the student alone, no"),
    ("transfer", {}, "all of the teacher's probabilities make **+0.5 points** ("),
    ("transfer", {}, "2 layers of 128, which starts from the fine-tuned teacher's vectors of the word pie"),
    ("size", {"give_up": "0"}, "The smallest within 0 points of it is **4 layers of 64**"),
    ("size", {"give_up": "0.5"}, "The smallest within 0.5 points of it is **2 layers of 64**"),
    ("size", {}, "4 layers of 64 have 1.1 times the parameters and 1.6 times the time"),
    ("choosing", {}, "88.8 % on the texts that it was picked by, and 87.8 % on other texts: 1.0 points"),
    ("choosing", {"tried": "1"}, "With one student there is nothing to pick"),
    ("choosing", {"folds": "5"}, "here 80 % of them"),
]


@pytest.mark.parametrize("name", list(dict.fromkeys(name for name, _, _ in SAYS)))
def test_words_of_a_lab(app: App, name: str) -> None:
    shown: dict[str, str] = {}
    missing = []
    for _, settings, words in (row for row in SAYS if row[0] == name):
        if str(settings) not in shown:
            link = {key if key == "hide" else f"{name}.{key}": value for key, value in settings.items()}
            shown[str(settings)] = said(open_lab(app, name, **link))
        if words not in shown[str(settings)]:
            missing.append((settings, words))
    assert missing == []


# Temperature


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_temperature_softens_the_answer(app: App, temperature: float) -> None:
    page = act(open_lab(app, "temperature"), ("slider", "temperature.temperature", temperature))
    logits = recorded().logits["teacher"][page.selectbox(key="temperature.text").value]
    table, undecided, doubtful = (frame.value for frame in page.dataframe)
    assert table["Logit"].tolist() == pytest.approx(sorted(logits, reverse=True))
    assert list(table) == list(dict.fromkeys(("Class", "Logit", "T = 1", f"T = {temperature:g}")))
    for t in {1.0, temperature}:
        expected = sorted(100 * special.softmax(logits / t), reverse=True)
        assert table[f"T = {t:g}"].tolist() == pytest.approx(expected, abs=1e-6)
    at_one, at_t = (stats.entropy(special.softmax(logits / t)) for t in (1, temperature))
    metric = page.metric[0]
    assert (metric.label, metric.value) == (f"Entropy at T = {temperature:g}", f"{at_t:.2f} nats")
    assert metric.delta == ("" if temperature == 1 else f"−{at_one - at_t:.2f} against T = 1")
    assert np.all(np.diff(undecided["Entropy"]) <= 0)
    assert np.all(np.diff(doubtful["Sure"]) <= 0)
    assert (doubtful["Label"] != doubtful["Teacher"]).all()


# Divergence


def humps(page: AppTest) -> list[str]:
    return [alt for alt in alts(page) if "hump" in alt]


def test_humps_before_and_after_the_answer(app: App) -> None:
    page = app(page_of("divergence"))
    forward = "Forward KL: the student's hump is at 0.7, 3.20 wide"
    assert humps(page) == [forward]
    act(page, ("button", "divergence.guess_0", None))
    assert humps(page) == [forward, "Reverse KL: the student's hump is at 3.0, 0.80 wide"]
    answer = "**No. The answer is: It sits on one hump.**"
    assert f"{answer}] You said: It covers both humps." in said(page)
    act(page, ("slider", "divergence.distance", 1.0))
    assert answer in said(page), "moving a slider makes no guess right"
    act(page, ("button_group", "divergence.losses", list(LOSSES)))
    assert [alt.split(":")[0] for alt in humps(page)] == [card.title for card in LOSSES.values()]
    act(page, ("button_group", "divergence.losses", []))
    assert page.info[0].value == "Choose a loss above to fit a student under it."


def test_student_can_copy_a_teacher_of_two_classes(app: App, run: str, home: Path, store: Store) -> None:
    folder = home / "runs" / run
    report = json.loads((folder / "report.json").read_text("utf-8")) | {"labels": ["no", "yes"]}
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    store.save_report(run, report)
    logits = {who: [[1.0, 0.0], [0.0, 2.0]] for who in ("teacher", "student-0", "alone-0")}
    pd.DataFrame({"text": ["a", "b"], "label": [0, 1]} | logits).to_parquet(folder / "predictions.parquet")
    page = act(open_lab(app, "divergence"), ("selectbox", "divergence.source", run))
    assert "this student can copy its teacher" in said(page)
    assert "surer than its teacher" not in said(page)
    backed = page.dataframe[0].value["Backed"]  # sigmoid(1) = 0.731; all of it by reverse cross-entropy
    assert backed.round(0).tolist()[:5] == [73, 73, 73, 73, 100]


# Size


@pytest.mark.parametrize(("layers", "width", "right"), [(4, 256, False), (1, 64, True)])
def test_sizes_are_revealed_after_a_guess(app: App, layers: int, width: int, right: bool) -> None:
    grid = size_table(recorded_lab("size"))
    answer = smallest(grid, grid["accuracy"].max() - 0.01)
    assert answer is not None
    name = f"{answer['layers']} {'layer' if answer['layers'] == 1 else 'layers'} of {answer['hidden']}"
    page = app(page_of("size"))
    assert alts(page)[0].startswith("Parameters by layers and width. 1 x 64: ")
    assert page.button(key="size.reveal").disabled
    assert not [*page.dataframe, *page.slider]
    act(page, ("button_group", "size.layers", layers), ("button_group", "size.width", width))
    act(page, ("button", "size.reveal", None))
    words = said(page)
    assert alts(page)[0].startswith("Accuracy by layers and width. 1 x 64: ")
    assert (f"Right: {name}." if right else f"No. The answer is: {name}.") in words
    assert ("Your guess has" in words) != right
    assert f"The smallest within 1 point of it is **{name}**" in words
    act(page, ("button", "labs.reset", None))
    assert page.button(key="size.reveal").disabled


# Replay


def metrics(page: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in page.metric}


def test_replay_from_start_to_end(app: App) -> None:
    page, replay = open_lab(app, "replay", **{"replay.moment": "900"}), recorded_replay()
    for step, moment in ((900, -1), (0, 0)):
        assert page.select_slider[0].value == step
        agree, divergence = replay.agrees[moment].sum(), replay.divergence()[moment]
        assert metrics(page) == {"Like the teacher": f"{agree} of 50", "Divergence": f"{divergence:.2f} nats"}
        assert alts(page)[0].startswith(f"At step {step} of 900 the student answers {agree} of 50")
        act(page, ("select_slider", "replay.moment", 0))
    early, late, never = (replay.learned().count(kind) for kind in ("early", "late", "never"))
    assert f"On {early} it keeps that answer until the end" in said(page)
    assert f"On {late} more it agrees for good only later, and on {never} the two differ" in said(page)
    shown = page.dataframe[0].value
    assert len(shown) == late
    assert shown["step"].is_monotonic_increasing
    assert (shown["teacher"] == shown["student"]).all()
    shown = act(page, ("segmented_control", "replay.learned", "never")).dataframe[0].value
    assert len(shown) == never
    assert "step" not in shown, "since which they agree"
    assert (shown["teacher"] != shown["student"]).all()


def test_replay_plays_to_its_end_and_again(app: App) -> None:
    page, steps = open_lab(app, "replay"), recorded_replay().steps
    play = ("button", "replay.play", None)
    act(page, ("select_slider", "replay.moment", steps[-3]), play)
    assert page.select_slider[0].value == steps[-2]
    assert page.button(key="replay.play").label == "Pause"
    page.run()
    assert page.select_slider[0].value == steps[-1]
    assert page.button(key="replay.play").label == "Play"
    act(page, play)
    assert page.select_slider[0].value == steps[1], "once more from the start"


def test_replay_of_a_run(app: App, store: Store, home: Path, run: str) -> None:
    store.create_run(OTHER, LESSON.model_dump(mode="json"), status="done")  # which has no replay
    labels = tuple(store.report(run).labels)
    student = np.zeros((2, 3, len(labels)), dtype=np.float32)
    student[1, :, 0] = 3
    replay = {"texts": (EVIL, "two", "three"), "truth": np.zeros(3, dtype=int), "steps": (0, 7)}
    replay |= {"labels": labels, "teacher": student[1], "student": student[::-1].copy()}
    Replay(**replay).write(home / "runs" / run)
    page = open_lab(app, "replay")
    assert page.selectbox(key="replay.source").options == ["Recorded: BBC headlines", f"Mine · {RUN}"]
    act(page, ("selectbox", "replay.source", run))
    assert page.select_slider[0].options == ["0", "7"]
    assert metrics(page)["Like the teacher"] == "3 of 3"
    assert not images(page)


# The loss


@pytest.mark.parametrize("name", list(CARDS))
def test_loss_agrees_with_scipy(app: App, name: str) -> None:
    known, random, page = recorded(), np.random.default_rng(list(CARDS).index(name)), open_lab(app, "loss")
    page.session_state["loss.decimals"] = page.session_state["loss.formulas"] = True  # opened
    for student, t_squared in (("alone", False), ("untrained", True)):
        row, alpha = int(random.integers(200)), round(0.05 * int(random.integers(21)), 2)
        t = float(random.integers(1, HOTTEST) + random.choice([0, 0.5]))
        page.selectbox(key="loss.text").select(row)
        page.selectbox(key="loss.student").select(student)
        page.selectbox(key="loss.divergence").select(name)
        page.slider(key="loss.temperature").set_value(t)
        page.slider(key="loss.alpha").set_value(alpha)
        page.toggle(key="loss.t_squared").set_value(t_squared).run()

        z_t, label = known.logits["teacher"][row], int(known.truth[row])
        z_s = np.zeros(5) if student == "untrained" else known.logits[student][row]
        p_s, p_t = special.softmax(z_s / t), special.softmax(z_t / t)
        divergence = by_scipy(name, z_s, z_t, t, label)
        soft = divergence * (t * t if t_squared and CARDS[name].has_temperature else 1)
        hard = -special.log_softmax(z_s)[label]
        total = alpha * hard + (1 - alpha) * soft
        classes, quantities = (frame.value for frame in page.dataframe)
        value = dict(zip(quantities["Quantity"], quantities["Value"], strict=True))
        expected = {"Divergence D": divergence, "Soft loss": soft, "Hard loss": hard, "Total": total}
        if name == "dkd":
            expected |= zip(("TCKD", "NCKD"), tckd_nckd(p_s, p_t, label), strict=True)
        assert {key: value[key] for key in expected} == pytest.approx(expected, abs=1e-6)
        assert classes["Student p"].tolist() == pytest.approx(p_s.tolist(), abs=1e-6)
        assert classes["Term of D"].sum() == pytest.approx(divergence, abs=1e-6)
        if CARDS[name].has_temperature:  # the other also moves the mean of the logits
            assert classes["Gradient"].sum() == pytest.approx(0, abs=1e-9)
        shown = {"D": divergence, "soft": soft, "hard": hard, "total": total, "p_student_0": p_s[0]}
        texts = {key: number(value) for key, value in shown.items()}
        texts |= {f"g_{i}": number(-push, sign=True) for i, push in enumerate(classes["Gradient"])}
        assert rf"\mathbf{{{total:.3f}}}" in page.latex[-1].value or total < 0.001  # by its powers of ten
        flow = flow_numbers(page)
        assert {key: flow[key] for key in texts} == texts


def test_nothing_pushes_a_student_that_is_its_teacher(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(recorded().logits, "alone", recorded().logits["teacher"])
    page = open_lab(app, "loss", **{"loss.alpha": "0"})
    assert "Nothing pushes: the student is its teacher, and alpha leaves the label out." in said(page)
    assert [flow_numbers(page)[key] for key in ("soft", "total")] == ["0.000", "0.000"]
