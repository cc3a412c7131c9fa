"""Reading what vendors write where they bend JSON, without guessing what they mean."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from collector.errors import RetryLater

T = TypeVar("T")

# A string, or one of the words with which Python's json module writes what JSON cannot say.
_NOT_A_NUMBER = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\bInfinity\b|\bNaN\b')


def decode_answer(body: bytes, decode: Callable[[bytes], T]) -> T:
    """Decode a whole answer; NaN and Infinity are read as null. Raises msgspec.DecodeError, also for deep nesting."""
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        try:
            return decode(body)
        except msgspec.DecodeError as error:
            if isinstance(error, msgspec.ValidationError) or (b"NaN" not in body and b"Infinity" not in body):
                raise
        return decode(_NOT_A_NUMBER.sub(lambda found: found[0] if found[0][:1] == b'"' else b"null", body))
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deeply") from error


def not_an_answer(body: bytes, error: msgspec.DecodeError, *, what: str = "the answer") -> RetryLater:
    """What came instead of an answer, in the operator's words."""
    is_html = body.lstrip()[:1] == b"<"
    came = "a page of HTML" if is_html else f"not the document's: {error}"
    return RetryLater(f"{what} is {came}", advice="if it lasts, check base_url: host and path")


def decode_record(raw: bytes, decode: Callable[[bytes], T], into: type[T]) -> T:
    """Decode one record; `64.0` is taken for 64. Raises msgspec.MsgspecError with what was wrong and where."""
    try:
        return decode(raw)
    except msgspec.ValidationError:
        return msgspec.convert(_whole_numbers(msgspec.json.decode(raw)), into)


def _whole_numbers(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    return value
