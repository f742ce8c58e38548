"""The Search page before, while and after settings are compared. Nothing is trained here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.errors import Stopped
from kd_core.jobs.store import Store
from kd_core.search import SearchConfig, Setting, link, result
from kd_core.search import trials as boards
from kd_core.system.control import Control
from pages.shared.run_form import plan
from tests.ui.charts import alts, charts
from tests.ui.finished import EVIL, OTHER, RUN, THIRD, App, inert, links, plain, read, sample

PAGE = "build/search/page.py"
JOB, CHOSEN, LATER = RUN, OTHER, THIRD


@pytest.fixture(autouse=True)
def _speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda: 5e9)  # measuring this machine takes seconds


def searched(
    store: Store,
    status: Any = "done",
    *,
    study: str = "s",
    job: str = JOB,
    trainings: int = 99,
    alone_gains: Mapping[Any, float] = {},
    **changes: Any,
) -> SearchConfig:
    """Adds a search whose scores are made up: T 4 is better than T 1, alpha 0.5 not told from 0.9.

    ``alone_gains`` is what a student alone has more, by its learning rate.
    """
    config = SearchConfig.from_dict(
        {"study": study, "temperatures": (1, 4), "alphas": (0.5, 0.9), "folds": 3, **changes}
    )
    control, left = Control(), trainings

    def measure(setting: Setting, alone: bool, fold: int, seed: int) -> dict[str, Any]:
        nonlocal left
        if left == 0:
            control.stop()
            control.check()
        left -= 1
        accuracy = 0.8 + fold / 100
        if alone:
            accuracy += alone_gains.get(setting.learning_rate, 0.0)
        else:
            accuracy += setting.temperature / 100 + (0, 0.004, -0.002)[fold] * (setting.alpha > 0.7)
        return {"accuracy": accuracy, "seconds": 2.0, "params": 10, "teacher_texts": 100}

    with boards.connected() as storage:
        board = boards.begin(storage, study, config, {})
        try:
            boards.work(board, config, measure, lambda: None, control)
        except Stopped:
            assert trainings < config.trainings
    store.create_run(job, config.model_dump(mode="json"), kind="search", name="" if study == job else study)
    store.set_status(job, status)
    return config


def metrics(page: AppTest) -> dict[str, tuple[str, str]]:
    return {plain(each.label): (each.value, each.delta) for each in page.metric}


def heat(page: AppTest) -> dict[str, Any]:
    """Returns the figure as the browser gets it."""
    return json.loads(charts(page)[0]["figure"])


def marks(page: AppTest) -> list[str]:
    return [note["text"] for note in heat(page)["layout"]["annotations"]]


# Before the start


def test_without_a_search(app: App, store: Store) -> None:
    page = app(PAGE)
    said = read(page)
    assert page.info[0].value.startswith("No search yet.")
    assert "54 trainings:" in said
    assert "16 settings and the student alone, each on 3 folds, and 3 teachers" in said
    assert "The time is a guess until a run like it is done here." in said
    assert page.button(key="search.start").label.startswith("Start search · ")
    left = page.main.columns[0]
    assert next(each.key for each in (*left.button, *left.selectbox) if each.key) == "search.start"
    assert "Recorded with KD Studio: tiny on bbc-headlines, 9 settings, 150 steps each." in said
    assert sum(text.startswith("<b>") for text in marks(page)) == 10, "with the student alone"
    example, spoken = alts(page)
    assert "by temperature and alpha: 9 of 9 settings done; the best is T " in example
    assert spoken.startswith("The training data in 3 parts: each training leaves one of them out")


def test_number_of_trainings_follows_the_form(app: App, store: Store) -> None:
    store.create_run(RUN, DistillConfig().model_dump(mode="json"))
    page = app(PAGE, **{"search.method": "TPE", "search.trials": "30"})
    assert "96 trainings:" in read(page), "(30 + 1) x 3 folds, and 3 teachers"
    assert "The next one waits in the queue, then starts." in read(page)
    page = app(PAGE)
    page.multiselect(key="search.temperatures").set_value(["2", "5"])
    page.number_input(key="search.folds").set_value(4)
    page.text_input(key="distill.seeds").set_value("0,1").run()
    assert "76 trainings:" in read(page), "(2 x 4 + 1) x 4 folds x 2 seeds, and 4 teachers"
    assert "each on 4 folds x 2 seeds, and 4 teachers" in read(page)
    for values, said in (
        ([], "temperatures must have a value at least, got none"),
        (["4", "4.0"], "temperatures must differ, got 4.0,4.0"),
        (["warm"], "temperatures must be"),
    ):
        page.multiselect(key="search.temperatures").set_value(values).run()
        assert said in read(page)
        assert page.button(key="search.start").disabled


def test_search_is_queued_once_and_watched(app: App, store: Store) -> None:
    page = app(PAGE)
    page.multiselect(key="search.alphas").set_value(["0.3", "0.7"])
    page.text_input(key="search.name").set_value("Mine").run()
    for _ in range(2):
        page.button(key="search.start").click().run()
    (job,) = store.runs(kind="search")
    assert (job.name, job.config["study"], job.config["alphas"]) == ("Mine", "Mine", [0.3, 0.7])
    assert page.query_params["study"] == "Mine"
    assert "The map appears as soon as the texts are read." in read(page)
    assert page.button(key="search.job.stop")
    store.claim("host:1:0", job.id)
    store.write(job.id, [], {"label": "teacher of fold 1 of 3", "step": 0, "steps": 19})
    (bar,) = page.run().main.get("progress")
    assert bar.proto.text == "Teacher of fold 1 of 3 · 0 of 18 trainings", "as many as the form announces"
    assert "It loads texts and models first, which takes longer" in read(page)
    page.button(key="search.job.pause").click().run()
    assert store.command(job.id) == "pause"
    assert job.task in read(page)
    assert "queued" not in read(page), "what is beside the live view stays as it was at the start"
    (strip,) = page.sidebar.get("page_link")
    assert strip.proto.label == "**Mine**"


def test_name_that_is_taken(app: App, store: Store) -> None:
    searched(store, temperatures=(2,), alphas=(0.5,))
    page = app(PAGE)
    page.text_input(key="search.name").set_value("s").run()
    page.button(key="search.start").click().run()
    assert "There is a search named 's' already. Choose another name." in read(page)
    assert len(store.runs(kind="search")) == 1


# What it has found


def test_map_and_the_two_choices(app: App, store: Store) -> None:
    searched(store)
    page = app(PAGE, study="s")
    assert marks(page) == [
        "<b>82.0</b><br>± 0.6",
        "<b>82.1</b><br>± 0.5",
        '<b>85.0</b><br>± 0.6<br><span style="font-size:11px">choice</span>',
        '<b>85.1</b><br>± 0.5<br><span style="font-size:11px">best</span>',
        "<b>81.0</b><br>± 0.6",
    ]
    hatched = [bar["x"][0] for bar in heat(page)["data"] if "pattern" in bar["marker"]]
    assert hatched == [1, 1], "both at T 4"
    shown = metrics(page)
    assert shown["Student alone"] == ("81.0 %", "± 0.6 standard error")
    assert shown["Best over alone"][0] == "+4.1 points"
    assert shown["T 4, alpha 0.9"] == ("85.1 %", "± 0.5 standard error")
    assert shown["T 4, alpha 0.5"] == ("85.0 %", "± 0.6 standard error")
    assert "0.1 points below the best (standard error" in read(page)
    assert "The best of 4 settings was picked on these very texts, which flatters it" in read(page)
    assert "s · bbc-headlines: auto → cnn · " in read(page)
    assert alts(page)[0] == (
        "Accuracy on held-out texts by temperature and alpha: 4 of 4 settings done; the best is T 4, "
        "alpha 0.9 with 85.1 %; 1 cannot be told from it"
    )
    used = [each.proto.query_string for each in page.main.get("page_link")]
    assert "distill.temperature=4.0&distill.alpha=0.9" in used


def test_one_card_where_both_rules_agree(app: App, store: Store) -> None:
    searched(store, alphas=(0.9,))
    page = app(PAGE, study="s")
    assert "Both rules choose it." in read(page)
    assert any(mark.endswith(">both</span>") for mark in marks(page))
    assert "**Both:** one setting is the best and the choice." in read(page)


@pytest.mark.parametrize("trainings", [0, 1, 3, 8])
def test_search_that_was_stopped(app: App, store: Store, trainings: int) -> None:
    """Begins the student alone, then one cell and most of another."""
    if trainings:
        searched(store, "stopped", trainings=trainings)
    else:
        store.create_run(JOB, SearchConfig.from_dict({}).model_dump(mode="json"), kind="search")
        store.set_status(JOB, "interrupted")
    page = app(PAGE)
    said = read(page)
    assert "Finished trainings are kept; it goes on with the next one." in said
    assert ("It ended before its first training, so there is no map yet." in said) == (not trainings)
    assert ("**Empty:** not trained yet." in said) == bool(trainings)
    assert ("Which settings to take, so far" in said) == (trainings == 8)
    if 1 <= trainings <= 3:
        assert list(metrics(page)) == ["Student alone"]
        assert (metrics(page)["Student alone"][1] == "one training so far") == (trainings == 1)
        assert not any("pattern" in bar["marker"] for bar in heat(page)["data"])
    if trainings == 8:
        assert any("2 of 3" in mark for mark in marks(page))
    page.button(key="search.job.again").click().run()
    assert store.run(JOB).status == "queued"


def test_best_is_compared_with_the_best_student_alone(app: App, store: Store) -> None:
    rates = {"learning_rates": (0.001, 0.004), "alone_gains": {0.004: 0.06}}
    config = searched(store, method="random", trials=4, **rates)
    page = app(PAGE, study="s")
    assert metrics(page)["Student alone"][0] == "87.0 %", "at 0.001 it has 81.0"
    assert metrics(page)["Best over alone"][0].startswith("−")
    assert page.metric[0].help.endswith(" At the learning rate 0.004, the best for it here.")
    dots = [mark for trace in heat(page)["data"] for mark in trace["customdata"]]
    first = next(setting for setting in config.settings if setting)
    assert len(dots) == 4, "numbers between the ends are dots"
    assert any(mark.startswith(f"T {first.temperature:.3g}, alpha {first.alpha:.3g}: ") for mark in dots)


def test_several_students_have_a_map_each(app: App, store: Store) -> None:
    searched(store, students=("tiny", "mini"), temperatures=(1, 2, 4), alphas=(0.9,))
    page = app(PAGE, study="s")
    assert page.selectbox(key="search.of_student").value == "tiny"
    assert "Best over alone" in metrics(page)
    page.selectbox(key="search.of_student").select("mini").run()
    assert len(marks(page)) == 4
    assert "Best over alone" not in metrics(page), "the best is of the other student"
    assert "Student alone" in metrics(page)
    assert "-1 cannot be told" not in alts(page)[0]
    drawn = ("Accuracy on held-out texts", "How much each setting", "One line for each", "The training data")
    for spoken, begins in zip(alts(page), drawn, strict=True):
        assert spoken.startswith(begins)


def test_search_whose_tables_are_gone(app: App, store: Store) -> None:
    searched(store, temperatures=(1, 2, 4))
    kept = result("s").model_dump(mode="json")
    with boards.connected() as storage:
        for study in storage.get_all_studies():
            storage.delete_study(study._study_id)
    assert "There is no search named 's'" in plain(app(PAGE).error[0].value)
    store.save_report(JOB, kept)
    page = app(PAGE)
    assert len(marks(page)) == 7
    assert "Optuna's own tables, which are gone with a database" in read(page)


def test_choice_on_the_test_texts(app: App, store: Store) -> None:
    searched(store, alphas=(0.9,))
    store.create_run(CHOSEN, DistillConfig().model_dump(mode="json"), name="s: chosen")
    link("s", CHOSEN)
    assert "The chosen setting's run on all training data is not done yet." in read(app(PAGE))
    store.set_status(CHOSEN, "failed")
    page = app(PAGE)
    assert "The chosen setting's run on all training data ended before it was done." in read(page)
    assert links(page)["Open it, to see why and to resume it"] == f"run={CHOSEN}"
    report = sample()
    report["config"]["training"]["metric"] = "macro_f1"
    store.save_report(CHOSEN, report)
    store.set_status(CHOSEN, "done")
    assert (
        "did not see:** macro-F1 87.5 % for the chosen setting, +3.6 points of macro-F1 over the same "
        "student trained alone (95 % interval +0.6 to +6.7)." in read(app(PAGE))
    )
    store.delete_run(CHOSEN)
    assert "The run of the chosen setting was deleted." in read(app(PAGE))


def test_other_searches_and_a_link_to_none(app: App, store: Store) -> None:
    small = {"temperatures": (2,), "alphas": (0.5,)}
    searched(store, **small)
    evil = EVIL.replace("/", "")  # no path
    searched(store, study=evil, job=LATER, **small)
    unnamed = "20260131-170000-a7b8"
    searched(store, study=unnamed, job=unnamed, **small)
    page = app(PAGE, study=f"{EVIL}?")
    assert f"There is no search named {EVIL}? here. Another one is shown." in read(page)
    inert(page)
    assert page.query_params["study"] == unnamed, "the newest"
    newest, named, _ = page.selectbox(key="search.study").options
    assert newest.startswith("bbc-headlines: auto → cnn · ")
    assert named.startswith(f"{evil} · bbc-headlines: auto → cnn · ")
    page.selectbox(key="search.study").select(evil).run()
    assert page.query_params["study"] == evil
    inert(page)
    assert len(marks(page)) == 2
