"""Decodes responses and their rows, including the deviations from JSON and from the document that vendors send.

What is valid is decoded at once, by msgspec. Only what msgspec refuses takes a slower path, where a damaged row costs
no other row (`damage.py`), and a side field that cannot be understood costs only itself. A row's identity, its times
and its main numbers are never guessed: if one of them cannot be understood, the row is rejected.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import msgspec
import msgspec.inspect
from msgspec import Raw, Struct, structs

from collector.errors import RetryLater
from collector.steps import Steps
from collector.vendors.damage import LENIENT, take_apart
from collector.vendors.raw_rows import MAX_ROWS, NO_ROWS, Form, RawRows, find_rows

T = TypeVar("T")

DECIMALS = 3
"""The decimals that a fingerprint contains."""
MAX_INTEGER = 2**63
"""No field holds a larger integer. A larger number remains a float, as the strict decoder reads it."""
MAX_ROW_BYTES = 1 << 20
"""The longest row, a thousand times the usual length: each is decoded in one step."""
MAX_TREE_BYTES = 8 << 20
"""The longest row that is a tree: decoded in 0.3 s."""
MAX_LENIENT_BYTES = 64 << 10
"""The longest row that is decoded leniently, which takes up to twenty times as long."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UNDECODABLE = re.compile("[\ud800-\udfff]")
"""Half of a pair of surrogates, or a byte that is not UTF-8 (as `surrogateescape` represents it)."""


class ResponseDecoder(Generic[T]):
    """Decodes the bodies of one kind of response."""

    def __init__(
        self, wire: type, into: type[T], is_row: Callable[[Mapping[str, Any]], bool] = lambda _: False
    ) -> None:
        """`wire` has `Raw` where `into` has `RawRows`: for a generic struct, they are `Body[Raw]` and `Body[RawRows]`.

        `is_row` tells whether an object can be a row, and not a part of one.
        """
        self._into = into
        self._is_row = is_row
        self._type = msgspec.inspect.type_info(into)
        self._decode: Callable[[bytes], Any] = msgspec.json.Decoder(wire).decode

    def __call__(self, body: bytes, max_rows: int = MAX_ROWS) -> Steps[T]:
        """Decode a body. A byte order mark is ignored, and an integer may be written as `64.0`.

        A row that is not valid JSON is among the rows, unchanged: `RowDecoder` rejects it, or reads what it needs. Text
        that cannot be decoded is replaced. Raises msgspec.DecodeError, and Split if there are more than `max_rows`.
        """
        body = body.removeprefix(BYTE_ORDER_MARK)
        try:
            decoded = self._decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            reason = _reason(error)
        else:
            found: T = yield from _with_rows(decoded, self._type, max_rows)
            return found
        try:
            value = yield from take_apart(body, self._type, self._is_row, max_rows)
            return msgspec.convert(_plain(value, replace=True), self._into, dec_hook=_rows_of)
        except msgspec.ValidationError:
            raise
        except (ValueError, RecursionError):
            raise msgspec.DecodeError(reason) from None


def _with_rows(value: Any, into: msgspec.inspect.Type, max_rows: int) -> Steps[Any]:  # noqa: ANN401 - any struct
    """The value with the rows of each `Raw` for which `into` has `RawRows`."""
    if isinstance(into, msgspec.inspect.UnionType):
        into = next(each for each in into.types if not isinstance(each, msgspec.inspect.NoneType))
    if isinstance(into, msgspec.inspect.CustomType) and isinstance(value, Raw):
        rows = yield from find_rows(value, max_rows)
        return rows
    if isinstance(into, msgspec.inspect.StructType) and value is not None:
        changed = {}
        for field in into.fields:
            changed[field.name] = yield from _with_rows(getattr(value, field.name), field.type, max_rows)
        return structs.replace(value, **changed)
    return value


def _rows_of(_: type, value: object) -> RawRows:
    """The rows that `take_apart` has found."""
    match value:
        case list():
            return RawRows.of(value)
        case dict():
            return RawRows.of(value.values(), Form.OBJECT)
        case None:
            return NO_ROWS
        case _:
            return RawRows.of((), Form.OTHER)


