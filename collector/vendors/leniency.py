"""Decodes JSON, including the deviations from JSON that vendors are known to send."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from collector.errors import RetryLater

T = TypeVar("T")

# A string, or a literal that Python's json module writes for a float that JSON cannot represent.
_STRING_OR_NON_FINITE = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?\bInfinity\b|\bNaN\b')


def decode_response(body: bytes, decode: Callable[[bytes], T]) -> T:
    """Decode the body of a response. A byte order mark is ignored; NaN and Infinity are decoded as null.

    Raises msgspec.DecodeError, also for JSON that is nested too deeply or is not in UTF-8.
    """
    body = body.removeprefix(b"\xef\xbb\xbf")
    try:
        try:
            return decode(body)
        except msgspec.DecodeError as error:
            if isinstance(error, msgspec.ValidationError) or (b"NaN" not in body and b"Infinity" not in body):
                raise
        return decode(_STRING_OR_NON_FINITE.sub(lambda match: match[0] if match[0][:1] == b'"' else b"null", body))
    except RecursionError as error:
        raise msgspec.DecodeError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError("not in UTF-8") from error


def unexpected_response(body: bytes, error: msgspec.DecodeError, *, what: str = "the response") -> RetryLater:
    """The error to raise for a body that `decode_response` cannot decode."""
    advice = "if it persists, check host and path of base_url"
    if body.lstrip()[:1] == b"<":
        return RetryLater(f"{what} is an HTML page", code="response_is_html", advice=advice)
    return RetryLater(f"{what} is not as documented: {error}", code="response_undocumented", advice=advice)


def decode_record(raw: bytes, decode: Callable[[bytes], T], into: type[T]) -> T:
    """Decode one row; an integer may be written as `64.0`.

    The caller rejects the row on msgspec.MsgspecError, whose text names the field; on RecursionError, for JSON that is
    nested too deeply; and on ValueError, for text that is not in UTF-8.
    """
    try:
        return decode(raw)
    except msgspec.ValidationError:
        return msgspec.convert(_whole_numbers(msgspec.json.decode(raw)), into)


def _whole_numbers(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The value with its whole floats as integers, at any depth."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_whole_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _whole_numbers(item) for key, item in value.items()}
    return value
