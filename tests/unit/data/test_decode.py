from __future__ import annotations

from pathlib import Path

import pytest

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.decode import encoding_previews
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, cells, table


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_01_04_byte_order_marks(codec):
    read = table(f"{HEADER}Café,pos\n".encode(codec))
    assert list(read.frame.columns) == ["text", "label"]
    assert read.frame.to_numpy().tolist() == [["Café", "pos"]]


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("Un café crème,pos", "latin-1"),
        ("“nice” for 5 €,pos", "cp1252"),
        ("這是好電影,pos", "big5"),
        ("日本語の映画,pos", "shift-jis"),
        ("nice,pos", "utf-16-le"),
        ("这是好电影,pos", "utf-16-be"),
    ],
)
def test_02_03_encodings_are_offered_with_a_preview_and_never_guessed(line, encoding):
    content = f"{HEADER}{line}\n".encode(encoding)
    with pytest.raises(DataError, match=rf"is not utf-8 text.*as {encoding} it would read") as refused:
        table(content)
    assert refused.value.settings == ("encoding",)
    shown = encoding_previews(content)[encoding]
    assert shown == (line if encoding != "utf-16-le" else "text,label")
    assert cells(content, encoding=encoding) == [line.split(",")]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("films.json", '[{"text": "café", "label": "x"}, {"text": "bar", "label": "y"}]'),  # no line ends
        ("films.csv", "text,label\ncafé,\0x\nbar,y\n"),
    ],
)
def test_an_encoding_is_offered_whatever_ends_the_lines(name, content):
    data = content.encode("latin-1")
    with pytest.raises(DataError, match=r"Give its --encoding: as latin-1 it would read '.*café"):
        table(data, name)
    assert cells(data, name, encoding="latin-1") == [["café", "x"], ["bar", "y"]]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_the_likelier_cyrillic_encoding_comes_first(encoding):
    """In the other one its letters are capitals."""
    line = "хороший фильм,pos"
    previews = encoding_previews((HEADER + f"{line}\n" * 3).encode(encoding))
    assert next(iter(previews.items())) == (encoding, line)
    assert not {"cp1251", "koi8-r"} & encoding_previews("text\ncafé noir".encode("latin-1")).keys()
    assert encoding_previews(b"plain") == {}


@pytest.mark.parametrize(
    ("content", "encoding", "says"),
    [
        (f"{HEADER}Nice,pos\né,pos\n".encode("latin-1"), None, r"utf-8 text: byte 0xe9 in line 3\. Give its"),
        (
            "é,b\n",
            "ascii",
            r"^films\.csv is not ascii text: byte 0xc3 in line 1\. Give another --encoding\.$",
        ),
        *(
            (HEADER, name, r"^--encoding must be an encoding such as .*, got '[^']{1,50}'\.$")
            for name in ("klingon", "utf\0-8", "utf-7", "unicode_escape", "idna", "rot13", "x" * 5000)
        ),
    ],
)
def test_what_does_not_fit_is_refused(content, encoding, says):
    with pytest.raises(DataError, match=says):
        table(content, encoding=encoding)


@pytest.mark.parametrize("misread", ["cp1252", "latin-1"])
def test_text_that_was_encoded_twice_is_noted(misread):
    once = "text,label\n" + "un château à 5 °C,pos\nIRMÃ» NÃO CAFÉ»,neg\n" * 2
    assert table(once).notes == ()
    (note,) = table(once.encode().replace("Ã".encode(), b"A").decode(misread)).notes
    assert note.startswith(
        "films.csv: characters look as if they were encoded twice, in 12 places ('chÃ¢teau')."
    )


def test_19_nul_characters_are_removed_and_noted():
    read = table(f"{HEADER}Go\0od,p\0os\n")
    assert read.frame.to_numpy().tolist() == [["Good", "pos"]]
    assert read.notes == ("films.csv: 2 NUL characters removed.",)


def test_25_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(60_000_000)  # sparse
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("was read"))
    with pytest.raises(DataError, match=r"huge\.csv has 60\.0 MB, more than 50 MB"):
        load_task(TaskConfig(name=str(path)))
