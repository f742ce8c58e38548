"""Doubtful labels and their mending, and which texts to ask a teacher about next."""

import json

import numpy as np
import pandas as pd
import pytest

from kd_core.cli import main
from kd_core.config import DistillConfig
from kd_core.data import load_task, uploads
from kd_core.deployment.ask import choose, next_texts, suspects, unanswered
from kd_core.deployment.forms import open_form
from kd_core.deployment.mend import again, mended, read_marks
from kd_core.distillation.metrics import softmax
from kd_core.errors import ConfigError, DataError, RunError
from kd_core.system import paths
from kd_core.system.atomic import new_folder

RUN = "20260131-143000-a1b2"
DOUBTED = {7: 0.99, 8: 0.6, 9: 0.7}


@pytest.fixture
def answered(finished_run, kd_home, tmp_path):
    """``answered(...)``: a run of a file of 60 answers, 40 with gold labels, three of them doubtful.

    One class is called "self", which is a word of Python. The run's own models do not matter here.
    """
    lines = ["text,gold,new,self"]
    for i in range(60):
        share = DOUBTED.get(i, 0.05) if i % 2 == 0 else 1 - DOUBTED.get(i, 0.05)
        lines.append(
            f"text number {i},{('self', 'new')[i % 2] if i < 40 else ''},{share:.2f},{1 - share:.2f}"
        )
    file = tmp_path / "answers.csv"

    def run(labels_alone=False, **task):
        file.write_text("\n".join(lines))
        if labels_alone:
            rows = pd.read_csv(file, keep_default_na=False)
            choice = rows[["new", "self"]].idxmax(axis=1)
            rows[["text", "gold"]].assign(answer=choice).to_csv(file, index=False)
        files = {
            "knowledge": str(file),
            "test_file": None,
            "transfer_file": None,
            "name": "bbc-headlines",
        } | task
        asked = DistillConfig.from_dict(finished_run.report.config)
        config = asked.change({f"task.{name}": value for name, value in files.items()})
        found = load_task(config.task)
        config = config.change({"task.answers": found.answers.kind, "task.gold": found.answers.gold})
        changes = {"config": config.model_dump(mode="json"), "labels": list(found.labels), "run_id": RUN}
        with new_folder(paths.runs() / RUN) as folder:
            finished_run.report.model_copy(update=changes).write(folder)
        return config

    return run


def labels(config):
    task = load_task(config.task)
    splits = (task.train, task.validation, task.test)
    return {row["text"]: task.labels[row["label"]] for split in splits for row in split}


# Doubtful labels


def test_suspects_of_a_file_of_answers(answered, capsys, tmp_path):
    answered()
    found = suspects(RUN)
    assert found["text"].to_list() == ["text number 7", "text number 9", "text number 8"]
    assert found["sure"].to_list() == pytest.approx([99, 70, 60], abs=0.1)
    assert found[["label", "teacher"]].to_numpy().tolist() == [
        ["new", "self"],
        ["new", "self"],
        ["self", "new"],
    ]
    to = tmp_path / "s.csv"
    assert main(["suspects", RUN, "--to", str(to)]) == 0
    assert "3 labels that the teacher contradicts, all in" in capsys.readouterr().out
    assert pd.read_csv(to, keep_default_na=False)["mark"].to_list() == ["", "", ""]
    assert main(["suspects", RUN, "--to", str(to / "x")]) == 2
    assert f"--to {to / 'x'} cannot be written" in capsys.readouterr().err


def test_suspects_of_a_teacher_that_gave_labels_alone(answered, capsys):
    answered(labels_alone=True)
    assert suspects(RUN)["sure"].isna().all()
    assert main(["suspects", RUN]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:4]] == ["–"] * 3
    assert main(["suspects", RUN, "--json"]) == 0
    assert [row["sure"] for row in json.loads(capsys.readouterr().out)] == [None] * 3


def test_suspects_of_a_network(exported, run_id):
    """It has learned the training labels, so that those of validation and test alone count."""
    found = suspects(run_id)
    assert (found["split"] == "test").sum() == round((1 - exported.run.teacher.accuracy) * 25)
    assert set(found["split"]) <= {"test", "validation"}
    assert found["sure"].is_monotonic_decreasing


def test_no_suspects_without_gold_labels(answered):
    answered(gold="none")
    with pytest.raises(RunError, match="has no gold labels that its teacher could contradict"):
        suspects(RUN)


