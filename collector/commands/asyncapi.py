"""`collector schema --asyncapi`: all topics and their messages, as an AsyncAPI 3.0 document."""

import json
from collections import defaultdict
from collections.abc import Iterable
from inspect import cleandoc
from typing import Any

from collector import __version__
from collector.commands.schema import event_types, value_schemas
from collector.model import EventType
from collector.pipeline.message import DEAD_LETTER, PROGRESS
from collector.vendors import VENDORS

CONTENT_TYPE = "application/json"
_BINDING_VERSION = "0.5.0"
"""The version of the Kafka bindings."""
_DESCRIPTION = (
    "Audience data from signage vendors ({vendors}) in Kafka. Consumers that read with isolation.level=read_committed "
    "receive each message exactly once. Topic names are without the deployment's kafka.topic_prefix."
)
_COMPACTED = "Compacted: Kafka keeps the last message of each key, and deletes earlier ones."
_DELETED = "Kafka deletes messages that are older than the topic's retention."
_KEY_ORDER = "All messages of one key are in one partition, in order."
_PROGRESS_KEY = "`<source>/<stream>`."
_DEAD_LETTER_KEY = "The key that the record would have had; the name of the stream if it cannot be read."


def asyncapi() -> str:
    """The document of all types, as JSON."""
    return json.dumps(document(event_types().values()), indent=2)


def document(types: Iterable[EventType]) -> dict[str, Any]:
    """The document of these types."""
    topics: dict[str, list[EventType]] = defaultdict(list)
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    for event_type in types:
        topics[event_type.topic].append(event_type)
        messages[event_type.name] = _message(event_type)
        body, components = value_schemas(event_type, f"#/components/schemas/{event_type.name}.{{name}}")
        schemas |= {event_type.name: body, **{f"{event_type.name}.{name}": each for name, each in components.items()}}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:collector",
        "info": {
            "title": "collector",
            "version": __version__,
            "description": _DESCRIPTION.format(vendors=", ".join(vendor.title for vendor in VENDORS.values())),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {topic: _channel(topic, group) for topic, group in topics.items()},
        "operations": {f"publish.{topic}": _operation(topic, group) for topic, group in topics.items()},
        "components": {"messages": messages, "schemas": schemas},
    }


def header_schema(event_type: EventType) -> dict[str, Any]:
    """The headers of a type's messages: CloudEvents 1.0 in the binary mode of Kafka. Values are strings in UTF-8."""
    headers = {
        "ce_specversion": {"const": "1.0", "description": "The version of CloudEvents."},
        "ce_id": {
            "pattern": "^[0-9a-f]{32}/[a-z0-9_]+/[0-9]+$",
            "description": "Identifies the event. Equal records have equal ids, even in different sources.",
        },
        "ce_source": {
            "pattern": "^/[a-z][a-z0-9_]*/[a-z][a-z0-9_]*$",
            "description": "`/<vendor>/<source>`, with the name of the source in the collector's configuration.",
        },
        "ce_type": {"const": event_type.name, "description": "The type of the value, with its version."},
        "ce_subject": {"description": "What the event is about, e.g. `device/5315/session/1331`."},
        "ce_time": {
            "format": "date-time",
            "description": "When the event started; for present values, when they were fetched. UTC.",
        },
        "content-type": {"const": CONTENT_TYPE, "description": "The type of the value, in UTF-8."},
    }
    return {
        "type": "object",
        "properties": {name: {"type": "string", **each} for name, each in headers.items()},
        "required": list(headers),
    }


def _channel(topic: str, types: list[EventType]) -> dict[str, Any]:
    is_compacted = any(event_type.compacted for event_type in types)
    return {
        "address": topic,
        "description": _COMPACTED if is_compacted else _DELETED,
        "messages": {event_type.name: {"$ref": f"#/components/messages/{event_type.name}"} for event_type in types},
        "bindings": {
            "kafka": {
                "topicConfiguration": {"cleanup.policy": ["compact" if is_compacted else "delete"]},
                "bindingVersion": _BINDING_VERSION,
            }
        },
    }


def _operation(topic: str, types: list[EventType]) -> dict[str, Any]:
    channel = f"#/channels/{topic}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event_type.name}"} for event_type in types],
    }


def _message(event_type: EventType) -> dict[str, Any]:
    return {
        "name": event_type.name,
        "title": event_type.name,
        "summary": cleandoc(event_type.data.__doc__ or "").partition("\n\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": header_schema(event_type),
        "payload": {"$ref": f"#/components/schemas/{event_type.name}"},
        "bindings": {"kafka": {"key": _key(event_type), "bindingVersion": _BINDING_VERSION}},
    }


def _key(event_type: EventType) -> dict[str, str]:
    if event_type == DEAD_LETTER:
        return {"type": "string", "description": _DEAD_LETTER_KEY}
    if event_type == PROGRESS:
        return {"type": "string", "description": f"The key is {_PROGRESS_KEY} {_KEY_ORDER}"}
    for vendor in VENDORS.values():
        if any(event_type in types for types in vendor.event_types.values()):
            return {
                "type": "string",
                "description": f"The key is {vendor.message_key}. {_KEY_ORDER}",
            }
    return {"type": "string", "description": _KEY_ORDER}
