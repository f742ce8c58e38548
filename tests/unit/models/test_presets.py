import subprocess
import sys

import pytest

from kd_core.errors import ModelError
from kd_core.models.presets import STUDENTS, TEACHERS, find_preset


def test_names_are_the_keys():
    for presets in (TEACHERS, STUDENTS):
        assert [preset.name for preset in presets.values()] == list(presets)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("tiny", (2, 128, 2, 512)),
        ("mini", (4, 256, 4, 1024)),
        ("small", (4, 512, 8, 2048)),
        ("medium", (8, 512, 8, 2048)),
    ],
)
def test_student_sizes(name, sizes):
    preset = STUDENTS[name]
    assert (preset.layers, preset.hidden, preset.heads, preset.intermediate) == sizes


def test_sources():
    assert [p.name for p in TEACHERS.values() if p.source == "bundled"] == ["minilm-l6", "minilm-l3"]
    assert [p.name for p in TEACHERS.values() if p.source == "new"] == ["scratch"]
    assert [p.name for p in STUDENTS.values() if p.source == "teacher"] == ["half", "third"]
    assert [p.name for p in TEACHERS.values() if p.source == "extra"] == ["e5-small"]
    assert all((p.hub_id is not None) == (p.source in ("hub", "extra")) for p in TEACHERS.values())
    assert TEACHERS["roberta-base"].hub_id == "FacebookAI/roberta-base"


def test_find_preset(tmp_path):
    assert find_preset("tiny", STUDENTS) is STUDENTS["tiny"]
    assert find_preset(str(tmp_path), STUDENTS) is None
    assert find_preset("prajjwal1/bert-tiny", STUDENTS) is None


@pytest.mark.parametrize("name", ["", "./nowhere", "/no/such/folder", "a/b/c", "two words", "-flag"])
def test_an_impossible_name_lists_the_choices(name):
    with pytest.raises(
        ModelError, match="is no model: choose cnn, static, tiny, mini, small, medium, half, third, custom"
    ):
        find_preset(name, STUDENTS)


def test_presets_import_no_torch():
    heavy = "{'torch', 'transformers', 'datasets'}"
    code = f"import sys, kd_core.models.presets; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
