"""Looking at tasks, using one, and deleting it."""

from __future__ import annotations

from kd_core.config import DistillConfig
from kd_core.data import uploads
from kd_core.job_kinds import prepare
from kd_core.jobs.store import Store
from tests.ui.data.page import FILMS, PAGE, Open, plain, run, saved_films, sizes, values

WORDS = [f"{one}{two}" for one in ("blue", "red", "old", "new") for two in "abcde"]


def test_the_page_says_what_it_is_for_and_shows_the_demo_task(app: Open) -> None:
    test = app(PAGE)
    assert not test.exception
    assert values(test.title) == ["Data"]
    assert "press *Use this task*" in test.markdown[0].value
    assert sizes(test, 0) == {
        "Training texts": "1,256",
        "Validation texts": "316",
        "Test texts": "524",
        "Transfer texts": "12,000",
        "Classes": "5",
    }
    assert any("The articles are © BBC" in caption for caption in values(test.caption))
    told = [plain(caption) for caption in values(test.caption)]
    assert any("29 headlines repeat another, so 2,096 texts are left." in caption for caption in told)
    examples = test.tabs[0].dataframe[0].value
    assert set(examples["label"]) == {"business", "entertainment", "politics", "sports", "tech"}


def test_what_was_looked_for_is_a_list_of_checks(app: Open) -> None:
    rows = "".join(f"Good film number {WORDS[i]},pos\nBad film number {WORDS[i]},neg\n" for i in range(20))
    saved = saved_films(content=f"text,label\n{rows}Odd film,pos\nOdd film,neg\nOdd film,neg\n")
    test = run(app(PAGE).selectbox(key="data.task").set_value(saved.id))
    passed = [line for line in values(test.markdown) if line.startswith(":material/check_circle:")]
    found = [box for box in test.tabs[0].expander if box.label.startswith("**")]
    names = [line.split()[1] for line in passed] + [box.label.split("**")[1] for box in found]
    assert len(names) == 5
    (conflict,) = (box for box in found if box.label.startswith("**Conflicting labels**"))
    assert plain(conflict.label) == "**Conflicting labels**: 1 text has more than one label."
    assert conflict.markdown[0].value.startswith("**What to do.** Nobody can get both right.")
    assert set(conflict.dataframe[0].value["Labels"][0].split(", ")) == {"neg", "pos"}


def test_transfer_texts_stand_beside_the_labelled_ones(app: Open) -> None:
    test = app(PAGE)
    labelled, transfer = test.tabs[0].dataframe
    assert len(labelled.value) == len(transfer.value) == 40
    assert "teacher" not in transfer.value
    assert any(
        "once a run on all of its texts has recorded it" in caption for caption in values(test.caption)
    )
    test = run(app(PAGE).button(key="data.sample.answers-some-gold.csv").click())
    answered = test.tabs[2].dataframe[-1].value
    assert set(answered["teacher"]) <= {"billing", "delivery", "technical"}
    assert answered["sure"].between(33, 100).all()


def test_a_link_opens_a_task(app: Open) -> None:
    test = app(PAGE, **{"data.task": "bbc-articles"})
    assert test.selectbox(key="data.task").value == "bbc-articles"
    assert sizes(test, 0)["Training texts"] == "1,275"


def test_use_this_task_fills_in_the_form(app: Open) -> None:
    prepare()
    saved = saved_films()
    test = run(app(PAGE).selectbox(key="data.task").set_value(saved.id))
    test = run(test.button(key="data.use").click())
    assert values(test.title) == ["Distill"]
    assert test.selectbox(key="distill.task").value == saved.id
    assert any(caption.startswith("12 training, ") for caption in values(test.caption))


def test_two_files_of_one_name_are_told_apart(app: Open) -> None:
    tasks = [saved_films(), saved_films(content=FILMS + "One more film,pos\n")]
    names = ["films.csv", f"films.csv ({tasks[1].id[:4]})"]
    test = app(PAGE)
    assert test.selectbox(key="data.task").options[-2:] == names
    for task in tasks:
        test = run(test.selectbox(key="data.task").set_value(task.id))
        assert test.code[0].value == task.config.name


def test_deleting_asks_once(app: Open) -> None:
    saved = saved_films()
    test = run(app(PAGE).selectbox(key="data.task").set_value(saved.id))
    assert "films.csv and its settings will be gone for good." in values(test.text)
    assert uploads.saved() == [saved]
    test = run(test.button(key="data.delete").click())
    assert uploads.saved() == []
    assert test.selectbox(key="data.task").value == "bbc-headlines"


def test_a_task_that_a_run_waits_for_stays(app: Open, store: Store) -> None:
    saved = saved_films()
    config = DistillConfig(task=saved.config).model_dump(mode="json")
    store.create_run("20260131-143000-a1b2", config, name="Films")
    test = run(app(PAGE).selectbox(key="data.task").set_value(saved.id))
    test = run(test.button(key="data.delete").click())
    assert "The run Films is queued and needs this task." in plain(test.error[0].value)
    assert uploads.saved() == [saved]
