"""The Data page: tasks, uploads, answers of a teacher, doubtful labels, and what to ask next."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import load_task, uploads
from kd_core.data.uploads import SavedTask, Upload
from kd_core.deployment import ask
from kd_core.errors import DataError
from kd_core.job_kinds import prepare
from kd_core.jobs.store import Store
from pages.build.data import answers
from pages.build.data import ask_next as next_page
from pages.shared.text import plain_words
from tests import ROOT
from tests.ui.finished import RUN, App, inert, kept_run, keys, plain, read

PAGE = "build/data/page.py"
SAMPLE = ROOT / "assets" / "samples" / "support-messages.csv"
ROWS = "".join(f"Good film number {i},pos\nBad film number {i},neg\n" for i in range(10))
FILMS = f"text,label\n{ROWS}"
DOUBTFUL, NEXT = {"data.view": "Doubtful labels"}, {"data.view": "What to ask next"}


def send(page: AppTest, content: str | bytes, name: str = "films.csv", to: str = "file") -> AppTest:
    data = content if isinstance(content, bytes) else content.encode()
    return page.file_uploader(key=f"data.{to}").set_value((name, data, "text/csv")).run()


def box(page: AppTest, label: str, kind: str = "selectbox"):
    """Returns the control with this label; its key holds the file's number."""
    (found,) = (each for each in getattr(page, kind) if each.label == label)
    return found


def sizes(page: AppTest, tab: int) -> list[str]:
    """Training, validation, test and transfer texts, and classes."""
    assert not page.exception
    return [metric.value for metric in page.tabs[tab].metric]


def saved_films(content: str = FILMS) -> SavedTask:
    return uploads.save({"name": Upload("films.csv", content.encode())}, TaskConfig())


def save(page: AppTest) -> SavedTask:
    page = page.button(key="data.save").click().run()
    assert not page.exception
    (saved,) = uploads.saved()
    return saved


# Tasks


def test_demo_task(app: App) -> None:
    page = app(PAGE)
    assert sizes(page, 0) == ["1,256", "316", "524", "12,000", "5"]
    said = read(page)
    assert "press *Use this task*" in said
    assert "The articles are © BBC" in said
    assert "29 headlines repeat another, so 2,096 texts are left." in said
    assert "once a run on all of its texts has recorded it" in said
    labelled, transfer = (frame.value for frame in page.tabs[0].dataframe)
    assert set(labelled["label"]) == {"business", "entertainment", "politics", "sports", "tech"}
    assert len(labelled) == len(transfer) == 40
    assert "teacher" not in transfer


def test_checks_of_a_linked_task(app: App) -> None:
    words = [f"{one}{two}" for one in ("blue", "red", "old", "new") for two in "abcde"]
    rows = "".join(f"Good film number {word},pos\nBad film number {word},neg\n" for word in words)
    saved = saved_films(f"text,label\n{rows}Odd film,pos\nOdd film,neg\nOdd film,neg\n")
    page = app(PAGE, **{"data.task": "films.csv"})
    assert page.selectbox(key="data.task").value == saved.id
    (conflict,) = (each for each in page.tabs[0].expander if each.label.startswith("**Conflicting labels**"))
    assert plain(conflict.label) == "**Conflicting labels**: 1 text has more than one label."
    assert conflict.markdown[0].value.startswith("**What to do.** Nobody can get both right.")
    assert set(conflict.dataframe[0].value["Labels"][0].split(", ")) == {"neg", "pos"}
    assert ":material/check_circle:" in read(page)


@pytest.fixture(scope="session")
def torch_imported() -> None:
    prepare()


def test_use_fills_in_the_distill_form(app: App, torch_imported: None) -> None:
    saved = saved_films()
    page = app(PAGE, **{"data.task": "films.csv"}).button(key="data.use").click().run()
    assert page.title[0].value == "Distill"
    assert page.selectbox(key="distill.task").value == saved.id
    assert "12 training, " in read(page)


def test_delete_asks_and_a_queued_run_keeps_its_task(app: App, store: Store) -> None:
    saved, other = saved_films(), saved_films(f"{FILMS}One more film,pos\n")
    config = DistillConfig(task=saved.config).model_dump(mode="json")
    store.create_run(RUN, config, name="Films")
    page = app(PAGE, **{"data.task": "films.csv"})
    assert page.selectbox(key="data.task").options[-2:] == ["films.csv", f"films.csv ({other.id[:4]})"]
    assert page.code[0].value == saved.config.name
    assert [text.value for text in page.text] == ["films.csv and its settings will be gone for good."]
    page.button(key="data.delete").click().run()
    assert "The run Films is queued and needs this task." in read(page)
    store.set_status(RUN, "done")
    page.button(key="data.delete").click().run()
    assert [task.id for task in uploads.saved()] == [other.id]
    assert page.selectbox(key="data.task").value == "bbc-headlines"


