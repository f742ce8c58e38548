"""From bytes to text: encodings, how large a file may be, and characters that none should have."""

from __future__ import annotations

from pathlib import Path

import pytest

from kd_core.config import TaskConfig
from kd_core.data import load_task
from kd_core.data.decode import encoding_previews
from kd_core.errors import DataError
from tests.unit.data.films import HEADER, ROWS, cells, table


def test_01_utf8_with_a_byte_order_mark_works():
    read = table(b"\xef\xbb\xbf" + f"{HEADER}Café,pos\n".encode())
    assert list(read.frame.columns) == ["text", "label"]
    assert read.frame.to_numpy().tolist() == [["Café", "pos"]]


def test_02_latin1_is_offered_with_a_preview_and_never_guessed():
    content = f"{HEADER}Nice,pos\nUn café crème,pos\n".encode("latin-1")
    with pytest.raises(
        DataError, match=r"not utf-8 text: byte 0xe9 in line 3\. Give its --encoding: as latin-1"
    ):
        table(content)
    assert encoding_previews(content)["latin-1"] == "Un café crème,pos"
    assert cells(content, encoding="latin-1") == [["Nice", "pos"], ["Un café crème", "pos"]]


def test_03_gbk_is_offered_with_a_preview_and_never_guessed():
    content = f"{HEADER}电影很好,pos\n".encode("gbk")
    with pytest.raises(DataError, match=r"as gbk it would read '电影很好,pos'"):
        table(content)
    assert cells(content, encoding="gbk") == [["电影很好", "pos"]]


def test_03_an_encoding_that_does_not_fit_is_named():
    with pytest.raises(DataError, match=r"is not ascii text: byte 0xc3 in line 1\. Give another --encoding"):
        table("é,b\n", encoding="ascii")
    with pytest.raises(DataError, match=r"--encoding must be an encoding .*, got 'klingon'"):
        table(HEADER, encoding="klingon")
    assert encoding_previews(b"plain") == {}


@pytest.mark.parametrize("codec", ["utf-16", "utf-32"])
def test_04_utf16_is_known_by_its_byte_order_mark(codec):
    assert cells(f"{HEADER}Café,pos\n".encode(codec)) == [["Café", "pos"]]


def test_19_nul_bytes_are_stripped_and_noted():
    read = table(f"{HEADER}Go\0od,p\0os\n")
    assert read.frame.to_numpy().tolist() == [["Good", "pos"]]
    assert read.notes == ("films.csv: 2 NUL characters removed.",)


@pytest.mark.parametrize("misread", ["cp1252", "latin-1"])
def test_text_that_was_encoded_twice_is_noticed(misread):
    once = "text,label\n" + "un château à 5 °C,pos\nIRMÃ» NÃO CAFÉ»,neg\n" * 2
    assert table(once).notes == ()
    twice = once.encode().replace("Ã".encode(), b"A").decode(misread)
    assert table(twice).notes == (
        "films.csv: characters look as if they were encoded twice, in 12 places ('chÃ¢teau'). "
        "Save it as UTF-8 anew, from where it comes.",
    )


def test_25_a_huge_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(60_000_000)  # sparse
    monkeypatch.setattr(Path, "read_bytes", lambda self: pytest.fail("was read"))
    with pytest.raises(DataError, match=r"huge\.csv has 60\.0 MB, more than 50 MB"):
        load_task(TaskConfig(name=str(path)))


@pytest.mark.parametrize("encoding", ["utf\0-8", "utf-7", "unicode_escape", "idna", "rot13", "x" * 5000])
def test_an_encoding_that_is_none_of_texts(encoding):
    with pytest.raises(DataError, match=r"^--encoding must be an encoding such as .*, got '[^']{1,50}'\.$"):
        table(HEADER + ROWS, encoding=encoding)


@pytest.mark.parametrize(
    ("line", "encoding"),
    [
        ("\u201cnice\u201d for 5 \u20ac,pos", "cp1252"),
        ("\u65e5\u672c\u8a9e\u306e\u6620\u753b,pos", "shift-jis"),
        ("\u9019\u662f\u597d\u96fb\u5f71,pos", "big5"),
        ("nice,pos", "utf-16-le"),
        ("\u8fd9\u662f\u597d\u7535\u5f71,pos", "utf-16-be"),
    ],
)
def test_each_encoding_that_fits_is_offered_with_what_it_reads(line, encoding):
    content = f"{HEADER}{line}\n".encode(encoding)
    with pytest.raises(DataError, match=rf"is not utf-8 text.*as {encoding} it would read") as caught:
        table(content)
    assert caught.value.settings == ("encoding",)
    shown = encoding_previews(content)[encoding]
    assert shown == (line if encoding != "utf-16-le" else "text,label")
    assert cells(content, encoding=encoding) == [line.split(",")]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_of_cyrillic_texts_the_likely_encoding_comes_first(encoding):
    """In the other one its letters are capitals."""
    line = "\u0445\u043e\u0440\u043e\u0448\u0438\u0439 \u0444\u0438\u043b\u044c\u043c,pos"
    previews = encoding_previews((HEADER + f"{line}\n" * 3).encode(encoding))
    assert next(iter(previews.items())) == (encoding, line)
    assert not {"cp1251", "koi8-r"} & encoding_previews("text\ncaf\u00e9 noir".encode("latin-1")).keys()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "films.json",
            '[{"text": "caf\u00e9", "label": "x"}, {"text": "bar", "label": "y"}]',
        ),  # no line ends
        ("films.csv", "text,label\rcaf\u00e9,x\rbar,y\r"),
        ("films.csv", "text,label\ncaf\u00e9,\0x\nbar,y\n"),
    ],
)
def test_an_encoding_is_offered_whatever_ends_the_lines(name, content):
    with pytest.raises(DataError, match=r"Give its --encoding: as latin-1 it would read '.*caf\u00e9"):
        table(content.encode("latin-1"), name)
    assert cells(content.encode("latin-1"), name, encoding="latin-1") == [["caf\u00e9", "x"], ["bar", "y"]]
