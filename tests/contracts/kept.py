"""Every message that a test sees keeps its contract: its headers and its value are those of its type's schemas."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator

from collector.cloudevents import Message
from collector.commands.asyncapi import header_schema
from collector.commands.schema import event_types, json_schema
from collector.model import EventType

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_types = cache(event_types)


def check(headers: Mapping[str, str], value: object, kind: EventType | None = None) -> None:
    """Raises jsonschema_rs.ValidationError. The type is the one that the headers name, unless it is a test's own."""
    kind = kind or _types()[headers["ce_type"]]
    _of_headers(kind).validate(headers)
    _of_values(kind).validate(value)


def check_message(message: Message, kind: EventType | None = None) -> None:
    """The same, before the message is in Kafka."""
    check({name: said.decode() for name, said in message.headers}, msgspec.json.decode(message.value), kind)


@cache
def _of_values(kind: EventType) -> Draft202012Validator:
    return _validator(json_schema(kind))


@cache
def _of_headers(kind: EventType) -> Draft202012Validator:
    return _validator(header_schema(kind))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Moments are written as all of ours are: in UTC, with milliseconds."""
    moments = {"date-time": lambda text: _MOMENT.fullmatch(text) is not None}
    return Draft202012Validator(schema, validate_formats=True, formats=moments)
