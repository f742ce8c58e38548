import pytest

from kd_core.config import TaskConfig
from kd_core.data.bundled import ORIGINS, TASKS, load_bundled
from kd_core.errors import ConfigError, DataError


def test_an_unknown_task_lists_the_choices():
    with pytest.raises(DataError, match="no bundled task 'bbc'; choose from bbc-headlines, bbc-sentences, "):
        load_bundled(TaskConfig(name="bbc"))


def test_settings_for_files_are_refused():
    with pytest.raises(ConfigError, match="takes no --text-column, --test-file; give a file as the task"):
        load_bundled(TaskConfig(text_column="text", test_file="test.csv"))


@pytest.mark.parametrize(
    "settings",
    [
        {"answer_columns": ["a", "b"], "answers": "logits", "gold": "none"},
        {"normalise": True, "smoothing": 0.2, "label_empty": True, "drop_rare": True},
    ],
)
def test_settings_for_answers_and_for_rows_are_refused_too(settings):
    flags = ", ".join("--" + name.replace("_", "-") for name in settings)
    with pytest.raises(
        ConfigError, match=f"bbc-headlines is a bundled task and takes no {flags}; give a file"
    ):
        load_bundled(TaskConfig(**settings))


def test_each_task_says_where_its_texts_are_from():
    assert list(TASKS) == list(ORIGINS) == ["bbc-headlines", "bbc-sentences", "bbc-articles", "zh-reviews"]
    assert [origin.code for origin in ORIGINS.values()] == ["en", "en", "en", "zh"]
