"""A real registry accepts every schema under FORWARD, and every addition to it, but nothing else."""

import copy
from typing import Any

import pytest

from collector.commands.register import register_one
from collector.errors import RetryLater
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.model import EventType
from collector.registry.client import schema_registry
from collector.registry.compatibility import Compatibility
from collector.registry.failures import SchemaRejected
from collector.registry.ids import header_value, schema_ids
from collector.registry.subjects import found_or_registered, registry_schema, subject_of
from collector.schemas import event_types
from collector.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio

TYPES = event_types()
each_type = pytest.mark.parametrize("event_type", TYPES.values(), ids=TYPES)


def with_optional_field(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema after the addition that docs/events.md allows: a field that may be null or missing."""
    added = copy.deepcopy(schema)
    added["properties"]["added"] = {"description": "Added later.", "type": ["string", "null"]}
    return added


def without_field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    removed = copy.deepcopy(schema)
    del removed["properties"][name]
    removed["required"].remove(name)
    return removed


def test_a_topic_has_messages_of_one_type() -> None:
    """A subject is named by its topic, and its versions are those of one schema."""
    assert len(TYPES) == len({event_type.topic for event_type in TYPES.values()})


@each_type
async def test_a_schema_registers_once(registry_url: str, prefix: str, event_type: EventType) -> None:
    subject, schema = f"{prefix}{event_type.topic}-value", registry_schema(event_type)

    async with schema_registry(registry_url) as registry:
        first = await register_one(registry, subject, schema, Compatibility.FORWARD)
        second = await register_one(registry, subject, schema, Compatibility.FORWARD)
        latest = await registry.latest(subject)
        compatibility = await registry.compatibility(subject)

    assert ("registered", "unchanged") == (first.state, second.state)
    assert first.text == second.text
    assert latest is not None
    assert 1 == latest.version
    assert f"id {latest.id};" in first.text
    assert "FORWARD" == compatibility


@each_type
async def test_an_added_optional_field_is_accepted(registry_url: str, prefix: str, event_type: EventType) -> None:
    subject, schema = f"{prefix}{event_type.topic}-value", registry_schema(event_type)

    async with schema_registry(registry_url) as registry:
        await register_one(registry, subject, schema, Compatibility.FORWARD)
        outcome = await register_one(registry, subject, with_optional_field(schema), Compatibility.FORWARD)

    assert "registered" == outcome.state
    assert outcome.text.startswith("version 2, ")


@each_type
async def test_a_removed_field_is_refused(registry_url: str, prefix: str, event_type: EventType) -> None:
    subject, schema = f"{prefix}{event_type.topic}-value", registry_schema(event_type)

    async with schema_registry(registry_url) as registry:
        await register_one(registry, subject, schema, Compatibility.FORWARD)
        outcome = await register_one(registry, subject, without_field(schema, "source"), Compatibility.FORWARD)
        latest = await registry.latest(subject)

    assert "refused" == outcome.state
    assert "removes source;" in outcome.text
    assert latest is not None
    assert 1 == latest.version


async def test_a_former_version_is_unchanged_after_a_later_one(registry_url: str, prefix: str) -> None:
    """While replicas of two releases run, either may register its schemas."""
    subject, schema = f"{prefix}session-value", registry_schema(TYPES["seemetrix.session.v1"])

    async with schema_registry(registry_url) as registry:
        await register_one(registry, subject, schema, Compatibility.FORWARD)
        await register_one(registry, subject, with_optional_field(schema), Compatibility.FORWARD)
        outcome = await register_one(registry, subject, schema, Compatibility.FORWARD)
        latest = await registry.latest(subject)

    assert "unchanged" == outcome.state
    assert outcome.text.startswith("version 1, ")
    assert latest is not None
    assert 2 == latest.version


async def test_a_process_registers_its_version_and_a_later_one_the_next(registry_url: str, prefix: str) -> None:
    """A release that adds a field finds the earlier version, and another id."""
    session = TYPES["seemetrix.session.v1"]
    subject, schema = subject_of(f"{prefix}session"), registry_schema(session)

    async with schema_ids(SchemaRegistrySettings(url=registry_url), Metrics()) as ids:
        assert ids is not None
        found = await ids.of_types({f"{prefix}session": session})
    async with schema_registry(registry_url) as registry:
        first = await registry.find(subject, schema)
        second = await found_or_registered(registry, subject, with_optional_field(schema))
        again = await found_or_registered(registry, subject, schema)
        with pytest.raises(SchemaRejected, match="removes added and source"):
            await found_or_registered(registry, subject, without_field(schema, "source"))

        assert "FORWARD" == await registry.compatibility(subject)
    assert first is not None
    assert {session.name: header_value(first)} == found
    assert (1, 2) == (first.version, second.version)
    assert first == again
    assert first.id != second.id


async def test_apicurio_compares_no_schema_of_2020_12(registry_url: str, prefix: str) -> None:
    """The reason to register in draft-07. When this fails, `registry_schema` may use 2020-12."""
    subject, schema = f"{prefix}session-value", registry_schema(TYPES["seemetrix.session.v1"])
    later = {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}

    async with schema_registry(registry_url) as registry:
        await register_one(registry, subject, later, Compatibility.FORWARD)
        with pytest.raises(RetryLater) as caught:
            await register_one(registry, subject, with_optional_field(later), Compatibility.FORWARD)

    assert "http_500" == caught.value.code