# Upload


def test_upload_becomes_a_task(app: App) -> None:
    page = send(app(PAGE), SAMPLE.read_bytes(), SAMPLE.name)
    assert sizes(page, 1) == ["36", "9", "15", "0", "3"]
    assert "The first 8 of 60 rows" in read(page)
    assert uploads.saved() == [], "nothing is kept before it is asked for"
    field = box(page, "Name of the task", "text_input")
    assert field.value == "support-messages"
    saved = save(field.set_value("../фільми").run())
    assert page.success[0].value == "Saved. **Use this task** opens Distill with it."
    assert page.selectbox(key="data.task").value == saved.id
    assert page.selectbox(key="data.task").options[-1] == saved.name == "фільми.csv"
    assert sizes(page, 0)[0] == "36"
    assert (saved.config.text_column, saved.config.label_column) == ("text", "label")


def test_encoding_is_asked_for_with_a_preview(app: App) -> None:
    page = send(app(PAGE), f"{FILMS}Un café crème,pos\n".encode("latin-1"))
    assert "in line 22. Which of these lines reads right?" in read(page)
    readings = page.tabs[1].dataframe[0].value.to_dict("list")
    assert readings == {"Encoding": ["latin-1"], "The line would read": ["Un café crème,pos"]}
    assert "data.save" not in keys(page)
    saved = save(box(page, "Encoding").set_value("latin-1").run())
    assert "café crème" in Path(saved.config.name).read_text(encoding="utf-8")


def test_columns_are_asked_for(app: App) -> None:
    rows = "".join(f"one text {i},another text {i},x{i % 2}\n" for i in range(12))
    page = send(app(PAGE), f"first,second,third\n{rows}")
    assert "Which column of films.csv holds the texts? Give the text column:" in read(page)
    page = box(page, "Text column").set_value("second").run()
    assert "Choose the label column too." in read(page)
    page = box(page, "Label column").set_value("third").run()
    assert sizes(page, 1)[-1] == "2"
    shown = [frame.value for frame in page.tabs[1].dataframe if "text" in frame.value]
    assert shown[0]["text"].str.startswith("another text").all()


def test_separator_is_found_and_can_be_changed(app: App) -> None:
    page = send(app(PAGE), FILMS.replace(",", ";"))
    assert "columns are separated by semicolons, not commas" in read(page)
    assert "data.save" in keys(page)
    page = box(page, "Columns are separated by").set_value("|").run()
    assert "data.save" not in keys(page)
    assert (
        "films.csv has only the column 'column 1'; a task needs texts and labels. "
        "If the columns are separated in another way, give the separator." in read(page)
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "films.csv is not a CSV file: its content is a PNG image."),
        (b'text,label\n"Good,pos\n', "a quoted text that begins in line 2 is not closed properly"),
    ],
)
def test_unusable_upload(app: App, content: bytes, said: str) -> None:
    page = send(app(PAGE), content)
    assert said in read(page)
    assert "--" not in plain(page.error[0].value)
    assert "data.save" not in keys(page)


@pytest.mark.parametrize(
    ("engine", "page"),
    [
        ("--encoding must be an encoding, got 'x'.", "The encoding must be an encoding, got 'x'."),
        ("a.csv is not gbk text. Give another --encoding.", "a.csv is not gbk text. Give another encoding."),
        ("read as logits (guessed; --answers says otherwise).", "read as logits (guessed)."),
        ("--delimiter must be one character.", "The separator must be one character."),
        ("Is it right? Choose another with --label-column.", "Is it right? Choose another label column."),
        ("No column 'x'; choose --text-column from 'a'.", "No column 'x'; choose the text column from 'a'."),
    ],
)
def test_plain_words(engine: str, page: str) -> None:
    assert plain_words(DataError(engine)) == page


# Consents


def test_rows_without_a_label_are_dropped_on_consent_for_this_file(app: App) -> None:
    page = send(app(PAGE), f"{FILMS}Odd film,\nOther film,Pos\n")
    assert "films.csv: 1 of 22 rows without a label (line 22)." in read(page)
    assert not page.toggle
    assert page.radio[0].options == ["The teacher labels them: they become transfer texts", "Drop them"]
    assert "data.save" not in keys(page)
    page = page.radio[0].set_value("drop_empty").run()
    assert "'pos' (10), 'Pos' (1). Merge them with the switch below" in read(page)
    page = page.toggle[0].set_value(True).run()
    assert not page.warning
    assert "films.csv: 1 row without a label dropped." in read(page)
    page = send(page, f"{FILMS}Another odd film,\n", "other.csv")
    assert "1 of 21 rows without a label" in read(page)
    assert page.radio[0].value is None
    saved = save(page.radio[0].set_value("drop_empty").run())
    assert (saved.config.drop_empty, saved.config.merge_labels) == (True, False)


