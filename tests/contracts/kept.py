"""Validates messages: headers and value must be valid by the schemas of their type. Most tests use it."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from jsonschema_rs import Draft202012Validator

from collector.cloudevents import Message
from collector.commands.asyncapi import header_schema
from collector.model import EventType
from collector.schemas import event_types, json_schema

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_types = cache(event_types)


def check(headers: Mapping[str, str], value: object, kind: EventType | None = None) -> None:
    """Validate headers and value by their type, which is `ce_type` or a test's own. Raises ValidationError."""
    kind = kind or _types()[headers["ce_type"]]
    _header_validator(kind).validate(headers)
    _value_validator(kind).validate(value)


def check_message(message: Message, kind: EventType | None = None) -> None:
    """Validate a message that is not in Kafka yet. Raises ValidationError."""
    value, headers = message._decoded()
    check({name: text.decode() for name, text in headers}, msgspec.json.decode(value), kind)


@cache
def _value_validator(kind: EventType) -> Draft202012Validator:
    return _validator(json_schema(kind))


@cache
def _header_validator(kind: EventType) -> Draft202012Validator:
    return _validator(header_schema(kind))


def _validator(schema: dict[str, Any]) -> Draft202012Validator:
    """Timestamps must be in UTC, with milliseconds."""
    formats = {"date-time": lambda text: _TIMESTAMP.fullmatch(text) is not None}
    return Draft202012Validator(schema, validate_formats=True, formats=formats)
