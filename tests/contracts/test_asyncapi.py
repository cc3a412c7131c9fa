"""The AsyncAPI document is one by AsyncAPI's own schema, and says what the code does."""

import json
from typing import Any

import pytest
from jsonschema import Draft7Validator
from msgspec import Struct

from collector.commands.asyncapi import asyncapi, document
from collector.commands.schema import event_types
from collector.model import EventType
from tests.contracts import specs
from tests.needs import need


class Inner(Struct):
    depth_mm: int


class Whole(Struct):
    """A thing as it is now."""

    inner: Inner | None


class Other(Struct):
    """Another thing in the same topic."""

    inner: Inner


LATEST = EventType("test.whole.v1", "test.things", Whole, compacted=True)
OTHER = EventType("test.other.v1", "test.things", Other, compacted=True)


@pytest.fixture(scope="module")
def published() -> Any:  # noqa: ANN401 - JSON
    """AsyncAPI's schema of documents of version 3.0."""
    try:
        return specs.schema()
    except specs.Missing as reason:
        need("NPM", str(reason))
        raise


@pytest.fixture(scope="module")
def told() -> Any:  # noqa: ANN401 - JSON
    return json.loads(asyncapi())


def found(document: Any, reference: str) -> Any:  # noqa: ANN401 - JSON
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document


def references(part: object) -> set[str]:
    """All that a part of a document refers to."""
    if isinstance(part, list):
        return set().union(*map(references, part))
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if "$ref" in part else set()
    return own.union(*map(references, part.values()))


def test_the_document_is_one_by_the_published_schema(published: Any, told: Any) -> None:  # noqa: ANN401 - JSON
    Draft7Validator(published).validate(told)


def test_so_is_one_of_a_compacted_topic_with_two_types(published: Any) -> None:  # noqa: ANN401 - JSON
    Draft7Validator(published).validate(document([LATEST, OTHER]))


def test_the_published_schema_refuses_what_is_no_document(published: Any, told: Any) -> None:  # noqa: ANN401 - JSON
    assert not Draft7Validator(published).is_valid(told | {"channels": {"seemetrix.sessions": {"topic": "sessions"}}})


def test_every_topic_is_a_channel_that_is_sent_to(told: Any) -> None:  # noqa: ANN401 - JSON
    topics = {kind.topic for kind in event_types().values()}
    assert topics == {channel["address"] for channel in told["channels"].values()}
    assert {("send", f"#/channels/{topic}") for topic in topics} == {
        (operation["action"], operation["channel"]["$ref"]) for operation in told["operations"].values()
    }


def test_every_type_is_a_message_of_its_topic(told: Any) -> None:  # noqa: ANN401 - JSON
    for name, kind in event_types().items():
        message = found(told, told["channels"][kind.topic]["messages"][name]["$ref"])
        payload, headers = found(told, message["payload"]["$ref"]), message["headers"]["properties"]
        assert name == message["name"] == payload["title"] == headers["ce_type"]["const"]
        assert payload["properties"].keys() == set(kind.data.__struct_fields__)
        assert message["bindings"]["kafka"]["key"]["type"] == "string"


def test_all_that_is_referred_to_is_there(told: Any) -> None:  # noqa: ANN401 - JSON
    for whole in (told, document([LATEST, OTHER])):
        assert all(found(whole, reference) for reference in references(whole))


def test_an_object_in_one_type_is_not_that_of_another() -> None:
    schemas = document([LATEST, OTHER])["components"]["schemas"]

    assert {"test.whole.v1", "test.whole.v1.Inner", "test.other.v1", "test.other.v1.Inner"} == schemas.keys()


@pytest.mark.parametrize("compacted", [True, False])
def test_a_channel_says_whether_its_topic_is_compacted(compacted: bool) -> None:
    kind = EventType("test.whole.v1", "test.things", Whole, compacted=compacted)

    channel = document([kind])["channels"]["test.things"]

    expected = ["compact" if compacted else "delete"]
    assert expected == channel["bindings"]["kafka"]["topicConfiguration"]["cleanup.policy"]
    assert compacted == channel["description"].startswith("Compacted")
