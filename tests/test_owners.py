"""The owners in the status: which host a member names, how often they are requested, and what is shown meanwhile."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
import pytest
from aiokafka.errors import GroupAuthorizationFailedError, KafkaConnectionError

from collector.errors import KafkaMisconfigured
from collector.kafka import owners, requests
from collector.kafka.connection import CLIENT_ID
from collector.kafka.owners import MAX_AGE_S, WAIT_S, Owners, host_of, member_client_id, this_host
from collector.kafka.requests import Group, Member
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, StreamStatus
from tests.simulated import START, SimulatedClock

pytestmark = pytest.mark.anyio

STATE = KafkaSettings().state_topic


@pytest.mark.parametrize(
    ("client_id", "host"),
    [
        ("collector@web-1", "web-1"),
        ("collector@web-1.example", "web-1.example"),
        ("collector", "10.0.0.3"),  # a release that does not name its host
        ("another", "10.0.0.3"),
    ],
)
def test_a_member_is_shown_by_its_host_or_else_by_its_address(client_id: str, host: str) -> None:
    assert host == host_of(Member(client_id, "/10.0.0.3", {}))


@pytest.mark.parametrize(
    ("name", "host"),
    [("web-1.example", "web-1.example"), ("büro@1 x", "b-ro-1-x"), ("", "localhost"), ("a" * 300, "a" * 253)],
)
def test_a_client_id_has_only_usual_characters_and_is_short(
    monkeypatch: pytest.MonkeyPatch, name: str, host: str
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: name)
    this_host.cache_clear()
    try:
        assert f"{CLIENT_ID}@{host}" == member_client_id()
    finally:
        this_host.cache_clear()


@pytest.mark.parametrize("assignment", [b"", None, b"\0", b"\0\0\0\0\0\1\0"])
def test_an_assignment_in_another_format_has_no_partitions(assignment: bytes | None) -> None:
    assert {} == requests._assigned(assignment)


class Cluster:
    """Responds as the coordinator of the group."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.response: Group | Exception = group({"a": [0, 2], "b": [1]})
        self.requests = 0
        self.answers = anyio.Event()
        self.answers.set()
        self.clock = SimulatedClock()
        self.status = ProcessStatus("1", "group", [StreamStatus("seemetrix", "mall", "sessions", partition=1)])
        self.owners = Owners(KafkaSettings(), KafkaTelemetry(Metrics(), self.status, self.clock), self.clock)
        monkeypatch.setattr(owners, "admin", self._admin)
        monkeypatch.setattr(requests, "coordinator", self._coordinator)
        monkeypatch.setattr(requests, "describe_group", self._describe)

    @asynccontextmanager
    async def _admin(self, _: object) -> AsyncIterator[None]:
        yield

    async def _coordinator(self, *_: object, is_transactional: bool) -> int:
        assert not is_transactional
        return 1

    async def _describe(self, *_: object) -> Group:
        self.requests += 1
        await self.answers.wait()
        if isinstance(self.response, Exception):
            raise self.response
        return self.response

    def shown(self) -> tuple[object, object, object]:
        """The owners, that of the stream, and why they are not known."""
        status = self.status.as_json(START)
        streams = status["streams"]
        assert isinstance(streams, list)
        return status["owners"], streams[0]["owner"], status["owners_problem"]


def group(hosts: Mapping[str, list[int]], *, is_stable: bool = True) -> Group:
    members = [Member(f"collector@{host}", "/127.0.0.1", {STATE: numbers}) for host, numbers in hosts.items()]
    return Group(is_stable, members, can_join=True)


async def test_viewers_share_the_owners_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cluster.owners.run)
        await anyio.wait_all_tasks_blocked()
        assert 0 == cluster.requests, "nobody requests the status"
        for _ in range(3):
            await cluster.owners.refresh()
        assert 1 == cluster.requests
        assert ({"0": "a", "1": "b", "2": "a"}, "b", None) == cluster.shown()
        cluster.response = group({"a": [0, 1, 2]})
        cluster.clock.pass_s(MAX_AGE_S - 1)
        await cluster.owners.refresh()
        assert "b" == cluster.shown()[1]
        cluster.clock.pass_s(1)
        await cluster.owners.refresh()
        assert (2, "a") == (cluster.requests, cluster.shown()[1])
        tasks.cancel_scope.cancel()


async def test_a_slow_coordinator_delays_the_status_once_by_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cluster.owners.run)
        await cluster.owners.refresh()
        cluster.answers, cluster.response = anyio.Event(), group({"a": [0, 1, 2]})
        cluster.clock.pass_s(MAX_AGE_S)
        started = anyio.current_time()
        await cluster.owners.refresh()
        assert WAIT_S <= anyio.current_time() - started < 2 * WAIT_S
        with anyio.fail_after(WAIT_S / 2):
            await cluster.owners.refresh()
        assert "b" == cluster.shown()[1], "what was known before"
        cluster.answers.set()
        await anyio.wait_all_tasks_blocked()
        assert "a" == cluster.shown()[1]
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("error", "fact"),
    [
        (GroupAuthorizationFailedError(), "may not Describe the group"),
        (KafkaConnectionError(), "KafkaConnectionError"),
        (TimeoutError(), "no response in time"),
        (KafkaMisconfigured("the password is missing", advice="add it"), "the password is missing"),
        (LookupError("a response without the field"), "LookupError"),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_owners_that_are_not_known_are_reported_as_such(
    monkeypatch: pytest.MonkeyPatch, error: Exception, fact: str
) -> None:
    cluster = Cluster(monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cluster.owners.run)
        await cluster.owners.refresh()
        cluster.response = error
        cluster.clock.pass_s(MAX_AGE_S)
        await cluster.owners.refresh()
        tasks.cancel_scope.cancel()

    known, owner, problem = cluster.shown()
    assert ({}, None) == (known, owner)
    assert fact in str(problem)


@pytest.mark.parametrize(
    ("response", "owner"),
    [(group({"a": []}, is_stable=False), "b"), (group({}, is_stable=False), None), (group({"a": [0]}), None)],
    ids=["a rebalance lasts", "no member", "no owner"],
)
async def test_during_a_rebalance_the_former_owners_are_shown(
    monkeypatch: pytest.MonkeyPatch, response: Group, owner: str | None
) -> None:
    cluster = Cluster(monkeypatch)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cluster.owners.run)
        await cluster.owners.refresh()
        cluster.response = response
        cluster.clock.pass_s(MAX_AGE_S)
        await cluster.owners.refresh()
        tasks.cancel_scope.cancel()

    assert (owner, None) == cluster.shown()[1:]


def test_this_replica_owns_what_it_runs_whatever_the_coordinator_reports() -> None:
    stream = StreamStatus("seemetrix", "mall", "sessions", "restoring", partition=1)
    status = ProcessStatus("1", "group", [stream], host="c", owners={0: "a", 1: "b"}, owned_partitions=[0])
    shown = status.as_json(START)
    assert {"0": "c", "1": "b"} == shown["owners"]
    assert "c" == shown["streams"][0]["owner"]  # type: ignore[index]
