import pytest
from hypothesis import given
from hypothesis import strategies as st

from kd_core.data.splits import connected_groups, normalised, split_rows


@pytest.mark.parametrize("text", ["straße  im\tCafe\u0301", " STRASSE im CAFÉ\n", "Straße\u200b im café"])
def test_texts_are_the_same_but_for_case_space_and_what_cannot_be_seen(text):
    assert normalised(text) == "strasse im café"


def test_rows_that_share_a_key_are_one_group_even_through_others():
    keys = [["a"], ["b"], ["c", "a"], [], ["c", "d"], ["e"], ["e", "b"]]
    assert connected_groups(keys) == [0, 1, 0, 3, 0, 1, 1]
    assert connected_groups([]) == []


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), max_size=3), max_size=12))
def test_groups_are_the_connected_components(keys):
    groups = connected_groups(keys)
    reach = [{row} for row in range(len(keys))]
    for _ in keys:  # a plain closure: widen each row's set until nothing changes
        reach = [
            {other for row in rows for other in range(len(keys)) if other == row or keys[other] & keys[row]}
            for rows in reach
        ]
    assert groups == [min(rows) for rows in reach]


def test_single_rows_get_the_exact_shares_in_each_label():
    labels = [0] * 100 + [1] * 40
    train, validation, test = split_rows(labels, range(140), seed=3)
    for part, sizes in ((train, (60, 24)), (validation, (15, 6)), (test, (25, 10))):
        assert tuple(sum(labels[row] == label for row in part) for label in (0, 1)) == sizes


def test_the_seed_alone_decides_and_rows_are_shuffled():
    labels = [0, 1] * 50
    first = split_rows(labels, range(100), seed=0)
    assert first == split_rows(labels, range(100), seed=0)
    assert first != split_rows(labels, range(100), seed=1)
    assert first[0] != sorted(first[0])
    assert split_rows([0] * 30, [0] * 30, seed=0)[0] != list(range(30)), "within a group too"


def test_small_groups_are_not_kept_out_of_the_test_split():
    groups = [row // 2 for row in range(40)] + list(range(20, 380))
    in_test = [
        sum(groups[row] < 20 for row in split_rows([0] * 400, groups, seed=seed)[2]) for seed in range(20)
    ]
    assert 5 < sum(in_test) / 20 < 15  # 40 rows are in pairs, a quarter of them belongs here


def test_a_large_group_does_not_break_the_shares():
    groups = [0] * 60 + list(range(1, 141))
    for seed in range(10):
        assert [len(part) for part in split_rows([0] * 200, groups, seed)] == [120, 30, 50]


def test_three_groups_reach_all_three_splits_and_fewer_reach_train_first():
    assert [len(part) for part in split_rows([0, 0, 0], [0, 1, 2], seed=0)] == [1, 1, 1]
    assert [len(part) for part in split_rows([0, 0], [0, 1], seed=0)] == [1, 0, 1]
    assert split_rows([0], [7], seed=0) == ([0], [], [])
    assert split_rows([0], [7], seed=0, shares=(0.2, 0.3, 0.5)) == ([0], [], [])
    assert split_rows([], [], seed=0) == ([], [], [])


def test_a_rare_label_reaches_all_splits_though_its_groups_hold_another():
    """Of 30 groups three hold a row of label 0 beside one of label 1."""
    labels, groups = [1] * 30 + [0] * 3, [*range(30), 4, 11, 27]
    for seed in range(10):
        for part in split_rows(labels, groups, seed):
            assert sum(labels[row] == 0 for row in part) == 1


def test_a_share_of_zero_leaves_the_split_empty():
    train, validation, test = split_rows([0, 1] * 20, range(40), seed=0, shares=(0.8, 0.2, 0.0))
    assert (len(train), len(validation), len(test)) == (32, 8, 0)


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=40),
    st.integers(0, 1000),
)
def test_groups_stay_whole_and_every_label_is_in_train(rows, seed):
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    parts = split_rows(labels, groups, seed)
    assert sorted(row for part in parts for row in part) == list(range(len(rows)))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not {groups[row] for row in parts[one]} & {groups[row] for row in parts[other]}
    assert {labels[row] for row in parts[0]} == set(labels)


@given(st.lists(st.integers(0, 14), max_size=60), st.integers(0, 1000))
def test_labels_with_three_groups_are_everywhere(groups, seed):
    labels = [group % 4 for group in groups]  # no group has two labels
    parts = split_rows(labels, groups, seed)
    for label in set(labels):
        if len({group for group in groups if group % 4 == label}) >= 3:
            assert all(label in {labels[row] for row in part} for part in parts)


def test_many_classes_cost_no_more_than_few():
    """Each label was looked up in each group: 1,000 classes of 200,000 texts took minutes."""

    class Label(int):
        looked_up = 0

        def __hash__(self) -> int:
            Label.looked_up += 1
            return int.__hash__(self)

    rows = 2000
    split_rows([Label(row % 200) for row in range(rows)], range(rows), seed=0)
    assert 0 < Label.looked_up < 20 * rows


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        split_rows([0, 1], [0], seed=0)
