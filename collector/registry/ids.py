"""The ids of the schemas of the published types in a schema registry, which the headers of the messages contain."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio

from collector.errors import CollectorError, NeedsOperator, Park, RetryLater
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.model import EventType
from collector.registry.client import Credentials, RegisteredSchema, SchemaRegistry, schema_registry
from collector.registry.failures import SchemaRejected
from collector.registry.subjects import found_or_registered, registry_schema, subject_of
from collector.telemetry.metrics import Metrics
from collector.telemetry.registry import RegistryTelemetry

_ID, _GUID = b"\x00", b"\x01"
"""The first byte of the header's value: what follows is an id of four bytes, or a GUID of sixteen."""


class SchemaIds:
    """The ids that this process has requested. The registry never changes the id of a schema, so they are kept."""

    def __init__(
        self, registry: SchemaRegistry, settings: SchemaRegistrySettings, telemetry: RegistryTelemetry
    ) -> None:
        self._registry = registry
        self._settings = settings
        self._telemetry = telemetry
        self._known: dict[str, bytes] = {}
        """By topic."""
        self._running: dict[str, _Request] = {}
        """By topic: streams that need the same type wait for one request."""

    async def of_types(self, types: Mapping[str, EventType]) -> dict[str, bytes]:
        """The values of the headers that name the schemas of these types, by the name of the type.

        Without `header`, the schemas are in the registry, but the result is empty. `types` are by topic.
        Raises RetryLater when the registry is away, and Park when it refuses a schema or a request, or does not have a
        schema that this process may not register.
        """
        found = {event_type.name: await self._of(topic, event_type) for topic, event_type in types.items()}
        return found if self._settings.header else {}

    async def _of(self, topic: str, event_type: EventType) -> bytes:
        while topic not in self._known:
            if (running := self._running.get(topic)) is None:
                await self._request(topic, event_type)
                continue
            await running.has_ended.wait()
            if running.failure is not None:
                raise running.failure
        return self._known[topic]

    async def _request(self, topic: str, event_type: EventType) -> None:
        running, subject = _Request(), subject_of(topic)
        self._running[topic] = running
        try:
            found = await self._found(subject, event_type)
            self._known[topic] = header_value(found)
        except CollectorError as error:
            running.failure = _failure(error, subject)
            raise running.failure from None
        finally:
            del self._running[topic]
            running.has_ended.set()
        self._telemetry.schema_found(subject, found.id, found.version)

    async def _found(self, subject: str, event_type: EventType) -> RegisteredSchema:
        schema = registry_schema(event_type)
        if self._settings.register:
            return await found_or_registered(self._registry, subject, schema)
        if (found := await self._registry.find(subject, schema)) is not None:
            return found
        raise Park(
            f"the schema registry does not have the schema of {event_type.name} in the subject {subject}",
            code="schema_unknown",
            advice="register it with collector schema --register, or set kafka.schema_registry.register = true",
        )


class _Request:
    """A request that streams wait for."""

    def __init__(self) -> None:
        self.has_ended = anyio.Event()
        self.failure: RetryLater | Park | None = None
        """Why there is no id, once the request has ended; None also if it was cancelled."""


def header_value(found: RegisteredSchema) -> bytes:
    """The header's value, as `SchemaId` of Confluent's deserializers reads it.

    Their own serializers write GUIDs, which are equal in all registries. Registries without GUIDs have ids only.
    """
    return _ID + found.id.to_bytes(4, "big") if found.guid is None else _GUID + found.guid.bytes


def _failure(error: CollectorError, subject: str) -> RetryLater | Park:
    """The error for the streams that need the subject. Its code tells the registry's errors from the vendor's."""
    match error:
        case Park():
            return error
        case RetryLater():
            return RetryLater(str(error), code="registry_unavailable", advice=error.advice)
        case NeedsOperator():
            return Park(str(error), code="registry_refused", advice=error.advice)
        case SchemaRejected():
            reason = f"the schema registry refuses the schema of the subject {subject}: {error}"
            advice = (
                "see whether another program has registered versions of the subject, and which compatibility it has"
            )
            return Park(reason, code="schema_refused", advice=advice)
        case _:  # UserError
            reason = f"the password of the schema registry is not available: {error}"
            return Park(reason, code="registry_refused", advice="provide kafka.schema_registry.password")


@asynccontextmanager
async def schema_ids(settings: SchemaRegistrySettings | None, metrics: Metrics) -> AsyncIterator[SchemaIds | None]:
    """The ids of the configured registry; None if there is none."""
    if settings is None:
        yield None
        return
    telemetry = RegistryTelemetry(metrics)
    async with schema_registry(settings.url, credentials(settings), telemetry.requested) as registry:
        yield SchemaIds(registry, settings, telemetry)


def credentials(settings: SchemaRegistrySettings) -> Credentials | None:
    """The user of the configuration; None if the registry requires none."""
    if settings.username is None or settings.password is None:
        return None
    return Credentials(settings.username, settings.password)
