"""Files of other programs: refused with what to do, by their name or by their content."""

from __future__ import annotations

import pytest

from kd_core.errors import DataError
from tests.unit.data.films import table


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"PK\x03\x04 and so on", "a ZIP archive or an Excel workbook"),
        (b"PAR1", "a Parquet file"),
        (bytes(range(1, 32)) * 9, "not text"),
    ],
)
def test_18_an_image_named_csv_is_not_a_csv(content, what):
    with pytest.raises(DataError, match=rf"films\.csv is not a CSV file: its content is {what}"):
        table(content)


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (("a.xlsx", "A.XLS", "a.ods"), r"Save the sheet as CSV \(UTF-8\) in Excel or LibreOffice"),
        (("a.csv.gz", "a.zip", "a.bz2", "a.xz"), "Unpack it first, and give the file that was in it"),
        (("a.pdf", "a.docx", "a.html"), "Put its texts into a table, one text in each row"),
    ],
)
def test_a_file_of_another_program_is_refused_with_what_to_do(names, advice):
    for name in names:
        with pytest.raises(DataError, match=rf"^{name} is none of the kinds .*\.parquet\. {advice}"):
            table("whatever", name)


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (b"PK\x03\x04", "Save the sheet as CSV"),
        (b"BZh9", "Unpack it first"),
        (b"%PDF-1.7", "Put its texts"),
        (b"\x89PNG", "Give a table"),
    ],
)
def test_what_to_do_is_said_whatever_its_name(content, advice):
    with pytest.raises(DataError, match=rf"^films\.csv is not a CSV file: its content is an? .*\. {advice}"):
        table(content)
