import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kd_core.data.splits import connected_groups, normalised, split_rows


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("straße  im\tCafe\u0301", "strasse im café"),
        (" STRASSE im CAFÉ\n", "strasse im café"),
        ("Straße\u200b im café", "strasse im café"),
        ("A  b\n", "a b"),
        ("", ""),
    ],
)
def test_normalised_ignores_case_white_space_and_invisible_characters(text, same):
    assert normalised(text) == same


def test_groups_of_rows_that_share_keys_through_other_rows():
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


SIX = range(6)


@pytest.mark.parametrize(
    ("labels", "groups", "shares", "sizes"),
    [
        ([0] * 100, range(100), None, [60, 15, 25]),
        ([0] * 200, [0] * 60 + list(range(1, 141)), None, [120, 30, 50]),  # one group has half of train
        ([0, 1] * 20, range(40), (0.8, 0.2, 0.0), [32, 8, 0]),
        ([0] * 6, SIX, (0.5, 0.5, 0.0), [3, 3, 0]),
        ([0] * 6, SIX, (0.5, 0.0, 0.5), [3, 0, 3]),
        ([0] * 6, SIX, (0.1, 0.1, 0.8), [1, 1, 4]),  # train and validation get one in any case
        ([0, 0, 0], [0, 1, 2], None, [1, 1, 1]),
        ([0, 0, 0, 0], [0, 1, 2, 2], None, [2, 1, 1]),  # the large group goes first
        ([0, 0], [0, 1], None, [1, 0, 1]),
        ([0, 1, 0, 1], [2, 2, 1, 1], None, [2, 0, 2]),
        ([0, 0, 0], [5, 5, 5], None, [3, 0, 0]),
        ([0], [7], None, [1, 0, 0]),
        ([0], [7], (0.2, 0.3, 0.5), [1, 0, 0]),
        ([], [], None, [0, 0, 0]),
    ],
)
def test_sizes_of_splits(labels, groups, shares, sizes):
    for seed in range(10):
        parts = split_rows(labels, groups, seed, *[shares][: shares is not None])
        assert [len(part) for part in parts] == sizes


def test_each_label_has_the_exact_shares():
    labels = [0] * 100 + [1] * 40
    for part, sizes in zip(
        split_rows(labels, range(140), seed=3), ((60, 24), (15, 6), (25, 10)), strict=True
    ):
        assert tuple(sum(labels[row] == label for row in part) for label in (0, 1)) == sizes


def test_only_the_seed_decides_and_rows_are_shuffled():
    labels = [0, 1] * 50
    first = split_rows(labels, range(100), seed=0)
    assert first == split_rows(labels, range(100), seed=0)
    assert first != split_rows(labels, range(100), seed=1)
    assert first[0] != sorted(first[0])
    assert split_rows([0] * 30, [0] * 30, seed=0)[0] != list(range(30)), "rows of one group too"
    # Runs of earlier versions are compared with new ones: one seed must always give the same split.
    assert split_rows([0, 1] * 4, [0, 1, 2, 3, 4, 5, 6, 0], seed=0) == ([0, 4, 7, 1], [3, 6], [5, 2])


@pytest.mark.parametrize(("rows", "always"), [(100, True), (101, False)])
def test_only_groups_of_two_percent_are_placed_first(rows, always):
    """The first group is placed in train; a pair of rows is 2 % of 100 rows and less of 101."""
    groups = [0, 0, *range(1, rows - 1)]
    in_train = [0 in split_rows([0] * rows, groups, seed)[0] for seed in range(20)]
    assert any(in_train)
    assert all(in_train) == always


def test_a_rare_label_reaches_all_splits_though_its_groups_hold_another():
    labels, groups = [1] * 30 + [0] * 3, [*range(30), 4, 11, 27]
    for seed in range(10):
        for part in split_rows(labels, groups, seed):
            assert sum(labels[row] == 0 for row in part) == 1


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 12)), max_size=40), st.integers(0, 1000))
@example([(0, 2), (0, 3), (2, 3), (2, 4), (1, 2), (1, 4)], 0)
def test_groups_stay_whole_and_every_label_is_in_train(rows, seed):
    labels, groups = [label for label, _ in rows], [group for _, group in rows]
    parts = split_rows(labels, groups, seed)
    assert sorted(row for part in parts for row in part) == list(range(len(rows)))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not {groups[row] for row in parts[one]} & {groups[row] for row in parts[other]}
    assert {labels[row] for row in parts[0]} == set(labels)


def test_a_label_whose_groups_all_went_elsewhere_gets_the_smallest_back():
    """Labels 0 and 1 come first, and leave none of the three groups of label 2 in train."""
    groups = [4, 4, 4, 1, 0, 2, 1, 0, 1, 2]
    parts = split_rows([2, 1, 2, 2, 0, 0, 1, 2, 1, 1], groups, seed=0)
    assert [{groups[row] for row in part} for part in parts] == [{0, 2}, {4}, {1}]


@given(st.lists(st.integers(0, 14), max_size=60), st.integers(0, 1000))
def test_labels_with_three_groups_are_everywhere(groups, seed):
    labels = [group % 4 for group in groups]  # no group has two labels
    parts = split_rows(labels, groups, seed)
    for label in set(labels):
        if len({group for group in groups if group % 4 == label}) >= 3:
            assert all(label in {labels[row] for row in part} for part in parts)


def test_cost_does_not_grow_with_labels_times_groups():
    """A split of 200,000 texts in 1,000 classes had taken minutes."""

    class Label(int):
        looked_up = 0

        def __hash__(self) -> int:
            Label.looked_up += 1
            return int.__hash__(self)

    split_rows([Label(row % 200) for row in range(2000)], range(2000), seed=0)
    assert 0 < Label.looked_up < 20 * 2000


def test_lists_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        split_rows([0, 1], [0], seed=0)
