"""Links that fill in the form: a link's own settings, and those of a run that is duplicated."""

from __future__ import annotations

from pathlib import Path

from kd_core.config import DistillConfig, TaskConfig
from kd_core.data import uploads
from kd_core.data.uploads import Upload
from kd_core.jobs.store import Store
from pages.shared.run_form import consent
from pages.shared.run_form.link import form_link
from tests import ROOT
from tests.ui.distill.page import PAGE, App, texts


def test_a_link_fills_in_the_form(app: App) -> None:
    wanted = DistillConfig().change(
        {
            "objective.temperature": 7.5,
            "objective.alpha": 0.9,
            "student.model": "custom",
            "student.hidden": 192,
            "student.heads": 6,
            "training.seeds": [0, 1],
            "controls.shifted": False,
        }
    )
    link = form_link(wanted)
    assert link == {
        "distill.student": "custom",
        "distill.student_hidden": "192",
        "distill.student_heads": "6",
        "distill.temperature": "7.5",
        "distill.alpha": "0.9",
        "distill.seeds": "0,1",
        "distill.shifted": "False",
    }
    test = app(PAGE, **link)
    test.button(key="distill.start").click().run()
    assert DistillConfig.from_dict(Store().runs()[0].config) == wanted


def test_a_hidden_size_that_the_usual_heads_do_not_divide(app: App) -> None:
    test = app(PAGE, **{"distill.student": "custom", "distill.student_hidden": "99"})
    assert not test.exception
    heads = test.selectbox(key="distill.student_heads")
    assert (heads.options, heads.value) == (["1", "3", "9", "11"], 1)


def test_the_default_form_has_an_empty_link() -> None:
    assert form_link(DistillConfig()) == {}


def test_answers_of_a_teacher_class_weights_and_metric_are_duplicated(app: App, home: Path) -> None:
    """A task that was saved on the Data page comes back by its name, with all that reads it."""
    sample = ROOT / "assets" / "samples" / "answers-some-gold.csv"
    saved = uploads.save(
        {"name": Upload(sample.name, sample.read_bytes())},
        TaskConfig(knowledge=sample.name, answers="probabilities", smoothing=0.2),
    )
    task = saved.config.model_dump(mode="json")
    wanted = DistillConfig.from_dict({"task": task}).change(
        {"objective.temperature": 4, "objective.class_weights": "billing=3", "training.metric": "f1:billing"}
    )
    link = form_link(wanted)
    assert link == {
        "distill.task": saved.id,
        "distill.temperature": "4.0",
        "distill.class_weights": "billing=3",
        "distill.metric": "f1:billing",
    }
    test = app(PAGE, **link)
    test.button(key="distill.start").click().run()
    assert DistillConfig.from_dict(Store().runs()[0].config) == wanted


def test_answers_of_a_file_that_was_never_saved_are_duplicated_with_all_that_reads_them(
    app: App, tmp_path: Path
) -> None:
    """A run of the command names a file; the link of its "Duplicate" has every setting.

    AppTest cannot press Start beside a name that was typed in.
    """
    file = tmp_path / "answers.csv"
    lines = ["text,checked,score a,score b"]
    lines += [f"text number {i},{'ab'[i % 2]},{60 + i % 2},{40 - i % 2}" for i in range(60)]
    file.write_text("\n".join(lines))
    wanted = DistillConfig().change(
        {
            "task.knowledge": str(file),
            "task.text_column": "text",
            "task.label_column": "checked",
            "task.answer_columns": ["score a", "score b"],
            "task.answers": "probabilities",
            "task.gold": "rows",
            "task.normalise": True,
            "task.smoothing": 0.25,
            "objective.class_weights": "a=2",
            "training.metric": "f1:b",
        }
    )
    link, test = form_link(wanted), app()
    assert len(link) == 11
    test.session_state[consent.AGREED] = {str(file)}
    for place, value in link.items():
        test.query_params[place] = value
    test.switch_page(PAGE).run()
    assert not test.error, texts(test)
    assert {place: str(test.session_state[place]) for place in link} == link
    assert "the teacher is the file" in texts(test), "what stands there was read"
