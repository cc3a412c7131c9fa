"""When a connection is replaced because its session ends, and what happens if that fails; simulated connections."""

from collections.abc import Awaitable, Callable, Mapping
from math import inf
from types import SimpleNamespace
from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest
from aiokafka.conn import CloseReason
from aiokafka.errors import KafkaConnectionError

from collector.errors import EpochEnded
from collector.kafka import hooks
from collector.kafka.epoch import Epoch, KnownOffset
from collector.kafka.hooks import RENEWAL_RETRY_S, Sessions
from collector.kafka.settings import KafkaSettings

pytestmark = pytest.mark.anyio

KEY = (1, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Simulated:
    """A connection; those that replace it are in `successors`."""

    def __init__(self, clock: Clock, session_s: float | None = 100, error: Exception | None = None) -> None:
        self.opened_at, self.session_s = clock(), session_s
        self.is_idle = True
        self.closed: list[CloseReason] = []
        self.error = error
        self.attempts = 0
        self.successors: list[Simulated] = []
        self._clock = clock

    @property
    def left_s(self) -> float | None:
        return None if self.session_s is None else self.opened_at + self.session_s - self._clock()

    def connected(self) -> bool:
        return not self.closed

    async def reopened(self) -> "Simulated":
        self.attempts += 1
        await anyio.lowlevel.checkpoint()
        if self.error is not None:
            raise self.error
        self.successors.append(Simulated(self._clock, self.session_s))
        return self.successors[-1]

    def close(self, reason: CloseReason | None = None) -> None:
        self.closed.append(reason or CloseReason.SHUTDOWN)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(hooks, "monotonic", found)
    return found


def sessions(connections: Mapping[object, Simulated]) -> tuple[Sessions, dict[object, Simulated]]:
    client = SimpleNamespace(_conns=dict(connections), _request_timeout_ms=1000)
    owner: Any = SimpleNamespace(_client=client)
    return Sessions(owner), client._conns


@pytest.mark.parametrize(
    ("session_s", "needed_s", "due_s"),
    [
        (100, 0, 80),
        (100, 30, 70),
        (100, 90, 50),
        (3600, 20, 2880),
        (10, 20, 5),
        (2, 0, 1.6),
        (2, 20, 1),
        (1, 20, 0.5),
    ],
)
async def test_a_connection_is_replaced_when_too_little_of_its_session_is_left(
    clock: Clock, session_s: float, needed_s: float, due_s: float
) -> None:
    old = Simulated(clock, session_s)
    renewed, connections = sessions({KEY: old})

    clock.now += due_s - 0.1
    assert await renewed.renew(needed_s) is None
    assert connections == {KEY: old}

    clock.now += 0.2
    assert await renewed.renew(needed_s) is None
    assert (connections, old.closed) == ({KEY: old.successors[0]}, [CloseReason.SHUTDOWN])


@pytest.mark.parametrize("key", [KEY, ("bootstrap", 0)])
async def test_a_connection_without_an_end_and_one_for_the_start_are_not_replaced(clock: Clock, key: object) -> None:
    old = Simulated(clock, None if key == KEY else 100)
    renewed, connections = sessions({key: old})
    clock.now += 10_000

    assert await renewed.renew() is None
    assert connections == {key: old}


async def test_a_connection_that_still_responds_is_closed_later(clock: Clock) -> None:
    old = Simulated(clock)
    old.is_idle = False
    renewed, connections = sessions({KEY: old})
    clock.now += 90

    await renewed.renew()
    assert (connections[KEY], old.closed) == (old.successors[0], [])

    await renewed.renew()
    assert not old.closed

    old.is_idle = True
    await renewed.renew()
    assert old.closed


async def test_a_client_that_is_closed_closes_the_former_connections(clock: Clock) -> None:
    old = Simulated(clock)
    old.is_idle = False
    renewed, _ = sessions({KEY: old})
    clock.now += 90
    await renewed.renew()

    renewed.close()
    renewed.close()
    assert 1 == len(old.closed)


async def test_a_renewal_that_fails_keeps_the_connection_and_is_repeated_after_a_while(clock: Clock) -> None:
    error = KafkaConnectionError("no")
    old = Simulated(clock, error=error)
    renewed, connections = sessions({KEY: old})
    clock.now += 90

    for _ in range(5):
        assert await renewed.renew() is error
    assert (connections, old.attempts, old.closed, renewed.has_ended()) == ({KEY: old}, 1, [], False)

    clock.now += 10.1
    assert await renewed.renew() is error
    assert (2, True) == (old.attempts, renewed.has_ended())

    old.error = None
    clock.now += RENEWAL_RETRY_S
    assert await renewed.renew() is None
    assert connections == {KEY: old.successors[0]}
    assert not renewed.has_ended()


async def test_a_broker_that_does_not_respond_delays_no_longer_than_a_request(clock: Clock) -> None:
    old = Simulated(clock)
    renewed, _ = sessions({KEY: old})
    renewed._client._request_timeout_ms = 10
    clock.now += 90
    old.reopened = anyio.sleep_forever  # type: ignore[assignment, method-assign]

    assert isinstance(await renewed.renew(), TimeoutError)
    assert not old.closed


async def test_a_connection_that_the_client_has_replaced_itself_stays(clock: Clock) -> None:
    old, other = Simulated(clock), Simulated(clock)
    renewed, connections = sessions({KEY: old})
    reopen = old.reopened
    clock.now += 90

    async def breaks() -> Simulated:
        connections[KEY] = other
        return await reopen()

    old.reopened = breaks  # type: ignore[method-assign]
    assert await renewed.renew() is None
    assert (connections, old.successors[0].closed) == ({KEY: other}, [CloseReason.SHUTDOWN])


async def test_a_session_that_gets_no_longer_is_not_renewed_at_each_call(clock: Clock) -> None:
    """With a token that nobody renews, each new session is shorter than the last one."""
    old = Simulated(clock, 10)
    renewed, connections = sessions({KEY: old})
    end = clock() + 10
    for _ in range(1000):
        clock.now += 0.01
        await renewed.renew()
        connections[KEY].session_s = end - connections[KEY].opened_at
    assert 1 == old.attempts
    assert connections[KEY].attempts <= 1


async def test_the_time_of_a_renewal_is_not_that_of_a_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    """An authorization server that is slow says nothing about how large a transaction may be."""
    now = 0.0

    async def renew(_needed_s: float) -> None:
        nonlocal now
        now += 9

    async def append(*_: object) -> None:
        nonlocal now
        now += 1

    monkeypatch.setattr("collector.kafka.epoch.monotonic", lambda: now)
    monkeypatch.setattr("collector.kafka.epoch._append", append)
    assert 1 == await holding(renew, 100).commit((), {})


@pytest.mark.parametrize(
    ("session_s", "deadline_s"), [(inf, 20), (100, 20), (10, 5), (1, 0.5)], ids=lambda each: f"{each:g} s"
)
@pytest.mark.parametrize("error", [KafkaConnectionError(), ConnectionError("the end was sent twice")])
async def test_a_transaction_that_outlasts_its_session_was_too_large(
    monkeypatch: pytest.MonkeyPatch, session_s: float, deadline_s: float, error: Exception
) -> None:
    """Its connection is cut. To repeat it as it was would fail again, without end."""
    now, took_s = 0.0, 0.0

    async def renew(_needed_s: float) -> None:
        nonlocal now
        now += 90

    async def append(*_: object) -> None:
        nonlocal now
        now += took_s
        raise error

    monkeypatch.setattr("collector.kafka.epoch.monotonic", lambda: now)
    monkeypatch.setattr("collector.kafka.epoch._append", append)
    for took_s in (deadline_s - 0.1, deadline_s):
        failing = holding(renew, session_s)
        with pytest.raises(EpochEnded):
            await failing.commit((), {})
        assert (took_s == deadline_s, deadline_s) == (failing.is_overdue, failing.deadline_s)


def holding(renew: Callable[[float], Awaitable[None]], session_s: float) -> Epoch:
    """An epoch whose producer has sessions of this length."""
    sessions = SimpleNamespace(renew=renew, shortest_s=lambda: session_s, has_ended=lambda: False)
    telemetry = cast("Any", SimpleNamespace(committed=lambda _: None, aborted=lambda _: None))
    return Epoch(0, {}, cast("Any", SimpleNamespace(sessions=sessions)), KafkaSettings(), telemetry, KnownOffset())


async def test_the_shortest_session_counts(clock: Clock) -> None:
    connections: dict[object, Simulated] = {
        KEY: Simulated(clock, 100),
        (2, 0): Simulated(clock, 10),
        (3, 0): Simulated(clock, None),
    }
    assert 10 == sessions(connections)[0].shortest_s()
    assert inf == sessions({KEY: Simulated(clock, None)})[0].shortest_s()
