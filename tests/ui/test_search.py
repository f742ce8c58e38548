"""Search: what a person reads before, while and after settings are compared. Nothing is trained here."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig
from kd_core.jobs.store import Store
from kd_core.search import SearchConfig, link, result
from kd_core.search import trials as boards
from pages.shared.run_form import plan
from tests import SAMPLES
from tests.ui.charts import alts, charts
from tests.ui.searched import JOB, searched

App = Callable[..., AppTest]
PAGE = "build/search/page.py"
RUN = "20260131-150000-c3d4"
EVIL = "![x](http://127.0.0.1:9/x) <b>"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "calibrate", lambda: 5e9)  # measuring this machine takes seconds


def words(page: AppTest) -> str:
    assert not page.exception
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error)
    said = [html.unescape(element.value).replace("\u2060", "") for kind in kinds for element in kind]
    return "\n".join(said).replace("\u00a0", " ")


def metrics(page: AppTest) -> dict[str, tuple[str, str]]:
    return {html.unescape(each.label): (each.value, each.delta) for each in page.metric}


def heat(page: AppTest) -> dict[str, Any]:
    """The figure as the browser gets it."""
    return json.loads(charts(page)[0]["figure"])


def marks(page: AppTest) -> list[str]:
    return [note["text"] for note in heat(page)["layout"]["annotations"]]


def links(page: AppTest) -> list[tuple[str, str]]:
    """Label and address of each link on the page itself."""
    return [(each.proto.label, each.proto.query_string) for each in page.main.get("page_link")]


def test_a_search_whose_tables_are_gone_shows_what_was_kept(app: App, store: Store) -> None:
    config = searched(store, temperatures=(1, 2, 4), alphas=(0.5, 0.9))
    kept = result("s").model_dump(mode="json")
    with boards.connected() as storage:
        for study in storage.get_all_studies():
            storage.delete_study(study._study_id)
    assert "There is no search named 's'" in app(PAGE).error[0].value
    store.save_report(JOB, kept)
    page = app(PAGE)
    assert not page.error
    assert len(marks(page)) >= len(config.settings)
    assert "Optuna's own tables, which are gone with a database" in words(page)


# Before the start


def test_without_a_search_it_says_what_to_do(app: App, store: Store) -> None:
    page = app(PAGE)
    assert page.info[0].value.startswith("No search yet.")
    assert "54 trainings:" in words(page)
    assert "16 settings and the student alone, each on 3 folds, and 3 teachers" in words(page)
    assert page.button(key="search.start").label.startswith("Start search · ")
    example, spoken = alts(page)
    assert "by temperature and alpha: 9 of 9 settings done; the best is T " in example
    assert spoken.startswith("The training data in 3 parts: each training leaves one of them out")


def test_before_the_first_search_a_recorded_one_is_shown(app: App, store: Store) -> None:
    page = app(PAGE)
    said = words(page)
    assert "Recorded with KD Studio: tiny on bbc-headlines, 9 settings, 150 steps each." in said
    assert sum(text.startswith("<b>") for text in marks(page)) == 10  # with the student alone
    assert page.metric[0].label == "Student alone"


def test_start_comes_before_the_settings(app: App, store: Store) -> None:
    """So that it is on the screen without scrolling."""
    left = app(PAGE).main.columns[0]
    keys = [each.key for each in (*left.button, *left.selectbox) if each.key]
    assert keys[0] == "search.start"


def test_the_number_of_trainings_follows_the_form(app: App, store: Store) -> None:
    page = app(PAGE)
    page.multiselect(key="search.temperatures").set_value(["2", "5"])
    page.number_input(key="search.folds").set_value(4)
    page.text_input(key="distill.seeds").set_value("0,1").run()
    assert "76 trainings:" in words(page)  # (2 x 4 + 1) x 4 folds x 2 seeds, and 4 teachers
    assert "each on 4 folds x 2 seeds, and 4 teachers" in words(page)


def test_other_methods_ask_how_many_settings(app: App, store: Store) -> None:
    page = app(PAGE, **{"search.method": "TPE", "search.trials": "30"})
    assert page.slider(key="search.trials").value == 30
    assert "96 trainings:" in words(page)  # (30 + 1) x 3 folds, and 3 teachers


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ([], "temperatures must have a value at least, got none"),
        (["4", "4.0"], "temperatures must differ, got 4.0,4.0"),
        (["warm"], "temperatures must be"),
    ],
)
def test_bad_lists_are_one_sentence(app: App, store: Store, values: list[str], says: str) -> None:
    page = app(PAGE)
    page.multiselect(key="search.temperatures").set_value(values).run()
    assert says in words(page)
    assert page.button(key="search.start").disabled


def test_a_search_beside_a_run_says_that_it_will_wait(app: App, store: Store) -> None:
    store.create_run("20260101-000000-0001", DistillConfig().model_dump(mode="json"))
    captions = [caption.value for caption in app(PAGE).caption]
    assert any("The next one waits in the queue, then starts." in caption for caption in captions)


def test_a_search_is_queued_once(app: App, store: Store) -> None:
    page = app(PAGE)
    page.multiselect(key="search.alphas").set_value(["0.3", "0.7"])
    page.text_input(key="search.name").set_value("Mine").run()
    page.button(key="search.start").click().run()
    page.button(key="search.start").click().run()
    (job,) = store.runs(kind="search")
    assert (job.name, job.config["study"], job.config["alphas"]) == ("Mine", "Mine", [0.3, 0.7])
    assert page.query_params["study"] == "Mine"
    assert "The map appears as soon as the texts are read." in words(page)
    assert page.button(key="search.job.stop")
    store.claim("host:1:0", job.id)
    store.write(job.id, [], {"label": "teacher of fold 1 of 3", "step": 0, "steps": 19})
    (bar,) = page.run().main.get("progress")
    assert bar.proto.text == "Teacher of fold 1 of 3 · 0 of 18 trainings", "as many as the form announces"
    assert "It loads texts and models first, which takes longer" in words(page)
    page.button(key="search.job.pause").click().run()
    assert store.command(job.id) == "pause"
    assert job.task in words(page)
    assert "queued" not in words(page), "what is beside the live view stays as it was at the start"


def test_the_strip_says_what_is_searched(app: App, store: Store) -> None:
    page = app(PAGE)
    page.button(key="search.start").click().run()
    (job,) = store.runs(kind="search")
    store.set_status(job.id, "running")
    (link,) = app(PAGE).sidebar.get("page_link")
    assert link.proto.label == "**Search on bbc-headlines: auto → cnn**"


def test_a_name_that_is_taken(app: App, store: Store) -> None:
    searched(store)
    page = app(PAGE)
    page.text_input(key="search.name").set_value("s").run()
    page.button(key="search.start").click().run()
    assert "There is a search named 's' already. Choose another name." in words(page)
    assert len(store.runs(kind="search")) == 1


# What it has found


def test_the_map_and_the_two_choices(app: App, store: Store) -> None:
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
    assert hatched == [1, 1]  # both at T 4
    shown = metrics(page)
    assert shown["Student alone"] == ("81.0 %", "± 0.6 standard error")
    assert shown["Best over alone"][0] == "+4.1 points"
    assert shown["T 4, alpha 0.9"] == ("85.1 %", "± 0.5 standard error")
    assert shown["T 4, alpha 0.5"] == ("85.0 %", "± 0.6 standard error")
    assert "0.1 points below the best (standard error" in words(page)
    assert "The best of 4 settings was picked on these very texts, which flatters it" in words(page)
    assert alts(page)[0] == (
        "Accuracy on held-out texts by temperature and alpha: 4 of 4 settings done; the best is T 4, "
        "alpha 0.9 with 85.1 %; 1 cannot be told from it"
    )
    assert ("Use these settings", "distill.temperature=4.0&distill.alpha=0.9") in links(page)


def test_the_best_is_compared_with_the_best_student_alone_of_its_own_kind(app: App, store: Store) -> None:
    rates = {"learning_rates": (0.001, 0.004), "alone_gains": {0.004: 0.06}}
    searched(store, method="random", trials=4, **rates)
    page = app(PAGE, study="s")
    assert metrics(page)["Student alone"][0] == "87.0 %", "at 0.001 it has 81.0"
    assert metrics(page)["Best over alone"][0].startswith("−")
    (alone, *_) = page.metric
    assert alone.help.endswith(" At the learning rate 0.004, the best for it here.")


def test_a_student_that_is_not_the_best_has_nothing_of_its_gain(app: App, store: Store) -> None:
    searched(store, students=("tiny", "mini"))
    page = app(PAGE, study="s")
    assert "Best over alone" in metrics(page)
    best = page.selectbox(key="search.of_student")
    best.set_value("mini" if best.value == "tiny" else "tiny").run()
    assert "Student alone" in metrics(page)
    assert "Best over alone" not in metrics(page)
    assert "-1 cannot be told" not in alts(page)[0]


def test_the_map_says_of_which_task_and_models_it_is(app: App, store: Store) -> None:
    searched(store)
    said = words(app(PAGE))
    assert "s · bbc-headlines: auto → cnn · " in said
    assert "The time is a guess until a run like it is done here." in said, "of another there may be some"
    searched(store, study="t", job="20260131-160000-e5f6")
    (newest, _) = app(PAGE).selectbox(key="search.study").options
    assert newest.startswith("t · bbc-headlines: auto → cnn · ")
    unnamed = "20260131-170000-a7b8"
    searched(store, study=unnamed, job=unnamed)
    (newest, *_) = app(PAGE).selectbox(key="search.study").options
    assert newest.startswith("bbc-headlines: auto → cnn · ")


def test_one_card_where_both_rules_agree(app: App, store: Store) -> None:
    searched(store, alphas=(0.9,))
    page = app(PAGE, study="s")
    assert "Both rules choose it." in words(page)
    assert any(mark.endswith(">both</span>") for mark in marks(page))
    assert "**Both:** one setting is the best and the choice." in words(page)


def test_a_search_that_was_stopped_shows_what_it_has(app: App, store: Store) -> None:
    searched(store, "stopped", trainings=8)
    page = app(PAGE, study="s")
    said = words(page)
    assert "Finished trainings are kept; it goes on with the next one." in said
    assert "**Empty:** not trained yet." in said
    assert any("2 of 3" in mark for mark in marks(page))  # student alone, one cell, and most of another
    assert "so far" in "".join(head.value for head in page.subheader)
    page.button(key="search.job.again").click().run()
    assert store.run(JOB).status == "queued"


def test_a_search_that_ended_before_it_began_says_so(app: App, store: Store) -> None:
    config = SearchConfig.from_dict({})
    store.create_run(JOB, config.model_dump(mode="json"), kind="search")
    store.set_status(JOB, "interrupted")
    page = app(PAGE)
    assert not page.error
    assert "It ended before its first training, so there is no map yet." in words(page)
    page.button(key="search.job.again").click().run()
    assert store.run(JOB).status == "queued"


def test_nothing_is_compared_before_a_cell_is_done(app: App, store: Store) -> None:
    searched(store, "stopped", trainings=3)  # the student alone
    page = app(PAGE, study="s")
    assert list(metrics(page)) == ["Student alone"]
    assert not any("pattern" in bar["marker"] for bar in heat(page)["data"])
    assert "Which settings to take" not in "".join(head.value for head in page.subheader)


def test_a_mean_of_one_fold_says_so(app: App, store: Store) -> None:
    searched(store, "stopped", trainings=1)
    page = app(PAGE, study="s")
    assert metrics(page)["Student alone"][1] == "one training so far"


def test_the_choice_on_the_test_texts_is_linked(app: App, store: Store) -> None:
    searched(store)
    store.create_run(RUN, DistillConfig().model_dump(mode="json"), name="s: chosen")
    link("s", RUN)
    assert "The chosen setting's run on all training data is not done yet." in words(app(PAGE, study="s"))
    store.set_status(RUN, "failed")
    page = app(PAGE, study="s")
    assert "The chosen setting's run on all training data ended before it was done." in words(page)
    assert ("Open it, to see why and to resume it", f"run={RUN}") in links(page)
    report = json.loads((SAMPLES / "report.json").read_text("utf-8"))
    report["config"]["training"]["metric"] = "macro_f1"
    store.save_report(RUN, report)
    store.set_status(RUN, "done")
    assert (
        "did not see:** macro-F1 87.5 % for the chosen setting, +3.6 points of macro-F1 over the same "
        "student trained alone (95 % interval +0.6 to +6.7)."
    ) in words(app(PAGE, study="s"))
    store.delete_run(RUN)
    assert "The run of the chosen setting was deleted." in words(app(PAGE, study="s"))


def test_several_students_have_a_map_each(app: App, store: Store) -> None:
    searched(store, students=("tiny", "mini"))
    page = app(PAGE, study="s")
    assert page.selectbox(key="search.of_student").value == "tiny"
    page.selectbox(key="search.of_student").select("mini").run()
    assert len(marks(page)) == 5
    assert "Which settings matter" in [each.label for each in page.expander]
    drawn = ["Accuracy on held-out texts", "How much each setting", "One line for each", "The training data"]
    for spoken, begins in zip(alts(page), drawn, strict=True):
        assert spoken.startswith(begins)


def test_numbers_between_the_ends_are_dots(app: App, store: Store) -> None:
    config = searched(store, method="random", trials=5)
    page = app(PAGE, study="s")
    dots = [mark for trace in heat(page)["data"] for mark in trace["customdata"]]
    first = config.settings[0]
    assert first
    assert len(dots) == 5
    assert any(mark.startswith(f"T {first.temperature:.3g}, alpha {first.alpha:.3g}: ") for mark in dots)


def test_choosing_an_earlier_search(app: App, store: Store) -> None:
    searched(store)
    searched(store, study=EVIL, job="20260131-160000-e5f6", temperatures=(2,))
    page = app(PAGE)
    assert page.query_params["study"] == EVIL  # the newest
    page.selectbox(key="search.study").select("s").run()
    assert page.query_params["study"] == "s"
    assert len(marks(page)) == 5
    assert result("s").best is not None


def test_a_link_to_a_search_that_is_gone(app: App, store: Store) -> None:
    searched(store)
    page = app(PAGE, study=EVIL)
    assert f"There is no search named {EVIL} here. Another one is shown." in words(page)
    assert page.query_params["study"] == "s"
