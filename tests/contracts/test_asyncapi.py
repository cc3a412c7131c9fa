"""The AsyncAPI document is valid by AsyncAPI's own schema, and describes every type and topic of the code."""

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator
from msgspec import Struct

from collector.commands.asyncapi import asyncapi, document
from collector.commands.schema import event_types
from collector.model import EventType
from collector.pipeline.message import CommonFields
from tests.contracts import specs
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


def test_a_document_with_two_types_in_a_compacted_topic_is_valid(asyncapi_schema: Any) -> None:  # noqa: ANN401 - JSON
    Draft7Validator(asyncapi_schema).validate(document([LATEST, OTHER]))


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
    for whole in (generated, document([LATEST, OTHER])):
        assert all(resolve(whole, reference) for reference in references(whole))


def test_equally_named_objects_of_two_types_are_apart() -> None:
    schemas = document([LATEST, OTHER])["components"]["schemas"]

    assert {"test.whole.v1", "test.whole.v1.Inner", "test.other.v1", "test.other.v1.Inner"} == schemas.keys()


@pytest.mark.parametrize("compacted", [True, False])
def test_a_channel_describes_compaction(compacted: bool) -> None:
    kind = EventType("test.whole.v1", "test.things", Whole, compacted=compacted)

    channel = document([kind])["channels"]["test.things"]

    expected = ["compact" if compacted else "delete"]
    assert expected == channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
    assert compacted == channel["description"].startswith("Compacted")
