"""What has to be done with a file is asked for, and done on consent only."""

from __future__ import annotations

from kd_core.data import uploads
from tests.ui.data.page import FILMS, PAGE, ROWS, Open, keys, labels, plain, run, send, sizes, values


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


def test_a_rare_class_is_one_click(app: Open) -> None:
    test = run(app(PAGE).button(key="data.sample.rare-class.csv").click())
    assert sizes(test, 1)["Classes"] == "3"
    assert "data.save" in keys(test)
    run(test.button(key="data.save").click())
    assert uploads.saved()[0].name == "rare-class.csv"
