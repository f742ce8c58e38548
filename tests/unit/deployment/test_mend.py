"""A task with its doubtful labels mended, as files and as a new run."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from kd_core import distill
from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.data import load_task, uploads
from kd_core.deployment.ask import suspects, unanswered
from kd_core.deployment.mend import again, mended, read_marks
from kd_core.errors import ConfigError, DataError


@pytest.fixture
def answered(kd_home, short_config, tmp_path):
    """60 texts with answers, 40 with gold labels too; the teacher doubts those of the numbers 7, 8 and 9."""
    lines = ["text,gold,new,old"]
    for i in range(60):
        true = ("old", "new")[i % 2]
        share = 0.95 if (true == "new") != (i in (7, 8, 9)) else 0.05
        lines.append(f"text number {i},{true if i < 40 else ''},{share},{1 - share:.2f}")
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    return short_config.change(
        {
            "task.knowledge": str(tmp_path / "answers.csv"),
            "task.test_file": None,
            "task.transfer_file": None,
        }
    )


def labels(config: DistillConfig) -> dict[str, str]:
    task = load_task(config.task)
    splits = (task.train, task.validation, task.test)
    return {row["text"]: task.labels[row["label"]] for split in splits for row in split}


def test_a_wrong_label_becomes_the_teachers_and_a_dropped_text_is_gone(answered):
    report = distill(answered)
    found = suspects(report.run_id)
    assert set(found["text"]) == {"text number 7", "text number 8", "text number 9"}
    marks = {"text number 7": "wrong label", "text number 8": "right label", "text number 9": "drop"}
    files, settings = mended(report.run_id, marks)
    saved = uploads.save(files, settings)
    config = again(report.run_id, saved.config)
    before, after = labels(answered), labels(config)
    assert before["text number 7"] == "new"
    assert after == {k: v for k, v in before.items() if k != "text number 9"} | {"text number 7": "old"}
    old, new = load_task(answered.task), load_task(config.task)
    assert new.transfer["text"][:] == old.transfer["text"][:]
    # Those of the test stay there.
    assert set(new.test["text"]) == set(old.test["text"]) - {"text number 9"}
    texts = new.train["text"][:]
    assert new.answers.of(texts) == pytest.approx(old.answers.of(texts), abs=1e-5)
    assert config.objective == DistillConfig.from_dict(report.config).objective
    assert suspects(distill(config).run_id)["text"].to_list() == ["text number 8"]


def test_a_class_may_be_called_self(answered, tmp_path):
    file = tmp_path / "answers.csv"
    file.write_text(file.read_text().replace(",old", ",self"))
    report = distill(answered)
    files, settings = mended(report.run_id, {"text number 7": "wrong label"})
    assert settings.answer_columns == ("new", "self")
    assert labels(again(report.run_id, uploads.save(files, settings).config))["text number 7"] == "self"


def test_labels_alone_stay_labels(answered, tmp_path):
    rows = pd.read_csv(tmp_path / "answers.csv", keep_default_na=False)
    choice = rows[["new", "old"]].idxmax(axis=1)
    rows[["text", "gold"]].assign(answer=choice).to_csv(tmp_path / "answers.csv", index=False)
    report = distill(answered.change({"task.smoothing": 0.2}))
    files, settings = mended(report.run_id, {"text number 7": "wrong label"})
    config = again(report.run_id, uploads.save(files, settings).config)
    old, new = load_task(answered.change({"task.smoothing": 0.2}).task), load_task(config.task)
    assert new.answers.kind == "labels"
    assert new.answers.of(new.train["text"]) == pytest.approx(old.answers.of(new.train["text"]))
    assert labels(config)["text number 7"] == "old"


def test_the_task_of_a_teacher_that_was_trained_is_mended_too(finished_run, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    run_id = finished_run.report.run_id
    first = suspects(run_id).iloc[0]
    files, settings = mended(run_id, {first["text"]: "wrong label"})
    assert set(files) == {"name", "test_file", "transfer_file"}
    rows = [json.loads(line) for name in ("name", "test_file") for line in files[name].data.splitlines()]
    assert [row["label"] for row in rows if row["text"] == first["text"]] == [first["teacher"]]
    assert len(rows) == 105
    assert len(files["transfer_file"].data.splitlines()) == 40
    assert settings.knowledge is None


def test_a_run_with_a_part_of_its_texts_leaves_the_others_in_the_files(answered):
    part = answered.change({"task.train_texts": 6, "task.transfer_texts": 5})
    run_id = distill(part).run_id
    found = suspects(run_id)["text"].to_list()
    assert found, "some of the doubtful texts are in the part"
    files, settings = mended(run_id, {found[0]: "drop"})
    rows = [json.loads(line) for upload in files.values() for line in upload.data.splitlines()]
    assert sorted(row["text"] for row in rows) == sorted({f"text number {i}" for i in range(60)} - {found[0]})
    config = again(run_id, uploads.save(files, settings).config)
    task = load_task(config.task)
    assert (config.task.train_texts, len(task.train), len(task.transfer)) == (6, 6, 5)


def test_the_command_writes_a_config_that_runs(answered, tmp_path, capsys):
    run_id = distill(answered).run_id
    table = tmp_path / "s.csv"
    assert main(["suspects", run_id, "--to", str(table)]) == 0
    rows = pd.read_csv(table, keep_default_na=False)
    assert rows["mark"].to_list() == ["", "", ""]
    rows.loc[rows["text"] == "text number 9", "mark"] = "drop"
    rows.to_csv(table, index=False)
    capsys.readouterr()
    to = tmp_path / "mended"
    assert main(["suspects", run_id, "--marks", str(table), "--to", str(to)]) == 0
    said = f"0 labels mended, 1 text dropped, of 3 that were doubtful; in {to}. A run with them: kd "
    assert said in capsys.readouterr().out
    config = DistillConfig.from_file(to / "config.yaml")
    assert "text number 9" not in labels(config)
    assert len(suspects(distill(config).run_id)) == 2
    rows.to_csv(table, index=False, sep=":", encoding="utf-16-le")
    marked = ["suspects", run_id, "--marks", str(table), "--to", str(tmp_path / "again")]
    assert main(marked) == 2
    assert "--marks: s.csv is not" in capsys.readouterr().err
    assert main([*marked, "--encoding", "utf-16-le", "--delimiter", ":"]) == 0
    assert main(["suspects", run_id, "--marks", str(table), "--to", str(to)]) == 2
    assert f"--to {to} exists already; choose a new folder" in capsys.readouterr().err
    assert main(["suspects", run_id, "--marks", str(table)]) == 2
    assert "--marks needs --to, a new folder for the mended files" in capsys.readouterr().err
    assert main(["suspects", run_id, "--to", str(table / "x")]) == 2
    assert f"--to {table / 'x'} cannot be written" in capsys.readouterr().err


def test_marks_that_say_something_else():
    found = pd.DataFrame({"text": ["=1+1", "b"]})
    good = pd.DataFrame({"text": ["'=1+1", "b"], "mark": ["drop", None]})
    assert read_marks(good, found) == {"=1+1": "drop"}  # what a spreadsheet was given
    lines = pd.DataFrame({"text": ["=1\r\n+1", "b"]})
    assert read_marks(good.assign(text=["'=1\n+1", "b"]), lines) == {"=1\r\n+1": "drop"}  # what it made of it
    with pytest.raises(ConfigError, match="'wrong label', 'right label', 'drop' or empty, got 'no'; see --m"):
        read_marks(pd.DataFrame({"text": ["b"], "mark": ["no"]}), found)
    with pytest.raises(DataError, match="--marks has a text that is not among the doubtful ones: 'c'"):
        read_marks(pd.DataFrame({"text": ["c"], "mark": ["drop"]}), found)
    with pytest.raises(DataError, match="--marks needs a column 'mark'"):
        read_marks(pd.DataFrame({"text": ["c"]}), found)


def test_a_pool_loses_what_the_run_knows(answered):
    run_id = distill(answered).run_id
    pool = ["Text  number 3", "text number 50", "a new text", "A new  text", "another"]
    assert unanswered(run_id, pool) == ["a new text", "another"]