def test_text_of_many_lines_has_one_in_the_table(answered, capsys, monkeypatch):
    answered()
    found = suspects(RUN)
    found.loc[0, "text"] = "a docstring\n\n    .. testcode::\n"
    monkeypatch.setattr("kd_core.deployment.ask.suspects", lambda run_id: found)
    assert main(["suspects", RUN]) == 0
    _, first, second, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("a docstring .. testcode::")
    assert second.startswith("text number 9")


# Mending


def test_marks_change_the_task(answered):
    config = answered()
    marks = {"text number 7": "wrong label", "text number 8": "right label", "text number 9": "drop"}
    files, settings = mended(RUN, marks)
    assert settings.answer_columns == ("new", "self")
    new_config = again(RUN, uploads.save(files, settings).config)
    before, after = labels(config), labels(new_config)
    assert before["text number 7"] == "new"
    assert after == {k: v for k, v in before.items() if k != "text number 9"} | {"text number 7": "self"}
    old, new = load_task(config.task), load_task(new_config.task)
    assert new.transfer["text"][:] == old.transfer["text"][:]
    assert set(new.test["text"]) == set(old.test["text"]) - {"text number 9"}
    texts = new.train["text"][:]
    assert new.answers.of(texts) == pytest.approx(old.answers.of(texts), abs=1e-5)
    assert new_config.objective == config.objective


def test_labels_alone_stay_labels(answered):
    config = answered(labels_alone=True, smoothing=0.2)
    files, settings = mended(RUN, {"text number 7": "wrong label"})
    mended_config = again(RUN, uploads.save(files, settings).config)
    old, new = load_task(config.task), load_task(mended_config.task)
    assert new.answers.kind == "labels"
    assert new.answers.of(new.train["text"]) == pytest.approx(old.answers.of(new.train["text"]))
    assert labels(mended_config)["text number 7"] == "self"


def test_task_of_a_network_is_mended(run_id):
    first = suspects(run_id).iloc[0]
    files, settings = mended(run_id, {first["text"]: "wrong label"})
    assert set(files) == {"name", "test_file", "transfer_file"}
    rows = [json.loads(line) for name in ("name", "test_file") for line in files[name].data.splitlines()]
    assert [row["label"] for row in rows if row["text"] == first["text"]] == [first["teacher"]]
    assert (len(rows), len(files["transfer_file"].data.splitlines())) == (105, 40)
    assert settings.knowledge is None


def test_texts_that_the_run_did_not_take_stay_in_the_files(answered):
    answered(train_texts=6, transfer_texts=5)
    found = suspects(RUN)["text"].to_list()
    assert found, "some of the doubtful texts are in the part"
    files, settings = mended(RUN, {found[0]: "drop"})
    rows = [json.loads(line) for upload in files.values() for line in upload.data.splitlines()]
    assert sorted(row["text"] for row in rows) == sorted({f"text number {i}" for i in range(60)} - {found[0]})
    task = load_task(again(RUN, uploads.save(files, settings).config).task)
    assert (len(task.train), len(task.transfer)) == (6, 5)


def test_command_writes_a_mended_task(answered, tmp_path, capsys):
    answered()
    table, to = tmp_path / "s.csv", tmp_path / "mended"
    rows = suspects(RUN).assign(mark=["", "drop", ""])
    rows.to_csv(table, index=False, sep=":", encoding="utf-16-le")
    marked = ["suspects", RUN, "--marks", str(table)]
    assert main([*marked, "--to", str(to)]) == 2
    assert "--marks: s.csv is not" in capsys.readouterr().err
    assert main([*marked, "--to", str(to), "--encoding", "utf-16-le", "--delimiter", ":"]) == 0
    said = f"0 labels mended, 1 text dropped, of 3 that were doubtful; in {to}. A run with them: kd "
    assert said in capsys.readouterr().out
    assert "text number 9" not in labels(DistillConfig.from_file(to / "config.yaml"))
    assert main([*marked, "--to", str(to)]) == 2
    assert f"--to {to} exists already; choose a new folder" in capsys.readouterr().err
    assert main(marked) == 2
    assert "--marks needs --to, a new folder for the mended files" in capsys.readouterr().err


