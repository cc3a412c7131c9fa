"""The subjects of the event types in a schema registry, and their schemas."""

from collections.abc import Mapping
from typing import Any

from collector.model import EventType
from collector.registry.client import RegisteredSchema, SchemaRegistry
from collector.registry.compatibility import Compatibility
from collector.registry.differences import differences
from collector.registry.failures import INCOMPATIBLE, SchemaRejected
from collector.schemas import json_schema
from collector.vendors.plain_session import json_of


def subject_of(topic: str) -> str:
    """The subject of a topic, as Confluent's TopicNameStrategy names it. A topic has the messages of one type."""
    return f"{topic}-value"


def subjects(topics: Mapping[str, EventType]) -> dict[str, EventType]:
    """The types by their subject. `topics` are by their whole names."""
    return {subject_of(topic): event_type for topic, event_type in topics.items()}


def registry_schema(event_type: EventType) -> dict[str, Any]:
    """The schema of a type, as it is registered: in draft-07, which every registry knows.

    Apicurio 2.6.13 accepts a first version in 2020-12, but responds with HTTP 500 ("could not determine version") to
    the second one: it cannot compare versions later than draft-07. Karapace knows no later draft either.
    """
    return json_schema(event_type, draft_07=True)


async def found_or_registered(registry: SchemaRegistry, subject: str, schema: dict[str, Any]) -> RegisteredSchema:
    """The version of the subject that is this schema, which is registered if there is none.

    A new subject becomes FORWARD first; that of an existing one is left as it is: an operator may have chosen it.
    Raises SchemaRejected with the reason, RetryLater or NeedsOperator.
    """
    if found := await registry.find(subject, schema):
        return found
    if await registry.latest(subject) is None:
        await registry.set_compatibility(subject, Compatibility.FORWARD)
    try:
        return await registry.register(subject, schema)
    except SchemaRejected as error:
        compatibility = await registry.compatibility(subject)
        reason = await why_refused(registry, subject, schema, compatibility, error)
        raise SchemaRejected(reason, code=error.code) from None


async def why_refused(
    registry: SchemaRegistry,
    subject: str,
    schema: dict[str, Any],
    compatibility: str | None,
    rejected: SchemaRejected,
) -> str:
    """Why a schema is refused: how it differs from the latest version, and the registry's own reason."""
    own = f"the registry reports: {rejected}"
    if rejected.code != INCOMPATIBLE:
        return own
    latest = await registry.latest(subject)
    found = differences(json_of(latest.schema), schema) if latest else ""
    compared = f"compared with version {latest.version}, it {found}; " if latest and found else ""
    return f"not {f'{compatibility} ' if compatibility else ''}compatible: {compared}{own}"
