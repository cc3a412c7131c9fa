"""`collector schema --asyncapi`: all topics and their messages, as an AsyncAPI 3.0 document."""

import json
from collections.abc import Collection, Iterable, Mapping
from inspect import cleandoc
from pathlib import Path
from typing import Any

from collector import __version__
from collector.cloudevents import SCHEMA_ID
from collector.config import load
from collector.kafka.plan import event_topic_configs
from collector.kafka.sasl import TOKENS
from collector.kafka.settings import KafkaSettings
from collector.model import EventType
from collector.pipeline.message import DEAD_LETTER, PROGRESS
from collector.schemas import event_types, examples, value_schemas
from collector.vendors import VENDORS

CONTENT_TYPE = "application/json"
_BINDING_VERSION = "0.5.0"
"""The version of the Kafka bindings."""
_DESCRIPTION = (
    "Audience data from signage vendors ({vendors}) in Kafka. Consumers that read with isolation.level=read_committed "
    "receive each message exactly once. {topics}"
)
_WITHOUT_CONFIGURATION = "Topic names are without the deployment's kafka.topic_prefix."
_WITH_CONFIGURATION = "Servers and topics are those of one configuration."
_CREATED = "Partitions, replicas and topicConfiguration are those with which the collector creates missing topics."
_SCHEMES = {"PLAIN": "plain", "SCRAM-SHA-256": "scramSha256", "SCRAM-SHA-512": "scramSha512", TOKENS: "oauth2"}
"""The types of security schemes, by the mechanism of SASL."""
_DEFAULT_PORT = 9092
_COMPACTED = "Compacted: Kafka keeps the last message of each key, and deletes earlier ones."
_DELETED = "Kafka deletes messages that are older than the topic's retention."
_KEY_ORDER = "All messages of one key are in one partition, in order."
_SCHEMA_ID = {
    "format": "binary",
    "description": "Names the schema in the registry: 0 and an id of four bytes, or 1 and a GUID of sixteen bytes.",
}
_DEAD_LETTER_KEY = "The key that the record would have had; the name of the stream if it cannot be read."


def asyncapi(config: Path | None = None) -> str:
    """The document as JSON: of all types, or of the servers and the topics of a configuration.

    Raises InvalidConfiguration, or UserError when the file cannot be read.
    """
    types = event_types()
    if config is None:
        return json.dumps(document({each.topic: each for each in types.values()}), indent=2)
    settings = load(config)
    order = list(types.values())
    topics = sorted(settings.topics().items(), key=lambda topic: (order.index(topic[1]), topic[0]))
    return json.dumps(document(dict(topics), settings.kafka), indent=2)


def document(topics: Mapping[str, EventType], kafka: KafkaSettings | None = None) -> dict[str, Any]:
    """The document of these topics, each with the type of its messages, in this Kafka."""
    messages: dict[str, Any] = {}
    schemas: dict[str, Any] = {}
    names_schema = bool(kafka and kafka.schema_registry and kafka.schema_registry.header)
    channels = {_channel_id(topic, topics, kafka): (topic, event_type) for topic, event_type in topics.items()}
    for event_type in topics.values():
        messages[event_type.name] = _message(event_type, names_schema=names_schema)
        body, components = value_schemas(event_type, f"#/components/schemas/{event_type.name}.{{name}}")
        schemas |= {event_type.name: body, **{f"{event_type.name}.{name}": each for name, each in components.items()}}
    schemes = _security_schemes(kafka) if kafka else {}
    return {
        "asyncapi": "3.0.0",
        "id": "urn:collector",
        "info": {
            "title": "collector",
            "version": __version__,
            "description": _description(kafka),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        **({"servers": _servers(kafka, schemes)} if kafka else {}),
        "channels": {name: _channel(*channel, kafka) for name, channel in channels.items()},
        "operations": {f"publish.{name}": _operation(name, event_type) for name, (_, event_type) in channels.items()},
        "components": {
            "messages": messages,
            "schemas": schemas,
            **({"securitySchemes": schemes} if schemes else {}),
        },
    }


def header_schema(event_type: EventType, *, names_schema: bool = False) -> dict[str, Any]:
    """The headers of a type's messages: CloudEvents 1.0 in the binary mode of Kafka. Values are strings in UTF-8.

    With `names_schema`, there may be one more, whose value is binary.
    """
    optional = {SCHEMA_ID: _SCHEMA_ID} if names_schema else {}
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
        "properties": {name: {"type": "string", **each} for name, each in (headers | optional).items()},
        "required": list(headers),
    }


