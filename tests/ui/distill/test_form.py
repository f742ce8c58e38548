"""The form: what it says before the start, of the models, the objective and the task."""

from __future__ import annotations

import os
import re
import sys
from base64 import b64decode
from html import unescape
from pathlib import Path
from types import SimpleNamespace

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from kd_core import job_kinds
from kd_core.config import DistillConfig, TaskConfig, slider
from kd_core.data import uploads
from kd_core.data.uploads import Upload
from kd_core.figures.split import loss_split
from kd_core.jobs.store import Store
from kd_core.models.e5 import e5_folder, has_e5
from pages.shared.run_form import consent, models, plan
from pages.shared.run_form.link import key
from tests import ROOT
from tests.ui.charts import alts
from tests.ui.distill.page import PAGE, App, texts, widget


def test_the_form_says_how_large_everything_is(app: App) -> None:
    test = app(PAGE)
    assert not test.exception
    said = texts(test)
    assert "1,256 training, 524 test and 12,000 transfer texts, 5 classes" in said
    assert "minilm-l6: 22.7 M parameters, 90.9 MB, 52 % embeddings" in said, "what auto is"
    assert "2.7 M parameters, 10.7 MB, 94 % embeddings" in said
    assert re.search(r"\*\*1 Teach\*\* · \d+ s", said)
    assert re.search(r"\*\*4 Validate\*\* · \d", said)
    assert "The teacher reads every text once" in said
    assert test.button(key="distill.start").label.startswith("Start distillation · ")


