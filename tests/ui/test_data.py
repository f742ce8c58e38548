"""The data page: look at tasks, bring a file, agree to what has to be done with it, use it, delete it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import uploads
from kd_core.data.apart import read_file
from kd_core.data.table import Table
from kd_core.data.uploads import SavedTask, Upload
from kd_core.errors import DataError
from kd_core.job_kinds import prepare
from kd_core.jobs.store import Store
from pages.build.data import answers
from pages.shared.upload import plain_words
from tests import ROOT

PAGE = "build/data/page.py"
SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"
ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))
WORDS = [f"{one}{two}" for one in ("blue", "red", "old", "new") for two in "abcde"]
FILMS = f"text,label\n{ROWS}"

Open = Callable[..., AppTest]


def send(test: AppTest, content: str | bytes, name: str = "films.csv", to: str = "file") -> AppTest:
    data = content if isinstance(content, bytes) else content.encode()
    return run(test.file_uploader(key=f"data.{to}").set_value((name, data, "text/csv")))


def run(widget) -> AppTest:
    test = widget.run()
    assert not test.exception
    return test


def values(elements) -> list[str]:
    return [element.value for element in elements]


def labels(elements) -> list[str]:
    return [element.label for element in elements]


def sizes(test: AppTest, tab: int) -> dict[str, str]:
    return {metric.label: metric.value for metric in test.tabs[tab].metric}


def saved_films(name: str = "films.csv", content: str = FILMS) -> SavedTask:
    return uploads.save({"name": Upload(name, content.encode())}, TaskConfig())


# Looking at tasks


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
    assert any("once a run on this task has recorded it" in caption for caption in values(test.caption))
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


# Bringing a file


def test_the_sample_becomes_a_task(app: Open) -> None:
    test = send(app(PAGE), SAMPLE.read_bytes(), SAMPLE.name)
    assert sizes(test, 1) == {
        "Training texts": "36",
        "Validation texts": "9",
        "Test texts": "15",
        "Transfer texts": "0",
        "Classes": "3",
    }
    assert "The first 8 of 60 rows" in values(test.caption)
    assert uploads.saved() == []  # not before it is asked for
    test = run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert values(test.toast) == ["Saved. **Use this task** opens Distill with it."]
    assert test.selectbox(key="data.task").value == saved.id
    assert sizes(test, 0)["Training texts"] == "36"
    assert test.tabs[0].code[0].value == saved.config.name
    assert (saved.config.text_column, saved.config.label_column) == ("text", "label")


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("", "films.csv"),
        ("My films", "My-films.csv"),
        ("films 2.csv", "films-2.csv"),
        ("../фільми", "фільми.csv"),
    ],
)
def test_an_upload_is_called_as_its_owner_likes(app: Open, typed: str, name: str) -> None:
    test = send(app(PAGE), FILMS.encode(), "films.csv")
    box = next(box for box in test.text_input if box.label == "Name of the task")
    assert box.value == "films"  # the file's
    run(box.set_value(typed))
    test = run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert (saved.name, Path(saved.config.name).name) == (name, name)
    assert test.selectbox(key="data.task").options[-1] == name


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("films.txt", "".join(f"__label__{'pos' if i % 2 else 'neg'} Film {i}\n" for i in range(20)), None),
        (
            "films.csv",
            "".join(f"{'pos' if i % 2 else 'neg'};'Film; {i}'\n" for i in range(20)),
            "texts are in single quotes.",
        ),
    ],
)
def test_a_file_as_other_programs_write_it_becomes_a_task(
    name: str, content: str, said: str | None, app: Open
) -> None:
    test = send(app(PAGE), content, name)
    assert sizes(test, 1)["Training texts"] == "12"
    assert said is None or any(said in caption for caption in values(test.caption))


def test_a_test_file_and_a_transfer_file_count(app: Open) -> None:
    test = send(app(PAGE), FILMS)
    test = send(test, "text,label\nA very good one,pos\nA very bad one,neg\n", "held.csv", "test_file")
    test = send(test, "Some text\nAnother text\nA third text\n", "more.txt", "transfer_file")
    assert sizes(test, 1) == {
        "Training texts": "16",
        "Validation texts": "4",
        "Test texts": "2",
        "Transfer texts": "3",
        "Classes": "2",
    }


def test_an_encoding_is_asked_for_with_a_preview(app: Open) -> None:
    test = send(app(PAGE), f"{FILMS}Un café crème,pos\n".encode("latin-1"))
    assert "in line 22. Which of these lines reads right?" in plain(test.warning[0].value)
    readings = test.tabs[1].dataframe[0].value
    assert readings.to_dict("list") == {
        "Encoding": ["latin-1"],
        "The line would read": ["Un café crème,pos"],
    }
    assert "data.save" not in keys(test)
    encoding = next(box for box in test.selectbox if box.label == "Encoding")
    test = run(encoding.set_value("latin-1"))
    run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert "café crème" in Path(saved.config.name).read_text(encoding="utf-8")


def test_what_needs_consent_is_asked_for_one_by_one(app: Open) -> None:
    test = send(app(PAGE), f"{FILMS}Odd film,\nOther film,Pos\n")
    assert plain(test.warning[0].value) == (
        "films.csv: 1 of 22 rows without a label (line 22). Fill them in, let the teacher label "
        "them, or drop them."
    )
    assert not test.toggle, "one question for the two ways"
    assert test.radio[0].label == "Rows without a label"
    assert test.radio[0].options == ["The teacher labels them: they become transfer texts", "Drop them"]
    assert "data.save" not in keys(test)
    test = run(test.radio[0].set_value("drop_empty"))
    assert "'pos' (10), 'Pos' (1). Merge them with the switch below" in plain(test.warning[0].value)
    test = run(test.toggle[0].set_value(True))
    assert not test.warning
    assert "films.csv: 1 row without a label dropped." in "".join(map(plain, values(test.caption)))
    run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert (saved.config.drop_empty, saved.config.merge_labels) == (True, True)


def test_a_flag_in_the_file_asks_for_no_consent(app: Open) -> None:
    test = send(app(PAGE), f"{FILMS}One more,--drop-empty\nAnother,--Drop-empty\n")
    assert labels(test.toggle) == ["Merge labels that differ only in case or surrounding spaces"]


def test_consent_is_for_one_file_only(app: Open) -> None:
    test = run(send(app(PAGE), f"{FILMS}Odd film,\n").radio[0].set_value("drop_empty"))
    assert not test.warning
    test = send(test, f"{FILMS}Another odd film,\n", "other.csv")
    assert "1 of 21 rows without a label" in plain(test.warning[0].value)
    assert test.radio[0].value is None


def test_rows_without_a_label_are_the_teachers_in_training_and_dropped_in_a_test(app: Open) -> None:
    test = run(send(app(PAGE), f"{FILMS}Odd film,\n").radio[0].set_value("label_empty"))
    assert "films.csv: 1 row without a label kept as transfer texts." in "".join(
        map(plain, values(test.caption))
    )
    test = send(test, "text,label\nA fine one,pos\nA poor one,neg\nUnseen,\n", "held.csv", "test_file")
    assert labels(test.toggle) == ["Drop rows whose label is blank"]
    test = run(test.toggle[0].set_value(True))
    assert not test.warning
    run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert (saved.config.label_empty, saved.config.drop_empty) == (True, True)


def test_overlap_with_the_test_file_is_counted_and_dropped_on_consent(app: Open) -> None:
    test = send(send(app(PAGE), FILMS), f"text,label\n{ROWS[:44]}", "held.csv", "test_file")
    assert "train texts occur in test too. Drop them from train with the switch below." in plain(
        test.warning[0].value
    )
    test = run(test.toggle[0].set_value(True))
    assert not test.warning
    assert "data.save" in keys(test)


def test_classes_with_too_few_texts_are_named_and_dropped_on_consent(app: Open) -> None:
    test = send(app(PAGE), f"{FILMS}Odd film,odd\n")
    assert plain(test.warning[0].value) == (
        "Every class needs at least 3 different texts, to be in all splits; 'odd' has 1. Add texts, or drop "
        "it with the switch below."
    )
    assert labels(test.toggle) == ["Drop classes with too few training texts to be in all splits"]
    test = run(test.toggle[0].set_value(True))
    assert not test.warning
    assert "Classes with fewer than 3 training texts dropped: 'odd' (1 row)." in "".join(
        map(plain, values(test.caption))
    )
    run(test.button(key="data.save").click())
    (saved,) = uploads.saved()
    assert saved.config.drop_rare


def test_columns_are_asked_for_where_they_cannot_be_told(app: Open) -> None:
    rows = "".join(f"one text {i},another text {i},x{i % 2}\n" for i in range(12))
    test = send(app(PAGE), f"first,second,third\n{rows}")
    assert plain(test.info[0].value).startswith(
        "Which column of films.csv holds the texts? Give the text column:"
    )
    boxes = {box.label: box for box in test.selectbox}
    assert boxes["Text column"].value is None
    test = run(boxes["Text column"].set_value("second"))
    boxes = {box.label: box for box in test.selectbox}
    test = run(boxes["Label column"].set_value("third"))
    assert sizes(test, 1)["Classes"] == "2"
    (near,) = (frame.value for frame in test.tabs[1].dataframe if "Alike" in frame.value)
    assert near["Test text"].str.startswith("another text").all()  # all are, but for a number
    (examples,) = (frame.value for frame in test.tabs[1].dataframe if "text" in frame.value)
    assert examples["text"].str.startswith("another text").all()


def test_another_separator_is_found_said_and_can_be_changed(app: Open) -> None:
    test = send(app(PAGE), FILMS.replace(",", ";"))
    assert "columns are separated by semicolons, not commas" in "".join(map(plain, values(test.caption)))
    assert "data.save" in keys(test)
    separator = next(box for box in test.selectbox if box.label == "Columns are separated by")
    test = run(separator.set_value("|"))
    assert "data.save" not in keys(test)
    assert plain(test.info[0].value) == (
        "films.csv has only the column 'column 1'; a task needs texts and labels. "
        "If the columns are separated in another way, give the separator."
    )


@pytest.mark.parametrize(
    ("engine", "page"),
    [
        ("--encoding must be an encoding, got 'x'.", "The encoding must be an encoding, got 'x'."),
        ("a.csv is not gbk text. Give another --encoding.", "a.csv is not gbk text. Give another encoding."),
        ("--delimiter must be one character.", "The separator must be one character."),
        ("Is it right? Choose another with --label-column.", "Is it right? Choose another label column."),
        ("No column 'x'; choose --text-column from 'a'.", "No column 'x'; choose the text column from 'a'."),
    ],
)
def test_flags_of_the_command_become_words_of_the_page(engine: str, page: str) -> None:
    assert plain_words(DataError(engine)) == page


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "films.csv is not a CSV file: its content is a PNG image."),
        (b"", "films.csv is empty: it has no rows."),
        (b"text,label\n", "films.csv has no rows, only a header."),
        (b"text,label\nGood, but long,pos\n", "line 2 has 3 columns, but line 1 has 2."),
        (b'text,label\n"Good,pos\n', "a quoted text that begins in line 2 is not closed properly"),
        (b"text,label\na,pos\nb,pos\nc,pos\n", "All 3 rows have the label 'pos'"),
        (b"text,label\na,pos\nb,neg\n", "There are only 2 labelled rows; at least 6 are needed"),
    ],
)
def test_a_file_that_cannot_be_used_is_explained(app: Open, content: bytes, said: str) -> None:
    test = send(app(PAGE), content)
    assert said in plain(test.error[0].value)
    assert "--" not in plain(test.error[0].value)
    assert "data.save" not in keys(test)


# Deleting


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


# What a visitor's text may not do

HOSTILE = (
    "![](http://127.0.0.1:9/x)",
    "<img src=http://127.0.0.1:9/y onerror=alert(1)>",
    "[a](javascript:alert(1))",
    ":material/bomb:",
    "$x^2$",
    "`--drop-empty`",
)


def markdown(block) -> Iterator[str]:
    """All that goes to the browser to be read as Markdown: bodies, labels, help."""
    for child in getattr(block, "children", {}).values():
        yield from markdown(child)
    if block.type not in ("text", "code", "arrow_data_frame"):
        proto = getattr(block, "proto", None)
        fields = (getattr(proto, field, "") for field in ("body", "label", "help"))
        yield from (value for value in fields if isinstance(value, str))


def figures(block) -> Iterator[str]:
    for child in getattr(block, "children", {}).values():
        yield from figures(child)
    if block.type == "bidi_component":
        yield block.proto.json


def test_hostile_texts_labels_columns_and_names_stay_plain(app: Open) -> None:
    rows = "".join(
        f'"{text} {i}","{label} x"\n' for i in range(4) for text in HOSTILE for label in (HOSTILE[i],)
    )
    name = f"{HOSTILE[0]} {HOSTILE[1]} {HOSTILE[3]}.csv"
    header = f'"{HOSTILE[0]}","{HOSTILE[2]}","text"\n'
    three = "".join(f'"{HOSTILE[1]}",{line}\n' for line in rows.splitlines())
    test = send(app(PAGE), header + three, name)
    boxes = {box.label: box for box in test.selectbox}
    test = run(boxes["Text column"].set_value(HOSTILE[2]))
    boxes = {box.label: box for box in test.selectbox}
    test = run(boxes["Label column"].set_value("text"))
    assert sizes(test, 1)["Classes"] == "4"
    stages = [test.main]
    test = run(test.button(key="data.save").click())
    stages.append(test.main)
    rows = "".join(f'a{i},"{text}"\nb{i},"{text} "\n' for i, text in enumerate(HOSTILE))
    test = send(test, f"text,label\n{rows}")
    assert "differ only in case, spaces or what" in plain(test.warning[0].value)  # and it quotes them
    stages.append(test.main)
    for stage in stages:
        texts, drawn = list(markdown(stage)), "".join(figures(stage))
        assert len(texts) > 20
        assert [text for text in texts for hostile in HOSTILE if hostile in text] == []
        assert "&#60;img" in drawn or "&lt;img" in drawn  # Plotly reads HTML, though no Markdown
        assert "<img" not in drawn


def plain(markdown: str) -> str:
    """What a reader sees of escaped text."""
    import html

    return html.unescape(markdown).replace("\u2060", "")


def keys(test: AppTest) -> set[str]:
    return {button.key for button in test.button}


def test_a_rare_class_is_one_click(app: Open) -> None:
    test = run(app(PAGE).button(key="data.sample.rare-class.csv").click())
    assert sizes(test, 1)["Classes"] == "3"
    assert "data.save" in keys(test)
    run(test.button(key="data.save").click())
    assert uploads.saved()[0].name == "rare-class.csv"


# Answers of a teacher


def test_a_sample_of_answers_is_one_click_and_becomes_a_task(app: Open) -> None:
    test = run(app(PAGE).button(key="data.sample.answers-some-gold.csv").click())
    answer_columns = next(box for box in test.multiselect if box.label == "Columns of answers")
    assert answer_columns.value == ["prob_billing", "prob_delivery", "prob_technical"]
    assert next(box for box in test.selectbox if box.label == "Gold labels").value == "gold"
    assert sizes(test, 2) == {
        "Training texts": "72",
        "Validation texts": "18",
        "Test texts": "30",
        "Transfer texts": "180",
        "Classes": "3",
    }
    box = next(box for box in test.text_input if box.label == "Name of the task")
    test = run(box.set_value("Support of May"))
    test = run(test.button(key="data.save_answers").click())
    (saved,) = uploads.saved()
    assert saved.config.knowledge == saved.config.name
    assert saved.name == "Support-of-May.csv"
    assert test.selectbox(key="data.task").value == saved.id


def test_labels_alone_offer_their_smoothing_and_no_gold(app: Open) -> None:
    test = run(app(PAGE).button(key="data.sample.answers-labels.csv").click())
    assert [box.label for box in test.slider] == ["Smoothing"]
    assert "They carry no dark knowledge" in " ".join(values(test.caption))
    assert "what is measured is agreement with the teacher" in " ".join(values(test.caption))


def test_a_file_of_answers_is_read_once_however_often_the_page_is_drawn(
    app: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []

    def read(data: bytes, name: str) -> Table:
        reads.append(name)
        return read_file(data, name)

    monkeypatch.setattr(answers, "read_file", read)
    test = run(app(PAGE).button(key="data.sample.answers-labels.csv").click())
    run(test.slider[0].set_value(0.3))
    assert reads == ["answers-labels.csv"]
