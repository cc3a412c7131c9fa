"""The schema of each type is in the registry before its first message, and a header of the messages names it."""

from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from collector.errors import Park, RetryLater
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.model import EventType
from collector.registry.ids import SchemaIds, schema_ids
from collector.schemas import event_types
from collector.telemetry.metrics import Metrics
from tests.registry.stub import GUID, Stub, stub_registry

pytestmark = pytest.mark.anyio

TYPES = event_types()
SESSION, PROGRESS = TYPES["seemetrix.session.v1"], TYPES["collector.progress.v1"]
TWO = {"acme.seemetrix.sessions": SESSION, "acme.collector.progress": PROGRESS}
SUBJECT = "acme.seemetrix.sessions-value"


def settings(url: str, **keys: object) -> SchemaRegistrySettings:
    return SchemaRegistrySettings.model_validate({"url": url, **keys})


async def request(stub: Stub, types: dict[str, EventType] | None = None, **keys: object) -> dict[str, bytes]:
    """What a new process receives."""
    async with schema_ids(settings(stub.url, **keys), Metrics()) as ids:
        assert ids is not None
        return await ids.of_types(TWO if types is None else types)


async def test_without_a_registry_there_are_no_ids() -> None:
    async with schema_ids(None, Metrics()) as ids:
        assert ids is None


async def test_a_new_subject_becomes_forward_and_has_the_schema() -> None:
    async with stub_registry() as stub:
        found = await request(stub)

    assert {SESSION.name: b"\0\0\0\0\xc8", PROGRESS.name: b"\0\0\0\0\xc9"} == found
    assert {"acme.seemetrix.sessions-value", "acme.collector.progress-value"} == stub.versions.keys()
    assert {"FORWARD"} == set(stub.compatibility.values())
    assert 2 == len(stub.compatibility)


async def test_a_registry_that_has_guids_is_named_by_them() -> None:
    """Confluent's own serializers write a GUID, and their deserializers read both."""
    async with stub_registry(has_guids=True) as stub:
        registered = await request(stub)
        looked_up = await request(stub)

    assert {b"\1" + GUID.bytes} == set(registered.values())
    assert registered == looked_up


async def test_a_known_schema_is_only_looked_up() -> None:
    async with stub_registry() as stub:
        first = await request(stub)
        stub.requests.clear()
        second = await request(stub)

    assert first == second
    assert {"POST subjects": 2} == stub.requests


async def test_the_compatibility_of_an_existing_subject_stays() -> None:
    async with stub_registry() as stub:
        stub.versions[SUBJECT].append("{}")
        stub.compatibility[SUBJECT] = "NONE"
        await request(stub)

    assert "NONE" == stub.compatibility[SUBJECT]
    assert 2 == len(stub.versions[SUBJECT])


async def test_ids_are_requested_once_in_a_process() -> None:
    async with stub_registry() as stub, schema_ids(settings(stub.url), Metrics()) as ids:
        assert ids is not None
        first = await ids.of_types(TWO)
        stub.is_away = True
        assert first == await ids.of_types(TWO)


async def test_a_schema_that_is_only_looked_up_parks_the_stream_until_it_is_registered() -> None:
    async with stub_registry() as stub:
        with pytest.raises(Park) as caught:
            await request(stub, register=False)
        assert "schema_unknown" == caught.value.code
        assert SUBJECT in str(caught.value)
        assert not any(stub.versions.values())

        registered = await request(stub)
        assert registered == await request(stub, register=False)


async def test_without_the_header_the_schemas_are_registered_but_not_named() -> None:
    async with stub_registry() as stub:
        assert {} == await request(stub, header=False)

    assert 2 == len(stub.versions)


async def test_a_registry_that_is_away_may_come_back() -> None:
    async with stub_registry() as stub, schema_ids(settings(stub.url), Metrics()) as ids:
        assert ids is not None
        stub.is_away = True
        with pytest.raises(RetryLater) as caught:
            await ids.of_types(TWO)
        assert "registry_unavailable" == caught.value.code
        stub.is_away = False

        assert 2 == len(await ids.of_types(TWO))


async def test_a_refused_schema_parks_with_the_difference() -> None:
    async with stub_registry() as stub:
        await request(stub)
        stub.versions[SUBJECT] = ['{"properties": {"wing": {}}}']
        stub.refuses = True
        with pytest.raises(Park) as caught:
            await request(stub)

    assert "schema_refused" == caught.value.code
    assert "removes wing" in str(caught.value)
    assert "FORWARD" in str(caught.value)


async def test_a_registry_that_needs_an_operator_parks(tmp_path: Path) -> None:
    async with stub_registry() as stub:
        with pytest.raises(Park) as caught:
            await request(stub, username="ann", password={"file": str(tmp_path / "none")})

    assert "registry_refused" == caught.value.code
    assert "kafka.schema_registry.password" in caught.value.advice


async def test_streams_that_need_one_type_share_its_request_and_its_failure() -> None:
    failures: list[Exception] = []

    async def ask(ids: SchemaIds) -> None:
        try:
            await ids.of_types(TWO)
        except RetryLater as error:
            failures.append(error)

    async with stub_registry() as stub, schema_ids(settings(stub.url), Metrics()) as ids:
        assert ids is not None
        stub.is_away, stub.delay = True, anyio.Event()
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ask, ids)
            while not stub.requests:
                await checkpoint()
            stub.delay.set()

    assert 5 == len(failures)
    assert {"POST subjects": 1} == stub.requests


async def test_a_stream_continues_when_another_is_cancelled_during_their_request() -> None:
    found: list[dict[str, bytes]] = []
    first = anyio.CancelScope()

    async def ask(ids: SchemaIds, scope: anyio.CancelScope) -> None:
        with scope:
            found.append(await ids.of_types(TWO))

    async with stub_registry() as stub, schema_ids(settings(stub.url), Metrics()) as ids:
        assert ids is not None
        stub.delay = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, ids, first)
            while not stub.requests:
                await checkpoint()
            tasks.start_soon(ask, ids, anyio.CancelScope())
            await checkpoint()
            first.cancel()
            await checkpoint()
            stub.delay.set()

    assert 1 == len(found)
    assert 2 == len(found[0])


async def test_requests_are_counted_by_outcome() -> None:
    metrics = Metrics()

    def count(outcome: str) -> float | None:
        return metrics.registry.get_sample_value("collector_schema_registry_requests_total", {"outcome": outcome})

    async with stub_registry() as stub, schema_ids(settings(stub.url), metrics) as ids:
        assert ids is not None
        stub.is_away = True
        with pytest.raises(RetryLater):
            await ids.of_types(TWO)
        stub.is_away, stub.refuses = False, True
        with pytest.raises(Park):
            await ids.of_types(TWO)

    assert (1, 1) == (count("unavailable"), count("refused"))
    assert (count("ok") or 0) > 0


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081", "http://localhost", "https://registry.example/"])
def test_a_password_may_be_sent_over_https_and_to_this_machine(url: str) -> None:
    found = settings(url, username="ann", password="the password")

    assert (url.rstrip("/"), True, True) == (found.url, found.register, found.header)
