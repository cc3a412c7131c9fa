"""`collector schema --asyncapi`: all topics and what is in them, as one AsyncAPI 3.0 document."""

import json
from collections import defaultdict
from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

from collector import __version__
from collector.commands.schema import event_types, value_schemas
from collector.model import EventType

CONTENT_TYPE = "application/json"
_BINDING = "0.5.0"
"""Of the Kafka bindings."""
_WHOLE = (
    "Audience data from signage vendors, in Kafka, each thing exactly once to consumers that read with "
    "isolation.level=read_committed. Topics are named without the deployment's kafka.topic_prefix."
)
_COMPACTED = "Compacted: the last message of each key stays for ever, and earlier ones not for long."
_DELETED = "A message is deleted when it is older than the topic's retention."
_KEY = {
    "type": "string",
    "description": "In decimal digits the number of the device, location or site: all of one is in one partition, in "
    "order; of the user where it is about all of theirs; of a dead letter of nothing known, the stream's name.",
}


def asyncapi() -> str:
    return json.dumps(document(event_types().values()), indent=2)


def document(kinds: Iterable[EventType]) -> dict[str, Any]:
    """Of these types."""
    topics: dict[str, list[EventType]] = defaultdict(list)
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for kind in kinds:
        topics[kind.topic].append(kind)
        messages[kind.name] = _message(kind)
        body, components = value_schemas(kind, f"#/components/schemas/{kind.name}.{{name}}")
        schemas |= {kind.name: body, **{f"{kind.name}.{name}": each for name, each in components.items()}}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:collector",
        "info": {
            "title": "collector",
            "version": __version__,
            "description": _WHOLE,
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic: _channel(topic, group) for topic, group in topics.items()},
        "operations": {f"publish.{topic}": _operation(topic, group) for topic, group in topics.items()},
        "components": {"messages": messages, "schemas": schemas},
    }


def header_schema(kind: EventType) -> dict[str, Any]:
    """The headers of a type's messages: CloudEvents 1.0 in Kafka's binary mode. Each is a text in UTF-8."""
    headers = {
        "ce_specversion": {"const": "1.0", "description": "Of CloudEvents."},
        "ce_id": {
            "pattern": "^[0-9a-f]{32}/[a-z0-9_]+/[0-9]+$",
            "description": "The same for the same record for ever, and for no other: what to recognise a message by.",
        },
        "ce_source": {
            "pattern": "^/[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$",
            "description": "`/<vendor>/<source>`: the source by its name in the collector's configuration.",
        },
        "ce_type": {"const": kind.name, "description": "What the value is, with its version."},
        "ce_subject": {"description": "What it is about, e.g. `device/5315/session/1331`."},
        "ce_time": {
            "format": "date-time",
            "description": "When it began or, of what is only known as it is now, when it was seen; UTC.",
        },
        "content-type": {"const": CONTENT_TYPE, "description": "Of the value, in UTF-8."},
    }
    return {
        "type": "object",
        "properties": {name: {"type": "string", **each} for name, each in headers.items()},
        "required": list(headers),
    }


def _channel(topic: str, kinds: list[EventType]) -> dict[str, Any]:
    compacted = any(kind.compacted for kind in kinds)
    return {
        "address": topic,
        "description": _COMPACTED if compacted else _DELETED,
        "messages": {kind.name: {"$ref": f"#/components/messages/{kind.name}"} for kind in kinds},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": ["compact" if compacted else "delete"]},
                "bindingVersion": _BINDING,
            }
        },
    }


def _operation(topic: str, kinds: list[EventType]) -> dict[str, Any]:
    channel = f"#/channels/{topic}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{kind.name}"} for kind in kinds],
    }


def _message(kind: EventType) -> dict[str, Any]:
    return {
        "name": kind.name,
        "title": kind.name,
        "summary": cleandoc(kind.data.__doc__ or "").partition("\n\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": header_schema(kind),
        "payload": {"$ref": f"#/components/schemas/{kind.name}"},
        "bindings": {"kafka": {"key": _KEY, "bindingVersion": _BINDING}},
    }
