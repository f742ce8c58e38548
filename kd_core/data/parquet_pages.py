"""How large a Parquet file says its pages are once unpacked: a reader makes room for that before it looks.

The footer says it too, but no reader holds it to that. Source: parquet-format, PageHeader in
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift, in the compact protocol,
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow.parquet as pq

DICTIONARY = 2  # PageType
MOST_PAGES = 100_000
MOST_NESTED = 8  # a header has statistics inside a header of its own


@dataclass(frozen=True)
class Page:
    """``bytes`` when unpacked."""

    bytes: int
    is_dictionary: bool


def pages(data: bytes, meta: pq.FileMetaData) -> Iterator[Page]:
    """All of the file, column by column. Raises: ValueError for what is no page."""
    count = 0
    for group in range(meta.num_row_groups):
        for column in range(meta.num_columns):
            chunk = meta.row_group(group).column(column)
            if not chunk.num_values:  # then none of its pages is read
                continue
            place = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                place = min(place, chunk.dictionary_page_offset)
            end = place + chunk.total_compressed_size
            if not 0 <= place <= end <= len(data):
                raise ValueError("its pages lie outside of the file")
            while place < end:
                header = _Header(data, place)
                kind, unpacked, packed = (header.numbers.get(field, -1) for field in (1, 2, 3))
                count += 1
                if unpacked < 0 or packed < 0 or count > MOST_PAGES:
                    raise ValueError("its pages have no sizes")
                yield Page(unpacked, kind == DICTIONARY)
                place = header.end + packed


class _Header:
    """The numbers of a struct by their fields, and where it ends; what lies deeper is passed over."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data, self._place = data, place
        self.numbers: dict[int, int] = {}
        self._struct(self.numbers, 0)
        self.end = self._place

    def _byte(self) -> int:
        if self._place >= len(self._data):
            raise ValueError("a page ends before its header does")
        self._place += 1
        return self._data[self._place - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number without an end")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)

    def _struct(self, numbers: dict[int, int] | None, depth: int) -> None:
        if depth > MOST_NESTED:
            raise ValueError("a header within a header, too often")
        field = 0
        while head := self._byte():
            delta, kind = head >> 4, head & 0x0F
            field = field + delta if delta else self._zigzag()
            value = self._value(kind, depth)
            if numbers is not None and value is not None:
                numbers[field] = value

    def _value(self, kind: int, depth: int) -> int | None:
        match kind:
            case 1 | 2:  # a truth is in its head
                return None
            case 3:
                self._byte()
            case 4 | 5 | 6:
                return self._zigzag()
            case 7:
                self._place += 8
            case 8:
                length = self._varint()
                self._place += length
            case 12:
                self._struct(None, depth + 1)
            case _:  # lists, sets and maps: no page header has any
                raise ValueError(f"a value of the kind {kind}")
        return None