def _description(kafka: KafkaSettings | None) -> str:
    if kafka is None:
        topics = _WITHOUT_CONFIGURATION
    else:
        topics = f"{_WITH_CONFIGURATION} {_CREATED}" if kafka.create_topics else _WITH_CONFIGURATION
    return _DESCRIPTION.format(vendors=", ".join(vendor.title for vendor in VENDORS.values()), topics=topics)


def _servers(kafka: KafkaSettings, schemes: Iterable[str]) -> dict[str, Any]:
    """The bootstrap servers."""
    server = {
        "protocol": "kafka-secure" if kafka.tls else "kafka",
        **({"security": security} if (security := [_scheme(name) for name in schemes]) else {}),
    }
    hosts = (host.strip() for host in kafka.bootstrap_servers.split(","))
    return {f"bootstrap-{number}": {"host": _with_port(host), **server} for number, host in enumerate(hosts, 1)}


def _with_port(host: str) -> str:
    has_port = ":" in host.rpartition("]")[2]  # an IPv6 address is in brackets
    return host if has_port else f"{host}:{_DEFAULT_PORT}"


def _security_schemes(kafka: KafkaSettings) -> dict[str, Any]:
    """How clients authenticate themselves: without names, passwords and files, which each client has its own of."""
    if kafka.sasl:
        description = f"SASL {kafka.sasl.mechanism}"
        flows: dict[str, Any] = {}
        if kafka.sasl.mechanism == TOKENS:
            flows["flows"] = {}  # required, and each client has its own
        return {"sasl": {"type": _SCHEMES[kafka.sasl.mechanism], "description": description, **flows}}
    if kafka.tls and kafka.tls.cert_file:
        return {"certificate": {"type": "X509", "description": "A client certificate"}}
    return {}


def _scheme(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/securitySchemes/{name}"}


def _channel_id(topic: str, topics: Collection[str], kafka: KafkaSettings | None) -> str:
    """The topic without the deployment's prefix, so that all deployments have equal ids.

    With the prefix if the rest is another of the topics: a source may have topics without one.
    """
    rest = topic.removeprefix(kafka.topic_prefix) if kafka else topic
    return topic if rest in topics else rest


def _channel(topic: str, event_type: EventType, kafka: KafkaSettings | None) -> dict[str, Any]:
    return {
        "address": topic,
        "description": _COMPACTED if event_type.compacted else _DELETED,
        "messages": {event_type.name: {"$ref": f"#/components/messages/{event_type.name}"}},
        "bindings": {"kafka": _channel_binding(kafka, is_compacted=event_type.compacted)},
    }


def _channel_binding(kafka: KafkaSettings | None, *, is_compacted: bool) -> dict[str, Any]:
    """The topic's settings. Where the collector does not create it, only its policy is known, which is verified."""
    topic: dict[str, Any] = {"cleanup.policy": ["compact" if is_compacted else "delete"]}
    created: dict[str, int] = {}
    if kafka and kafka.create_topics:
        created = {"partitions": kafka.partitions}
        if kafka.replication_factor is not None:
            created["replicas"] = kafka.replication_factor
        if retention_ms := event_topic_configs(kafka, is_compacted=is_compacted).get("retention.ms"):
            topic["retention.ms"] = int(retention_ms)
    return {**created, "topicConfiguration": topic, "bindingVersion": _BINDING_VERSION}


def _operation(channel_id: str, event_type: EventType) -> dict[str, Any]:
    channel = f"#/channels/{channel_id}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{event_type.name}"}],
    }


def _message(event_type: EventType, *, names_schema: bool) -> dict[str, Any]:
    return {
        "name": event_type.name,
        "title": event_type.name,
        "summary": cleandoc(event_type.data.__doc__ or "").partition("\n\n")[0],
        "contentType": CONTENT_TYPE,
        "headers": header_schema(event_type, names_schema=names_schema),
        "payload": {"$ref": f"#/components/schemas/{event_type.name}"},
        "bindings": {"kafka": {"key": _key(event_type), "bindingVersion": _BINDING_VERSION}},
        **({"examples": [_example(found)]} if (found := examples().get(event_type.name)) else {}),
    }


def _example(found: Mapping[str, Any]) -> dict[str, Any]:
    return {"headers": found["headers"], "payload": found["value"]}


def _key(event_type: EventType) -> dict[str, str]:
    if event_type == DEAD_LETTER:
        return {"type": "string", "description": _DEAD_LETTER_KEY}
    if event_type == PROGRESS:
        return {"type": "string", "description": f"The key is `<source>/<stream>`. {_KEY_ORDER}"}
    for vendor in VENDORS.values():
        if event_type in vendor.all_types:
            return {
                "type": "string",
                "description": f"The key is {vendor.message_key}. {_KEY_ORDER}",
            }
    return {"type": "string", "description": _KEY_ORDER}
