"""The AsyncAPI document is valid by AsyncAPI's own schema, and describes every type and topic of the code."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from msgspec import Struct

from collector.cloudevents import SCHEMA_ID
from collector.commands.asyncapi import asyncapi, document
from collector.model import EventType
from collector.pipeline.message import CommonFields
from collector.schemas import event_types
from tests.commands.configuration import SESSIONS
from tests.contracts import specs
from tests.contracts.kept import check
from tests.needs import need


class Inner(Struct):
    depth_mm: int


class Whole(Struct):
    """The present state of a thing."""

    inner: Inner | None


class Other(Struct):
    """Another thing in the same topic."""

    inner: Inner


LATEST = EventType("test.whole.v1", "test.things", Whole, compacted=True)
OTHER = EventType("test.other.v1", "test.things", Other, compacted=True)


DEPLOYMENT = f"""
[kafka]
bootstrap_servers = "kafka-1:9093, [::1]"
topic_prefix = "shop."
partitions = 12
replication_factor = 3
retention = "7d"
[kafka.tls]
[kafka.sasl]
mechanism = "SCRAM-SHA-512"
username = "invented-user"
password = "invented-password"
{SESSIONS}
[sources.mall.streams.devices]
"""
EVENT_TOPICS = {
    "seemetrix.sessions": "delete",
    "seemetrix.attention": "delete",
    "seemetrix.emotions": "delete",
    "seemetrix.content_views": "delete",
    "seemetrix.devices": "compact",
    "collector.dead_letters": "delete",
    "collector.progress": "compact",
}


@pytest.fixture(scope="module")
def asyncapi_schema() -> Any:  # noqa: ANN401 - JSON
    """The schema of AsyncAPI 3.0 documents."""
    try:
        return specs.schema()
    except specs.Missing as reason:
        need("NPM", str(reason))
        raise


@pytest.fixture(scope="module")
def generated() -> Any:  # noqa: ANN401 - JSON
    return json.loads(asyncapi())


def resolve(document: Any, reference: str) -> Any:  # noqa: ANN401 - JSON
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def references(part: object) -> set[str]:
    """All references in a part of a document."""
    if isinstance(part, list):
        return set().union(*map(references, part))
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if "$ref" in part else set()
    return own.union(*map(references, part.values()))


def test_the_document_is_valid(asyncapi_schema: Any, generated: Any) -> None:  # noqa: ANN401 - JSON
    Draft7Validator(asyncapi_schema).validate(generated)


def test_a_document_with_two_types_is_valid(asyncapi_schema: Any) -> None:  # noqa: ANN401 - JSON
    Draft7Validator(asyncapi_schema).validate(document({"test.things": LATEST, "test.others": OTHER}))


def test_the_schema_rejects_an_invalid_document(asyncapi_schema: Any, generated: Any) -> None:  # noqa: ANN401 - JSON
    assert not Draft7Validator(asyncapi_schema).is_valid(
        generated | {"channels": {"seemetrix.sessions": {"topic": "sessions"}}}
    )


def test_every_topic_is_a_channel_with_a_send_operation(generated: Any) -> None:  # noqa: ANN401 - JSON
    topics = {kind.topic for kind in event_types().values()}
    assert topics == {channel["address"] for channel in generated["channels"].values()}
    assert {("send", f"#/channels/{topic}") for topic in topics} == {
        (operation["action"], operation["channel"]["$ref"]) for operation in generated["operations"].values()
    }


def test_every_type_is_a_message_of_its_topic(generated: Any) -> None:  # noqa: ANN401 - JSON
    for name, kind in event_types().items():
        message = resolve(generated, generated["channels"][kind.topic]["messages"][name]["$ref"])
        payload, headers = resolve(generated, message["payload"]["$ref"]), message["headers"]["properties"]
        assert name == message["name"] == payload["properties"]["type"]["const"] == headers["ce_type"]["const"]
        fields = (*CommonFields.__struct_fields__, *kind.data.__struct_fields__)
        assert list(payload["properties"]) == list(fields)
        assert message["bindings"]["kafka"]["key"]["type"] == "string"


def test_every_reference_resolves(generated: Any) -> None:  # noqa: ANN401 - JSON
    for whole in (generated, document({"test.things": LATEST, "test.others": OTHER})):
        assert all(resolve(whole, reference) for reference in references(whole))


def test_equally_named_objects_of_two_types_are_apart() -> None:
    schemas = document({"test.things": LATEST, "test.others": OTHER})["components"]["schemas"]

    assert {"test.whole.v1", "test.whole.v1.Inner", "test.other.v1", "test.other.v1.Inner"} == schemas.keys()


@pytest.mark.parametrize("compacted", [True, False])
def test_a_channel_describes_compaction(compacted: bool) -> None:
    kind = EventType("test.whole.v1", "test.things", Whole, compacted=compacted)

    channel = document({"test.things": kind})["channels"]["test.things"]

    expected = ["compact" if compacted else "delete"]
    assert expected == channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
    assert compacted == channel["description"].startswith("Compacted")


def test_every_message_has_a_valid_example(generated: Any) -> None:  # noqa: ANN401 - JSON
    for message in generated["components"]["messages"].values():
        (example,) = message["examples"]
        check(example["headers"], example["payload"])
        assert message["name"] == example["headers"]["ce_type"]


def deployed(folder: Path, text: str = DEPLOYMENT) -> Any:  # noqa: ANN401 - JSON
    """The document of a configuration."""
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return json.loads(asyncapi(path))


def test_the_document_of_a_deployment_is_valid(asyncapi_schema: Any, tmp_path: Path) -> None:  # noqa: ANN401 - JSON
    found = deployed(tmp_path)

    Draft7Validator(asyncapi_schema).validate(found)
    assert all(resolve(found, reference) for reference in references(found))


def test_a_deployment_has_only_the_topics_of_its_streams(tmp_path: Path, generated: Any) -> None:  # noqa: ANN401 - JSON
    found = deployed(tmp_path)

    assert {topic: f"shop.{topic}" for topic in EVENT_TOPICS} == {
        topic: channel["address"] for topic, channel in found["channels"].items()
    }
    assert found["components"]["messages"].items() < generated["components"]["messages"].items()
    assert found["components"]["schemas"].items() < generated["components"]["schemas"].items()


@pytest.mark.parametrize("prefix", ["", "north.", "shop.north."])
def test_each_topic_of_each_source_is_a_channel(tmp_path: Path, prefix: str) -> None:
    """Also if the topics of one source have no prefix, as the ids of the channels have none."""
    other = SESSIONS.replace("sources.mall", "sources.tenant")
    other = other.replace("[sources.tenant]\n", f'[sources.tenant]\ntopic_prefix = "{prefix}"\n')

    found = deployed(tmp_path, DEPLOYMENT + other)

    sessions = ("seemetrix.sessions", "seemetrix.attention", "seemetrix.emotions", "seemetrix.content_views")
    of_tenant = {prefix + topic for topic in (*sessions, "collector.dead_letters")}
    assert {f"shop.{topic}" for topic in EVENT_TOPICS} | of_tenant == {
        channel["address"] for channel in found["channels"].values()
    }
    assert len(found["channels"]) == len(found["operations"])


def test_topics_have_the_settings_with_which_they_are_created(tmp_path: Path) -> None:
    retention = {"delete": {"retention.ms": 7 * 86_400_000}, "compact": {}}

    assert {
        topic: {
            "partitions": 12,
            "replicas": 3,
            "topicConfiguration": {"cleanup.policy": [policy], **retention[policy]},
            "bindingVersion": "0.5.0",
        }
        for topic, policy in EVENT_TOPICS.items()
    } == {topic: channel["bindings"]["kafka"] for topic, channel in deployed(tmp_path)["channels"].items()}


@pytest.mark.parametrize(("keys", "is_named"), [("", True), ("header = false\n", False)])
def test_messages_of_a_deployment_with_a_schema_registry_may_name_their_schema(
    asyncapi_schema: Any,  # noqa: ANN401 - JSON
    tmp_path: Path,
    keys: str,
    *,
    is_named: bool,
) -> None:
    registry = f'[kafka.schema_registry]\nurl = "https://registry.example"\n{keys}'

    found = deployed(tmp_path, DEPLOYMENT + registry)

    Draft7Validator(asyncapi_schema).validate(found)
    headers = [message["headers"] for message in found["components"]["messages"].values()]
    assert {is_named} == {SCHEMA_ID in each["properties"] for each in headers}
    assert not any(SCHEMA_ID in each["required"] for each in headers)


def test_topics_that_the_collector_does_not_create_have_only_their_policy(tmp_path: Path) -> None:
    found = deployed(tmp_path, f"[kafka]\ncreate_topics = false\n{SESSIONS}")["channels"]["seemetrix.sessions"]

    assert {"topicConfiguration": {"cleanup.policy": ["delete"]}, "bindingVersion": "0.5.0"} == found["bindings"][
        "kafka"
    ]


def test_servers_have_protocol_and_authentication_and_no_secrets(tmp_path: Path) -> None:
    found = deployed(tmp_path)

    server = {"protocol": "kafka-secure", "security": [{"$ref": "#/components/securitySchemes/sasl"}]}
    assert {
        "bootstrap-1": {"host": "kafka-1:9093", **server},
        "bootstrap-2": {"host": "[::1]:9092", **server},
    } == found["servers"]
    assert "scramSha512" == found["components"]["securitySchemes"]["sasl"]["type"]
    assert "invented" not in json.dumps(found)


CERTIFICATE = 'kafka.tls = { cert_file = "cert.pem", key_file = "key.pem" }\n'


@pytest.mark.parametrize(
    ("kafka", "protocol", "schemes"),
    [
        ("", "kafka", []),
        ("kafka.tls = {}\n", "kafka-secure", []),
        (CERTIFICATE, "kafka-secure", ["X509"]),
        ('kafka.sasl = { mechanism = "PLAIN", username = "u", password = "p" }\n', "kafka", ["plain"]),
        ('kafka.sasl = { mechanism = "SCRAM-SHA-256", username = "u", password = "p" }\n', "kafka", ["scramSha256"]),
        ('kafka.sasl = { mechanism = "OAUTHBEARER", token = "invented-token" }\n', "kafka", ["oauth2"]),
    ],
)
def test_every_way_of_connecting_is_valid(
    asyncapi_schema: Any,  # noqa: ANN401 - JSON
    tmp_path: Path,
    kafka: str,
    protocol: str,
    schemes: list[str],
) -> None:
    found = deployed(tmp_path, kafka + SESSIONS)

    Draft7Validator(asyncapi_schema).validate(found)
    (server,) = found["servers"].values()
    assert protocol == server["protocol"]
    assert schemes == [resolve(found, each["$ref"])["type"] for each in server.get("security", [])]