def test_rows_without_a_label_become_transfer_texts(app: App) -> None:
    page = send(app(PAGE), f"{FILMS}Odd film,\n").radio[0].set_value("label_empty").run()
    assert "films.csv: 1 row without a label kept as transfer texts." in read(page)
    page = send(page, "text,label\nA fine one,pos\nA poor one,neg\nUnseen,\n", "held.csv", "test_file")
    assert [toggle.label for toggle in page.toggle] == ["Drop rows whose label is blank"]
    page = page.toggle[0].set_value(True).run()
    page = send(page, "Some text\nAnother text\nA third text\n", "more.txt", "transfer_file")
    assert sizes(page, 1) == ["16", "4", "2", "4", "2"]
    saved = save(page)
    assert (saved.config.label_empty, saved.config.drop_empty) == (True, True)


@pytest.mark.parametrize(
    ("train", "test", "question", "answer", "setting"),
    [
        ("Odd,odd\n", "", "all splits; 'odd' has 1. Add texts, or drop it", "dropped: 'odd'", "drop_rare"),
        ("", ROWS[:44], "train texts occur in test too. Drop them from train", "", "drop_overlap"),
        (
            "".join(f"Text {i},--{d}rop-empty\n" for i, d in enumerate("dddD")),
            "",
            "Merge",
            "",
            "merge_labels",
        ),
    ],
    ids=["rare class", "overlap", "labels"],
)
def test_consent_of_one_switch(
    app: App, train: str, test: str, question: str, answer: str, setting: str
) -> None:
    page = send(app(PAGE), f"{FILMS}{train}")
    if test:
        page = send(page, f"text,label\n{test}", "held.csv", "test_file")
    assert question in plain(page.warning[0].value)
    assert "with the switch below" in plain(page.warning[0].value)
    (toggle,) = page.toggle
    assert toggle.label == TaskConfig.model_fields[setting].description
    page = toggle.set_value(True).run()
    assert not page.warning
    assert answer in read(page)
    assert getattr(save(page).config, setting)


def test_sample_with_a_rare_class(app: App) -> None:
    page = app(PAGE).button(key="data.sample.rare-class.csv").click().run()
    assert sizes(page, 1)[-1] == "3"
    assert save(page).name == "rare-class.csv"


# Answers of a teacher


def test_answers_become_a_task(app: App) -> None:
    page = app(PAGE).button(key="data.sample.answers-some-gold.csv").click().run()
    chosen = box(page, "Columns of answers", "multiselect").value
    assert chosen == ["prob_billing", "prob_delivery", "prob_technical"]
    assert box(page, "Gold labels").value == "gold"
    assert sizes(page, 2) == ["72", "18", "30", "180", "3"]
    answered = page.tabs[2].dataframe[-1].value
    assert set(answered["teacher"]) <= {"billing", "delivery", "technical"}
    assert answered["sure"].between(33, 100).all()
    (name,) = (each for each in page.text_input if each.label == "Name of the task")
    page = name.set_value("Support of May").run().button(key="data.save_answers").click().run()
    (saved,) = uploads.saved()
    assert saved.config.knowledge == saved.config.name
    assert saved.name == "Support-of-May.csv"
    assert page.selectbox(key="data.task").value == saved.id


