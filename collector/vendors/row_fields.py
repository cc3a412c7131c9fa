"""Compares the fields of some rows of each response with those that the collector knows.

The decoders of rows ignore fields that they do not know, and most fields may be absent. So a vendor's change would pass
unnoticed: a field that is renamed becomes null. Decoding a row into an object takes longer than decoding it into its
struct; a few rows of each response are enough, since vendors change all rows alike. See docs/decisions/0045.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import msgspec.inspect
from msgspec import Struct

from collector.model import FieldSample

MAX_SAMPLED_ROWS = 16
"""Decoded in less than a millisecond, if they have the usual length."""
MAX_SAMPLED_BYTES = 64 << 10
"""A longer row is not sampled. Sixteen rows of this length take about 10 ms."""

_decode = msgspec.json.Decoder().decode


class RowFields(Struct, frozen=True, kw_only=True):
    """The fields of a stream's rows, by the vendor's names. In a list of objects, `contents[].content_id`."""

    known: frozenset[str]
    """All fields that are decoded, also under their former names."""
    newest: Mapping[str, str] = {}
    """The newest name of each field that has a former one, by the former name."""
    descriptive: frozenset[str] = frozenset()
    """The fields that have a value also where the vendor has no data, such as the place and the period."""
    sparse: frozenset[str] = frozenset()
    """The fields that some rows lack: their absence says nothing."""
    expected: frozenset[str] = frozenset()
    """The fields that the vendor documents for such rows, although a row without them is published. Newest names."""

    def sample(self, rows: Sequence[bytes]) -> FieldSample:
        """The fields of some rows, evenly distributed over a response. Rows in which all values are null do not count.

        A row that is not valid JSON, or too long, does not count either.
        """
        number, present, unknown = 0, Counter[str](), dict[str, None]()
        lists = frozenset(name.rpartition("[].")[0] for name in self.known) - {""}
        for index in _evenly(len(rows)):
            row = _object(rows[index])
            if all(value is None for name, value in row.items() if name not in self.descriptive):
                continue
            number += 1
            present.update({self.newest.get(name, name) for name in row if name in self.known} - self.sparse)
            unknown.update(dict.fromkeys(path for path in _paths(row, lists) if path not in self.known))
        return FieldSample(number, present, tuple(unknown), self.expected)


def paths_of(row_type: type[Struct]) -> frozenset[str]:
    """The names of a struct's fields, and of those of the objects in its lists."""
    return frozenset(_paths_of(msgspec.inspect.type_info(row_type)))


def _paths_of(found: msgspec.inspect.Type, prefix: str = "") -> Iterator[str]:
    match found:
        case msgspec.inspect.StructType():
            for each in found.fields:
                yield f"{prefix}{each.encode_name}"
                yield from _paths_of(each.type, f"{prefix}{each.encode_name}")
        case msgspec.inspect.UnionType():
            for option in found.types:
                yield from _paths_of(option, prefix)
        case msgspec.inspect.ListType() | msgspec.inspect.VarTupleType():
            yield from _paths_of(found.item_type, f"{prefix}[].")


def _paths(row: Mapping[str, Any], lists: frozenset[str], prefix: str = "") -> Iterator[str]:
    """The names of the fields of a row, and of those of the objects in the lists that are known."""
    for name, value in row.items():
        path = f"{prefix}{name}"
        yield path
        if path in lists and isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    yield from _paths(item, lists, f"{path}[].")


def _evenly(rows: int) -> Iterator[int]:
    """Indexes of at most MAX_SAMPLED_ROWS rows, with the first and the last one."""
    sampled = min(rows, MAX_SAMPLED_ROWS)
    for nth in range(sampled):
        yield nth * (rows - 1) // max(sampled - 1, 1)


def _object(row: bytes) -> Mapping[str, Any]:
    """The decoded row; empty if it is no object, or cannot be decoded at once."""
    if len(row) > MAX_SAMPLED_BYTES:
        return {}
    try:
        value = _decode(row)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return {}
    return value if isinstance(value, dict) else {}