class RowDecoder(Generic[T]):
    """Decodes single rows."""

    def __init__(self, into: type[T], side: Iterable[str] = (), *, is_tree: bool = False) -> None:
        """`side` are the fields of `into` that may be null because they cannot be understood.

        With `is_tree`, a row may have MAX_TREE_BYTES instead of MAX_ROW_BYTES.
        """
        self.into = into
        self._max_bytes = MAX_TREE_BYTES if is_tree else MAX_ROW_BYTES
        self._decode = msgspec.json.Decoder(into).decode
        types = {field.encode_name: field.type for field in structs.fields(into)} if side else {}  # type: ignore[arg-type]
        self._side = {name: types[name] for name in side}
        self.parts: dict[str, RowDecoder[Any]] = {}
        """By field: the decoder of each of its items, which have side fields of their own."""

    def __call__(self, row: bytes, ignored: Counter[str] | None = None) -> T:
        """Decode a row. Counts each side field that is set to null in `ignored`, by name.

        Raises MalformedRow, whose text names the field.
        """
        if len(row) > self._max_bytes:
            raise MalformedRow(f"longer than {self._max_bytes} bytes")
        try:
            return self._decode(row)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            reason = _reason(error)
        if len(row) > MAX_LENIENT_BYTES:
            raise MalformedRow(reason)
        try:
            value = _plain(LENIENT.decode(row.decode("utf-8", "surrogateescape")), replace=False)
        except (ValueError, RecursionError):
            raise MalformedRow(reason) from None
        ignored_here = Counter[str]()
        try:
            decoded = msgspec.convert(self._without_ignored(value, ignored_here), self.into)
        except msgspec.ValidationError as error:
            raise MalformedRow(str(error)) from None
        if ignored is not None:
            ignored.update(ignored_here.keys())
        return decoded

    def _without_ignored(self, value: Any, ignored: Counter[str]) -> Any:  # noqa: ANN401 - any JSON
        """The value with null for each side field that cannot be understood."""
        if not isinstance(value, dict):
            return value
        value = dict(value)
        for name in self._side.keys() & value.keys():
            try:
                msgspec.convert(value[name], self._side[name])
            except msgspec.ValidationError:
                value[name] = None
                ignored[name] += 1
        for name, part in self.parts.items():
            items = value.get(name)
            if isinstance(items, list):
                value[name] = [part._without_ignored(item, ignored) for item in items]  # noqa: SLF001 - of this class
            elif isinstance(items, dict):
                value[name] = {key: part._without_ignored(item, ignored) for key, item in items.items()}  # noqa: SLF001
        return value


class MalformedRow(ValueError):  # noqa: N818 - named by what happened
    """A row that cannot be decoded. The text says what is wrong, and where in the row."""


class Undecodable(Struct, frozen=True):
    """A text with a byte that is not UTF-8, or with half a pair of surrogates. No field accepts it."""


_UNDECODABLE_TEXT = Undecodable()


def understood(ignored: Counter[str] | None, name: str, read: Callable[[], T]) -> T | None:
    """What `read` returns; None, counted in `ignored` under this name, if it raises ValueError: for a side field."""
    try:
        return read()
    except ValueError:
        if ignored is not None:
            ignored[name] += 1
        return None


def comparable(number: float | None, decimals: int = DECIMALS) -> float | None:
    """A number as fingerprints contain it: 19 and 19.0 are equal, and so are 0.0 and -0.0.

    Percentages of Quividi are fractions of 255: further decimals are not significant.
    """
    return None if number is None else round(float(number), decimals) + 0.0


def fraction(number: float | None) -> float | None:
    """A number as events contain it where it may have decimals: 19 and 19.0 are written alike, as 19.0."""
    return None if number is None else float(number) + 0.0


def numbers_fingerprint(
    numbers: Iterable[float | None], *more: str | float | bool | None, decimals: int = DECIMALS
) -> bytes:
    """The fingerprint of a record that consists of numbers, whose form does not matter, and of `more` as it is."""
    return msgspec.msgpack.encode([*(comparable(number, decimals) for number in numbers), *more])


def unexpected_response(body: bytes, error: msgspec.DecodeError, *, what: str = "the response") -> RetryLater:
    """The error to raise for a body that a `ResponseDecoder` cannot decode."""
    advice = "if it persists, check host and path of base_url"
    if body.lstrip()[:1] == b"<":
        return RetryLater(f"{what} is an HTML page", code="response_is_html", advice=advice)
    return RetryLater(f"{what} is not as documented: {error}", code="response_undocumented", advice=advice)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "not in UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


def _plain(value: Any, *, replace: bool) -> Any:  # noqa: ANN401 - any JSON
    """The value with whole floats as integers, and with text that cannot be decoded replaced, or made `Undecodable`."""
    if isinstance(value, float) and value.is_integer() and abs(value) < MAX_INTEGER:
        return int(value)
    if isinstance(value, str) and _UNDECODABLE.search(value):
        return _UNDECODABLE.sub("\ufffd", value) if replace else _UNDECODABLE_TEXT
    if isinstance(value, list):
        return [_plain(item, replace=replace) for item in value]
    if isinstance(value, dict):
        return {_UNDECODABLE.sub("\ufffd", key): _plain(item, replace=replace) for key, item in value.items()}
    return value