def test_labels_of_a_teacher_are_read_once_and_smoothed(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, real = [], answers.read_file
    monkeypatch.setattr(answers, "read_file", lambda data, name: reads.append(name) or real(data, name))
    page = app(PAGE).button(key="data.sample.answers-labels.csv").click().run()
    assert [slider.label for slider in page.slider] == ["Smoothing"]
    assert "They carry no dark knowledge" in read(page)
    assert "what is measured is agreement with the teacher" in read(page)
    assert not page.slider[0].set_value(0.3).run().exception
    assert reads == ["answers-labels.csv"]


# After a run


def test_views_that_need_a_run(app: App) -> None:
    assert "the labels that its teacher contradicts appear here" in read(app(PAGE, **DOUBTFUL))
    assert "It takes a trained student to tell what it does not know" in read(app(PAGE, **NEXT))


def test_doubtful_labels(app: App, store: Store, home: Path) -> None:
    kept_run(store, home)
    page = app(PAGE, **DOUBTFUL)
    assert "**2 labels that the teacher contradicts**, the surest first" in read(page)
    assert "By its labels, the teacher is right on" in read(page)
    assert page.tabs[3].dataframe[0].value["text"].to_list() == ["film number 3", "film number 6"]
    assert page.button(key="data.mend").disabled


def test_marked_labels_start_a_run_with_the_mended_file(
    app: App, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patches the editor, since AppTest cannot edit cells; a browser's test in tests/e2e does."""
    kept_run(store, home)
    found, reads = ask.suspects(RUN), []
    monkeypatch.setattr(ask, "suspects", lambda run_id: reads.append(run_id) or found)
    marked = found.assign(mark=["wrong label", "right label"])
    monkeypatch.setattr("streamlit.data_editor", lambda *args, **kwargs: marked)
    page = app(PAGE, **DOUBTFUL).run()
    assert "2 of 2 marked, 1 text to be mended" in read(page)
    assert reads == [RUN], "a mark does not read the task again"
    went: list[object] = []
    monkeypatch.setattr("streamlit.switch_page", lambda page, query_params: went.append(query_params))
    assert not page.button(key="data.mend").click().run().exception
    (run,) = store.runs(status=("queued",))
    assert went == [{"run": run.id}]
    assert run.name == "Films, 1 text mended"
    task = load_task(DistillConfig.from_dict(run.config).task)
    rows = [row for split in (task.train, task.validation, task.test) for row in split]
    labels = {row["text"]: task.labels[row["label"]] for row in rows}
    assert (labels["film number 3"], labels["film number 6"]) == ("neg", "neg")


def pool(page: AppTest, content: str | bytes, count: int) -> AppTest:
    assert page.button(key="data.ask").disabled
    page = send(page, content, "pool.csv", "ask_file")
    return page.number_input(key="data.ask_count").set_value(count).run()


def test_texts_to_ask_about(app: App, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Replaces the student; tests/unit/deployment/test_ask.py asks a real one."""
    kept_run(store, home)
    asked: list[object] = []

    def choose(run_id: str, texts: list[str], count: int, by: str) -> tuple[list[str], int]:
        asked.append((run_id, len(texts), count, by))
        return texts[:count], len(texts)

    monkeypatch.setattr(next_page, "_choose", choose)
    content = "".join(["alpha,beta\n", *(f"un café crème {i},another text {i}\n" for i in range(30))])
    page = pool(app(PAGE, **NEXT), content.encode("latin-1"), 5)
    for asks, answer in (("Encoding", "latin-1"), ("Text column", "alpha"), ("Chosen by", "margin")):
        assert page.button(key="data.ask").disabled == (asks != "Chosen by")
        page = box(page, asks).set_value(answer).run()
    page = page.button(key="data.ask").click().run()
    assert "5 of 30 new texts, the least sure first. Label them" in read(page)
    assert page.tabs[4].dataframe[-1].value["text"].to_list() == [f"un café crème {i}" for i in range(5)]
    page = page.number_input(key="data.ask_count").set_value(6).run()
    shown = [frame.value for frame in page.tabs[4].dataframe]
    assert not any("text" in table for table in shown), "what was chosen was for another number"
    assert asked == [(RUN, 30, 5, "margin")]


def test_pool_without_enough_new_texts(
    app: App, store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_run(store, home)
    monkeypatch.setattr("kd_core.deployment.forms.open_form", lambda *args: None)
    page = pool(app(PAGE, **NEXT), "text\nfilm number 3\na new film\n", 2)
    page = page.button(key="data.ask").click().run()
    assert "The number of texts must be between 1 and the 1 new text of the pool, got 2" in read(page)
    (home / "runs" / RUN / "validation.parquet").unlink()
    assert "are missing or damaged: validation.parquet cannot be read" in read(app(PAGE, **DOUBTFUL))


# Hostile text


def test_texts_labels_columns_and_names_stay_plain(app: App) -> None:
    hostile = (
        "![](http://127.0.0.1:9/x)",
        "<img src=http://127.0.0.1:9/y onerror=alert(1)>",
        "[a](javascript:alert(1))",
        ":material/bomb:",
        "$x^2$",
        "`--drop-empty`",
    )
    rows = "".join(f'"{hostile[1]}","{text} {i}","{hostile[i]} x"\n' for i in range(4) for text in hostile)
    header = f'"{hostile[0]}","{hostile[2]}","text"\n'
    page = send(app(PAGE), header + rows, f"{hostile[0]} {hostile[1]} {hostile[3]}.csv")
    page = box(page, "Text column").set_value(hostile[2]).run()
    page = box(page, "Label column").set_value("text").run()
    assert sizes(page, 1)[-1] == "4"
    for question in (False, True):
        if question:
            twice = "".join(f'a{i},"{text}"\nb{i},"{text} "\n' for i, text in enumerate(hostile))
            page = send(page, f"text,label\n{twice}")
            assert "differ only in case, spaces or what" in read(page), "and it quotes them"
        inert(page, *hostile)
        figures = "".join(element.proto.json for element in page.get("bidi_component"))
        assert "<img" not in figures
        assert question or "&#60;img" in figures or "&lt;img" in figures, "Plotly reads HTML"