def test_texts_that_are_not_english_have_a_teacher_that_reads_them(app: App) -> None:
    if not has_e5():
        pytest.skip("the extra zh is not installed")
    e5_folder()  # unpacked, which takes its time
    said = {"gut": "Ein sehr schönes Hotel mit freundlichen Leuten", "schlecht": "Ein schmutziges Zimmer"}
    rows = [f'"{text}, sagte Gast Nummer {n}",{label}' for n in range(60) for label, text in said.items()]
    file = Upload("hotels.csv", "\n".join(["text,label", *rows]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    test = app(PAGE, **{key("task.name"): saved.id})
    assert not test.exception
    assert re.search(r"e5-small: 11\d\.\d M parameters", texts(test))
    assert not any("cuts a word" in warning.value for warning in test.warning)
    widget(test, "selectbox", "teacher.model").select("minilm-l6").run()
    assert any("cuts a word of these texts" in warning.value for warning in test.warning)


def test_a_larger_student_is_announced_larger_and_slower(app: App) -> None:
    test = app(PAGE)
    before = test.button(key="distill.start").label
    widget(test, "selectbox", "student.model").select("medium").run()
    assert "34.5 M parameters" in texts(test)
    assert (
        "The student is larger than the teacher (34.5 M against 22.7 M parameters)" in test.warning[0].value
    )
    assert test.button(key="distill.start").label != before


def test_a_student_of_few_texts_is_filled_up_or_warned_about(app: App) -> None:
    test = app(PAGE)
    widget(test, "selectbox", "student.model").select("tiny").run()
    widget(test, "slider", "task.transfer_texts").set_value(0).run()
    assert "2.7 M parameters, 10.6 MB, 84 % embeddings" in texts(test)
    assert not test.warning
    widget(test, "number_input", "student.fill_vocabulary").set_value(0).run()
    assert "1.1 M parameters, 4.4 MB, 62 % embeddings" in texts(test)
    (warning,) = test.warning
    assert "80 % of the validation and test texts hold a word piece that the student lacks" in warning.value


def test_the_form_shows_how_temperature_softens_a_real_answer(app: App) -> None:
    def likeliest(test: AppTest) -> float:
        """In percent, at the temperature of the form."""
        (said,) = (alt for alt in alts(test) if "at T" in alt)
        return max(float(share) for share in re.findall(r"([\d.]+) %", said.partition("at T")[2]))

    test = app(PAGE)
    before = likeliest(test)
    widget(test, "slider", "objective.temperature").set_value(float(slider("objective.temperature")[1])).run()
    assert 20 < likeliest(test) < before, "nearer to a fifth for each of five classes"


def test_what_matters_most_chooses_a_student(app: App) -> None:
    test = app(PAGE)
    assert widget(test, "selectbox", "student.model").value == DistillConfig().student.model
    assert test.button_group(key="distill.outcome").value == "Size and speed"
    test.button_group(key="distill.outcome").set_value("Accuracy").run()
    assert widget(test, "selectbox", "student.model").value == "half"
    assert "12.3 M parameters" in texts(test)  # three layers of 384, 17,140 pieces
    widget(test, "selectbox", "student.model").select("medium").run()
    assert test.button_group(key="distill.outcome").value is None
    assert widget(test, "selectbox", "student.model").value == "medium"


def test_alpha_draws_how_the_loss_is_split(app: App) -> None:
    test = app(PAGE)
    assert {"teacher 40 %", "labels 60 %"} <= {caption.value for caption in test.caption}
    widget(test, "slider", "objective.alpha").set_value(0.9).run()
    assert {"teacher 10 %", "labels 90 %"} <= {caption.value for caption in test.caption}
    pictures = (picture for image in test.get("image") for picture in image.proto.imgs)
    (drawn,) = (picture for picture in pictures if picture.alt.startswith("The loss:"))
    assert drawn.alt == "The loss: teacher 10 %, labels 90 %"
    assert b64decode(drawn.url.partition(",")[2]).decode() == loss_split(0.9)


def test_on_a_cold_server_the_form_is_there_and_can_start_before_torch_is(
    app: App, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {
        name: module for name, module in sys.modules.items() if name != "kd_core.distillation.pipeline"
    }
    monkeypatch.setattr(job_kinds, "sys", SimpleNamespace(modules=modules))
    test = app(PAGE)
    assert not test.exception
    assert "sizes and times follow in some seconds" in texts(test)
    assert "training texts" not in texts(test)
    test.button(key="distill.start").click().run()
    assert [run.status for run in store.runs()] == ["queued"]
    monkeypatch.undo()


def test_the_task_that_was_chosen_last_is_there_on_the_next_page(app: App) -> None:
    file = Upload("films.csv", "\n".join(["text,label", *(f"Film {i},{i % 2}" for i in range(40))]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    test = app(PAGE)
    assert widget(test, "selectbox", "task.name").value == "bbc-headlines"
    widget(test, "selectbox", "task.name").select(saved.id).run()

    def visit(page: str) -> str:
        test.switch_page("review/runs/page.py").run()
        # As in a browser: a link of the sidebar has no settings, and a page that was left no widgets.
        test.query_params.clear()
        del test.session_state[key("task.name")]
        test.switch_page(page).run()
        assert not test.exception
        return widget(test, "selectbox", "task.name").value

    assert (visit("build/search/page.py"), visit(PAGE)) == (saved.id, saved.id)
    uploads.delete(saved.id)
    assert visit(PAGE) == "bbc-headlines"


def test_the_beginning_of_a_saved_tasks_name_means_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that takes new entries offers what is typed as one; AppTest cannot type one into it."""
    names = {"1-films": "films.csv", "2-figures": "figures.csv", "3-bbc": "bbc-headlines.csv"}
    for said, taken in (
        ("Film", "1-films"),
        ("fi", "fi"),  # two begin so
        ("bbc-headlines", "bbc-headlines"),  # the bundled one
        ("/data/films.csv", "/data/films.csv"),
    ):
        monkeypatch.setattr(st, "session_state", {"distill.task": said})
        models._typed("distill.task", names)
        assert st.session_state["distill.task"] == taken


def test_the_doctor_speaks_before_the_start(app: App) -> None:
    test = app(PAGE)
    assert not test.warning
    widget(test, "slider", "objective.alpha").set_value(1.0).run()
    assert "Alpha is 1: the teacher is ignored" in test.warning[0].value


def test_where_a_class_is_rare_a_lower_temperature_is_a_click_away(app: App) -> None:
    texts_of = {"cat": 60, "dog": 60, "owl": 6}
    rows = [f"A {animal} {i},{animal}" for animal, many in texts_of.items() for i in range(many)]
    file = Upload("animals.csv", "\n".join(["text,label", *rows]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    test = app(PAGE, **{key("task.name"): saved.id})
    assert "A class is rare here, and at T = 2 a student may forget it" in texts(test)
    test.button(key="distill.temperature_change").click().run()
    assert widget(test, "slider", "objective.temperature").value == 1
    assert "A class is rare" not in texts(test)
    assert "distill.temperature_change" not in [button.key for button in test.button]


def test_a_class_in_the_doctors_words_is_no_markup(app: App) -> None:
    texts_of = {"cat": 60, "dog": 60, "![x](http://127.0.0.1:9/x)": 6}
    rows = [f"A {animal} {i},{animal}" for animal, many in texts_of.items() for i in range(many)]
    file = Upload("animals.csv", "\n".join(["text,label", *rows]).encode())
    saved = uploads.save({"name": file}, TaskConfig(text_column="text", label_column="label"))
    (said,) = (info.value for info in app(PAGE, **{key("task.name"): saved.id}).info if "fair" in info.value)
    assert "![" not in said
    assert "The class '![x](http://127.0.0.1:9/x)' has 4" in unescape(said).replace("\u2060", "")


def test_only_heads_that_divide_the_hidden_size_are_offered(app: App) -> None:
    test = app(PAGE)
    widget(test, "selectbox", "student.model").select("custom").run()
    widget(test, "slider", "student.hidden").set_value(192).run()
    heads = widget(test, "selectbox", "student.heads")
    assert heads.options == ["1", "2", "3", "4", "6", "8", "12", "16"]
    heads.select(6).run()
    assert not test.error
    widget(test, "slider", "student.hidden").set_value(256).run()
    assert widget(test, "selectbox", "student.heads").options == ["1", "2", "4", "8", "16"]
    assert not test.error


def test_a_teacher_from_scratch_has_sliders(app: App) -> None:
    test = app(PAGE)
    widget(test, "selectbox", "teacher.model").select("scratch").run()
    widget(test, "slider", "teacher.layers").set_value(4).run()
    assert not test.error
    assert "A teacher from scratch knows only this task's texts" in texts(test)


def test_a_hub_id_without_a_network_gets_a_clear_word(app: App) -> None:
    name, test = "google-bert/bert-base-uncased", app()
    test.session_state[consent.AGREED] = {name}  # a link alone asks no Hub
    test.query_params[key("teacher.model")] = name
    test.switch_page(PAGE).run()
    assert "is not on this disk and the Hugging Face Hub cannot be reached" in test.error[0].value
    assert "Without a network there are the teachers minilm-l6, minilm-l3, " in test.error[0].value
    assert test.button(key="distill.start").disabled


def test_seeds_say_what_they_ask_for(app: App) -> None:
    test = app(PAGE)
    one = "One training of each student. Type 0,1,2 for three, and chance counts for less."
    assert one in [caption.value for caption in test.caption]
    widget(test, "text_input", "training.seeds").set_value("0, 1,2").run()
    said = [caption.value for caption in test.caption]
    assert "3 trainings of each student, and their mean." in said
    assert one not in said


def test_all_problems_are_shown_and_nothing_can_start(app: App) -> None:
    test = app(PAGE)
    widget(test, "text_input", "training.seeds").set_value("1,x").run()
    assert len(test.error) == 1
    assert "training.seeds must be a list of whole numbers" in test.error[0].value.replace("&#46;", ".")
    assert test.button(key="distill.start").disabled


def test_what_the_task_forbids_the_objective_is_said_before_the_start(app: App) -> None:
    test = app(PAGE)
    widget(test, "text_input", "objective.class_weights").set_value("spam=3").run()
    (error,) = test.error
    assert "class-weights names 'spam', not a class of this task" in error.value
    assert test.button(key="distill.start").disabled
    widget(test, "text_input", "objective.class_weights").set_value("tech=3").run()
    assert not test.error
    sample = ROOT / "assets" / "samples" / "answers-some-gold.csv"
    file = Upload(sample.name, sample.read_bytes())
    saved = uploads.save({"name": file}, TaskConfig(knowledge=sample.name))
    test = app(PAGE, **{key("task.name"): saved.id, key("objective.hidden_weight"): "0.5"})
    (error,) = test.error
    assert "hidden-weight compares inner states, and the teacher is a file" in error.value


def test_sliders_that_change_no_size_compute_no_plan_again(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    test, made = app(PAGE), []
    monkeypatch.setattr(plan, "make_plan", lambda *given: made.append(given))
    widget(test, "slider", "objective.temperature").set_value(8.0).run()
    widget(test, "slider", "objective.alpha").set_value(0.5).run()
    widget(test, "selectbox", "objective.divergence").select("dkd").run()
    assert not test.exception
    assert not test.error
    assert not made


def test_a_file_that_is_named_from_the_home_folder_is_read_again_after_an_edit(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    file, named = home / "texts.csv", TaskConfig(name="~/texts.csv")
    assert plan.stamp(named) == []
    file.write_text("text,label\n")
    for second in (1, 2):
        os.utime(file, (second, second))
        assert plan.stamp(named) == [second * 10**9]
