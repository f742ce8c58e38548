import subprocess
import sys

import pytest

from kd_core.errors import ModelError
from kd_core.models.presets import STUDENTS, find_preset


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


def test_find_preset(tmp_path):
    assert find_preset("tiny", STUDENTS) is STUDENTS["tiny"]
    assert find_preset(str(tmp_path), STUDENTS) is None
    assert find_preset("prajjwal1/bert-tiny", STUDENTS) is None


@pytest.mark.parametrize("name", ["", "./nowhere", "/no/such/folder", "a/b/c", "two words", "-flag"])
def test_an_unknown_name_lists_the_choices(name):
    with pytest.raises(
        ModelError, match="is no model: choose cnn, static, tiny, mini, small, medium, half, third, custom"
    ):
        find_preset(name, STUDENTS)


def test_presets_import_no_torch():
    heavy = "{'torch', 'transformers', 'datasets'}"
    code = f"import sys, kd_core.models.presets; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