def test_marks():
    found = pd.DataFrame({"text": ["=1\r\n+1", "b"]})
    good = pd.DataFrame({"text": ["'=1\n+1", "b"], "mark": ["drop", None]})  # as a spreadsheet writes it
    assert read_marks(good, found) == {"=1\r\n+1": "drop"}
    with pytest.raises(ConfigError, match="'wrong label', 'right label', 'drop' or empty, got 'no'; see --m"):
        read_marks(pd.DataFrame({"text": ["b"], "mark": ["no"]}), found)
    with pytest.raises(DataError, match="--marks has a text that is not among the doubtful ones: 'c'"):
        read_marks(pd.DataFrame({"text": ["c"], "mark": ["drop"]}), found)
    with pytest.raises(DataError, match="--marks needs a column 'mark'"):
        read_marks(pd.DataFrame({"text": ["c"]}), found)


# Texts to ask about


def test_margin_and_entropy_by_hand():
    """The second has the smallest margin, the third the largest entropy."""
    shares = np.array([[0.9, 0.05, 0.05], [0.49, 0.48, 0.03], [0.4, 0.35, 0.25], [0.6, 0.3, 0.1]])
    assert choose(shares, list("abcd"), 3, "margin") == [1, 2, 3]
    assert choose(shares, list("abcd"), 3, "entropy") == [2, 3, 1]


def test_spread_takes_one_of_each_cluster():
    """The two apples are the least sure, and so alike that one is enough."""
    texts = ["red apples", "red apple", "blue ships", "blue ship", "green tea"]
    shares = np.array([[0.5, 0.5], [0.51, 0.49], [0.9, 0.1], [0.8, 0.2], [0.95, 0.05]])
    assert choose(shares, texts, 2, "margin") == [0, 1]
    picked = choose(shares, texts, 3, "spread")
    assert picked[0] == 0
    assert 1 not in picked
    assert len(set(choose(shares, texts, 5, "spread"))) == 5


def test_pool_without_what_the_run_knows(answered):
    answered()
    pool = ["Text  number 3", "text number 50", "a new text", "A new  text", "another"]
    assert unanswered(RUN, pool) == ["a new text", "another"]


def test_command_takes_the_least_sure_texts(run_id, tmp_path, capsys):
    student, texts = open_form(run_id, "student", "pytorch"), [f"a match number {i}" for i in range(12)]
    shares = np.sort(softmax(student.predict(texts)), axis=1)
    margins = shares[:, -1] - shares[:, -2]
    picked = next_texts(student, texts, 3, "margin")
    assert margins[picked].max() <= np.delete(margins, picked).min()
    (tmp_path / "pool.txt").write_text("\n".join(texts))
    assert main(["ask", run_id, str(tmp_path / "pool.txt"), "-n", "3", "--by", "margin"]) == 0
    printed = capsys.readouterr().out.lstrip("\ufeff").splitlines()
    assert [line for line in printed if line] == ["text", *(texts[place] for place in picked)]


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
        (("two.csv", "--text-column", "a", "-n", "0"), "-n must be between 1 and the 1 new text of the pool"),
        (("two.csv", "--by", "luck"), "'luck' is not one of 'spread', 'margin', 'entropy'"),
        (("known.txt",), "The pool has no text that the run does not know; choose another."),
        (("latin.csv",), "POOL: latin.csv is not utf-8 text: byte 0xf6 in line 2. Give its --encoding"),
    ],
)
def test_wrong_pools(exported, run_id, monkeypatch, tmp_path, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two.csv").write_text("a,b\n1,2\n")
    (tmp_path / "known.txt").write_text(exported.predictions["text"][0])
    (tmp_path / "latin.csv").write_text("text:n\nGrößer als zuvor:1\n", "latin-1")
    assert main(["ask", run_id, *arguments]) == 2
    assert says in capsys.readouterr().err


def test_pool_is_read_as_its_flags_say(run_id, tmp_path, capsys):
    pool, to = tmp_path / "pool.csv", tmp_path / "to.csv"
    pool.write_text("text:n\nGrößer als zuvor:1\n", "latin-1")
    command = [
        "ask",
        run_id,
        str(pool),
        "-n",
        "1",
        "--encoding",
        "latin-1",
        "--delimiter",
        ":",
        "--to",
        str(to),
    ]
    assert main(command) == 0
    assert "Größer als zuvor" in to.read_text("utf-8")
    # Its teacher is a network, for which there is no file of answers.
    said = "Add labels to it and its rows to the labelled texts, then: kd distill --task FILE"
    assert f"1 of 1 new text in {to}. {said}" in capsys.readouterr().out
