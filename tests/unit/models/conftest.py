"""A folder with a tiny teacher."""

import pytest


@pytest.fixture
def folder(tiny_teacher, tiny_tokenizer, tmp_path):
    tiny_teacher("bert").save_pretrained(tmp_path)
    tiny_tokenizer.save_pretrained(tmp_path)
    return tmp_path
