"""Doubtful labels, and which texts to ask a teacher about next."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kd_core import distill
from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.data import load_task
from kd_core.data.summary import summarise
from kd_core.deployment.ask import choose, next_texts, suspects
from kd_core.deployment.forms import open_form
from kd_core.distillation.metrics import softmax
from kd_core.distillation.report_tables import overview, texts
from kd_core.errors import ConfigError, RunError

TEXTS = ["red apples", "red apple", "blue ships", "blue ship", "green tea"]


def test_margin_and_entropy_by_hand():
    """The second has the smallest margin, the third the largest entropy."""
    shares = np.array([[0.9, 0.05, 0.05], [0.49, 0.48, 0.03], [0.4, 0.35, 0.25], [0.6, 0.3, 0.1]])
    assert choose(shares, TEXTS[:4], 3, "margin") == [1, 2, 3]
    assert choose(shares, TEXTS[:4], 3, "entropy") == [2, 3, 1]


def test_spread_takes_one_of_each_cluster():
    """The two apples are the least sure, and so alike that one is enough."""
    shares = np.array([[0.5, 0.5], [0.51, 0.49], [0.9, 0.1], [0.8, 0.2], [0.95, 0.05]])
    assert choose(shares, TEXTS, 2, "margin") == [0, 1]
    picked = choose(shares, TEXTS, 3, "spread")
    assert picked[0] == 0
    assert 1 not in picked
    assert len(set(choose(shares, TEXTS, 5, "spread"))) == 5


@pytest.fixture
def run_of_a_file(kd_home, tiny_config, tmp_path):
    """60 rows with gold labels; the teacher is sure of another class for number 7, and nearly so for 8."""
    lines = ["text,label,new,old"]
    for i in range(60):
        share = {7: 0.99, 8: 0.6}.get(i, 0.05)
        share = share if i % 2 == 0 else 1 - share
        lines.append(f"text number {i},{('old', 'new')[i % 2]},{share:.2f},{1 - share:.2f}")
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    changes = {"task.knowledge": str(tmp_path / "answers.csv"), "task.test_file": None}
    return distill(tiny_config.change({**changes, "task.transfer_file": None, "controls.tfidf": False}))


def test_labels_that_a_file_contradicts_are_listed_surest_first(run_of_a_file, capsys, tmp_path):
    found = suspects(run_of_a_file.run_id)
    assert found["text"].to_list() == ["text number 7", "text number 8"]
    assert found["sure"].to_list() == pytest.approx([99, 60], abs=0.1)
    assert found[["label", "teacher"]].to_numpy().tolist() == [["new", "old"], ["old", "new"]]
    assert main(["suspects", run_of_a_file.run_id, "--to", str(tmp_path / "s.csv")]) == 0
    assert "2 labels that the teacher contradicts, all in" in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "s.csv")) == 2
    assert main(["suspects", run_of_a_file.run_id, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["text"] == "text number 7"


def test_a_teacher_that_gave_labels_alone_says_nothing_of_how_sure_it_is(tiny_config, tmp_path, capsys):
    lines = ["text,label,answer"]
    for i in range(60):
        gold, other = ("old", "new") if i % 2 else ("new", "old")
        lines.append(f"text number {i},{gold},{other if i in (7, 8) else gold}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    changes = {"task.knowledge": str(tmp_path / "labels.csv"), "task.test_file": None}
    report = distill(tiny_config.change({**changes, "task.transfer_file": None, "controls.tfidf": False}))
    found = suspects(report.run_id)
    assert sorted(found["text"]) == ["text number 7", "text number 8"]
    assert found["sure"].isna().all()
    assert main(["suspects", report.run_id]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:3]] == ["–", "–"]
    assert main(["suspects", report.run_id, "--json"]) == 0
    assert [row["sure"] for row in json.loads(capsys.readouterr().out)] == [None, None]

    teacher, student, *_ = overview(report).to_dict("records")
    assert (teacher["Model"], teacher["Calibration error"]) == ("Teacher", "–")
    assert student["Calibration error"].endswith("%")
    read = texts(Path(report.folder), report)
    assert read["teacher_sure"].isna().all()
    assert read["student_sure"].between(50, 100).all()
    summary = summarise(load_task(DistillConfig.from_dict(report.config).task))
    assert list(summary.examples) == ["label", "text", "teacher"]


def test_a_text_of_many_lines_has_one_in_the_table(run_of_a_file, capsys, monkeypatch):
    found = suspects(run_of_a_file.run_id)
    found.loc[0, "text"] = "a docstring\n\n    .. testcode::\n"
    monkeypatch.setattr("kd_core.deployment.ask.suspects", lambda run_id: found)
    assert main(["suspects", run_of_a_file.run_id]) == 0
    _, first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("a docstring .. testcode::")
    assert second.startswith("text number 8")


def test_a_network_is_asked_about_texts_that_it_has_not_learned(finished_run, monkeypatch):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    found = suspects(finished_run.report.run_id)
    wrong = round((1 - finished_run.report.teacher.accuracy) * 25)
    assert (found["split"] == "test").sum() == wrong
    assert set(found["split"]) <= {"test", "validation"}
    assert found["sure"].is_monotonic_decreasing


def test_texts_to_ask_about_are_those_of_which_the_student_is_least_sure(
    finished_run, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    run_id = finished_run.report.run_id
    student = open_form(run_id, "student", "pytorch")
    texts = [f"a match number {i}" for i in range(12)]
    picked = next_texts(student, texts, 3, "margin")
    shares = np.sort(softmax(student.predict(texts)), axis=1)
    margins = shares[:, -1] - shares[:, -2]
    assert margins[picked].max() <= np.delete(margins, picked).min()
    pool = tmp_path / "pool.txt"
    pool.write_text("\n".join(texts))
    assert main(["ask", run_id, str(pool), "-n", "3", "--by", "margin"]) == 0
    printed = capsys.readouterr().out.lstrip("\ufeff").splitlines()
    assert [line for line in printed if line] == ["text", *(texts[place] for place in picked)]
    with pytest.raises(ConfigError, match="-n must be between 1 and the 12 new texts of the pool, got 13"):
        next_texts(student, texts, 13)


def test_without_gold_labels_there_is_nothing_to_doubt(run_of_a_file, tiny_config):
    config = tiny_config.change(
        {
            "task.knowledge": run_of_a_file.config["task"]["knowledge"],
            "task.gold": "none",
            "task.test_file": None,
            "task.transfer_file": None,
        }
    )
    with pytest.raises(RunError, match="has no gold labels that its teacher could contradict"):
        suspects(distill(config).run_id)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing argument 'POOL'"),
        (("hub:ag_news",), "POOL is a file of texts (CSV, TSV, JSONL, Parquet, or .txt with a text in each"),
        (("bbc-headlines",), "line), got 'bbc-headlines'."),
        ((".",), "line), got '.'."),
        (("nothing.txt",), "POOL: There is no file 'nothing.txt'."),
        (("two.csv",), "POOL: Which column of two.csv holds the texts? Give --text-column: 'a', 'b'."),
        (("two.csv", "--text-column", "c"), "two.csv has no column 'c'; choose --text-column from 'a', 'b'."),
        (("two.csv", "--text-column", "a", "-n", "3"), "-n must be between 1 and the 1 new text of the pool"),
        (("two.csv", "--by", "luck"), "'luck' is not one of 'spread', 'margin', 'entropy'"),
    ],
)
def test_wrong_pools_are_explained(finished_run, monkeypatch, tmp_path, capsys, arguments, says):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    assert main(["ask", finished_run.report.run_id, *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_pool_is_read_as_its_flags_say(finished_run, monkeypatch, tmp_path, capsys):
    """Those that the reader's errors name."""
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    pool = tmp_path / "pool.csv"
    pool.write_text("text:n\nGrößer als zuvor:1\n", "latin-1")
    ask = ["ask", finished_run.report.run_id, str(pool), "-n", "1"]
    assert main(ask) == 2
    assert (
        "POOL: pool.csv is not utf-8 text: byte 0xf6 in line 2. Give its --encoding"
        in capsys.readouterr().err
    )
    assert main([*ask, "--encoding", "latin-1", "--delimiter", ":"]) == 0
    assert "Größer als zuvor" in capsys.readouterr().out.splitlines()
    to = tmp_path / "to.csv"
    assert main([*ask, "--encoding", "latin-1", "--delimiter", ":", "--to", str(to)]) == 0
    # Its teacher is a network, for which there is no file of answers.
    said = "Add labels to it and its rows to the labelled texts, then: kd distill --task FILE"
    assert f"1 of 1 new text in {to}. {said}" in capsys.readouterr().out


def test_a_pool_that_the_run_knows_has_nothing_to_ask(finished_run, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("KD_HOME", str(finished_run.home))
    pool = tmp_path / "pool.txt"
    pool.write_text(pd.read_parquet(finished_run.folder / "predictions.parquet")["text"][0])
    assert main(["ask", finished_run.report.run_id, str(pool)]) == 2
    assert "The pool has no text that the run does not know; choose another." in capsys.readouterr().err
