"""A paused stream fetches nothing until it is resumed, and then continues as if nothing had happened."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import anyio
import pytest

from collector.backfill import States
from collector.cloudevents import Message
from collector.epoch_streams import EpochStreams
from collector.errors import EpochEnded, KafkaMisconfigured, leaves
from collector.kafka.header import BARRIER
from collector.kafka.settings import KafkaSettings
from collector.model import DedupMode, Pause, Policy, shard_name
from collector.pipeline.message import PROGRESS, Origin
from collector.pipeline.pauses import UNREADABLE, encode_pause, pause_key
from collector.pipeline.state import by_stream, stream_prefix
from collector.pipeline.state_records import reserved
from collector.saving import SAVE_INTERVAL
from collector.stream_handle import StreamHandle
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import StreamStatus
from collector.telemetry.stream import StreamTelemetry
from tests.simulated import START, SimulatedClock
from tests.worker.harness import ListSink, ListStream, SimulationOver, VendorRow

pytestmark = pytest.mark.anyio

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
START_S = int(START.timestamp())
ROWS = [VendorRow(START_S + 60 * n, START_S + 60 * n + 5, f"visit {n}", "", START_S + 60 * n + 10) for n in range(600)]
"""A visit in each minute of ten hours."""
POLICY = Policy(interval=MINUTE, settle=MINUTE / 6, allowed_lateness=HOUR, sweep_every=HOUR, span=6 * HOUR)
SOURCE_KEY = pause_key(stream_prefix(ListStream.account, "list"))
STREAM_KEY = pause_key(stream_prefix(ListStream.account, "list", "things"))


class Clock(SimulatedClock):
    """Ends the simulation at an instant. Before each jump, `at` may change the world."""

    def __init__(self) -> None:
        super().__init__()
        self.stop_at = START
        self.at: dict[datetime, Callable[[], object]] = {}

    async def until(self, instant: datetime) -> None:
        await anyio.lowlevel.checkpoint()
        for due in sorted(each for each in self.at if each <= instant):
            self._now = max(self._now, due)
            self.at.pop(due)()
        if instant > self.stop_at:
            self._now = max(self._now, self.stop_at)
            raise SimulationOver
        await super().until(instant)


class SimulatedEpoch:
    """Commits to a sink until it is fenced, or a topic fails."""

    partition = 3
    failure: Exception | None = None
    is_overdue = False
    deadline_s = 20.0

    def __init__(self, sink: ListSink, refused: str | None = None) -> None:
        """Nothing can be written to the topic `refused`."""
        self._sink = sink
        self.pairs = dict(sink.pairs)
        self.is_fenced = False
        self._refused = refused
        self.verified = 0

    async def commit(self, messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> float:
        await anyio.lowlevel.checkpoint()
        if self.is_fenced:
            raise EpochEnded
        if self._refused in [each.topic for each in messages]:
            self.is_fenced = True
            raise KafkaMisconfigured("denied", advice="allow it", code="topic_denied", topic=self._refused)
        await self._sink.commit(messages, state)
        return 0.0

    async def verify(self) -> None:
        self.verified += 1
        await self.commit((), {BARRIER: b""})


class Scenario:
    """One source whose streams run in epochs, as a partition runs them. A second stream has other rows."""

    def __init__(self, *names: str, policy: Policy = POLICY) -> None:
        self.clock = Clock()
        self.sink = ListSink(Random(1))
        self.statuses = {name: StreamStatus("test", "list", name) for name in names or ("things",)}
        self.streams = {name: self._stream(name, policy) for name in self.statuses}
        settings = SimpleNamespace(
            kafka=KafkaSettings(),
            sources={"list": SimpleNamespace(since=START, secrets={})},
            origin=Origin,
        )
        telemetry = {name: StreamTelemetry(Metrics(), status, []) for name, status in self.statuses.items()}
        self.handles = [
            StreamHandle(
                stream, cast("Any", settings), telemetry[name], self.clock, Random(1), lambda: None, registry=None
            )
            for name, stream in self.streams.items()
        ]
        self.refused: str | None = None
        """The topic to which the next epochs cannot write."""
        self.epoch = SimulatedEpoch(self.sink)

    def _stream(self, name: str, policy: Policy) -> ListStream:
        mode = DedupMode.VERSIONED
        stream = ListStream(ROWS, self.clock, policy, mode, select="start", inclusive=True, random=Random(1))
        stream.name = name
        return stream

    def pause(self, key: bytes = STREAM_KEY, after: timedelta | None = None, *, value: bytes | None = None) -> Pause:
        """Write the record, as the command does. It counts from the next epoch on."""
        pause = Pause(
            "the vendor moves", self.clock.now(), None if after is None else self.clock.now() + after, "ann@desk"
        )
        self.sink.pairs[key] = encode_pause(pause) if value is None else value
        return pause

    async def run(self, time: timedelta) -> int:
        """Run an epoch from the durable state, for this time or until it ends. Returns the number of new requests."""
        before = self.requests
        self.clock.stop_at = self.clock.now() + time
        self.epoch = SimulatedEpoch(self.sink, self.refused)
        pairs, self.epoch.pairs = by_stream(self.epoch.pairs), reserved(self.epoch.pairs)
        wholes = {each.whole_prefix: each.shards(self.handles) for each in self.handles}
        for handle in self.handles:
            wholes[handle.whole_prefix].pairs[handle.prefix] = pairs.get(handle.prefix, {})
        with suppress(SimulationOver, EpochEnded):
            try:
                async with anyio.create_task_group() as running:
                    for handle in self.handles:
                        running.start_soon(handle.run, cast("Any", self.epoch), wholes[handle.whole_prefix])
            except BaseExceptionGroup as error:
                raise next(leaves(error)) from None
        return self.requests - before

    @property
    def requests(self) -> int:
        return sum(len(stream.requests) for stream in self.streams.values())

    @property
    def states(self) -> list[str]:
        return [status.state for status in self.statuses.values()]

    @property
    def reports(self) -> list[str]:
        return [value["state"] for _, value in self.sink.progress]


async def with_state(*names: str, policy: Policy = POLICY) -> Scenario:
    """A scenario that has run for half an hour."""
    scenario = Scenario(*names, policy=policy)
    assert await scenario.run(HOUR / 2) >= 20
    assert scenario.reports[-1] == "live"
    return scenario


@pytest.mark.parametrize("key", [STREAM_KEY, SOURCE_KEY])
async def test_a_paused_stream_fetches_nothing_and_continues_where_it_was(key: bytes) -> None:
    scenario = await with_state()
    pause = scenario.pause(key)

    assert await scenario.run(2 * HOUR) == 0
    assert (["paused"], pause) == (scenario.states, scenario.statuses["things"].paused)
    del scenario.sink.pairs[key]
    assert await scenario.run(HOUR) >= 20

    assert (["live"], None) == (scenario.states, scenario.statuses["things"].paused)
    names = [data.name for data in scenario.sink.published()]
    assert [f"visit {n}" for n in range(len(names))] == names, "each once, in order"
    assert len(names) >= 205


async def test_a_pause_ends_by_itself_and_its_record_is_deleted() -> None:
    scenario = await with_state()
    scenario.pause(SOURCE_KEY, after=HOUR / 2)
    scenario.pause(STREAM_KEY, after=HOUR)
    ends = scenario.clock.now() + HOUR
    before = scenario.requests

    assert await scenario.run(2 * HOUR) >= 20
    assert all(when >= ends for _, when in scenario.streams["things"].requests[before:])
    assert not {SOURCE_KEY, STREAM_KEY} & scenario.sink.pairs.keys()
    assert not {SOURCE_KEY, STREAM_KEY} & scenario.epoch.pairs.keys()


async def test_a_pause_that_ended_while_no_collector_ran_has_no_effect() -> None:
    scenario = await with_state()
    scenario.pause(after=MINUTE)
    scenario.clock.pass_s(3600)
    assert await scenario.run(HOUR) >= 20
    assert STREAM_KEY not in scenario.sink.pairs


async def test_a_record_that_cannot_be_read_pauses_the_stream() -> None:
    scenario = await with_state()
    scenario.pause(value=b"damaged")
    assert await scenario.run(30 * HOUR) == 0
    assert scenario.statuses["things"].paused == UNREADABLE


async def test_a_paused_stream_notices_that_it_was_resumed_although_nothing_else_commits() -> None:
    scenario = await with_state()
    scenario.pause()
    fence = scenario.clock.now() + HOUR
    scenario.clock.at[fence] = lambda: setattr(scenario.epoch, "is_fenced", True)

    await scenario.run(24 * HOUR)

    assert scenario.clock.now() <= fence + SAVE_INTERVAL
    assert 30 <= scenario.epoch.verified <= 31


async def test_the_neighbours_of_a_paused_stream_run() -> None:
    scenario = await with_state("things", "others")
    scenario.pause()
    before = len(scenario.streams["others"].requests)
    new = await scenario.run(HOUR)
    assert new == len(scenario.streams["others"].requests) - before > 20
    assert ["paused", "live"] == scenario.states


async def test_a_pause_of_the_source_includes_a_stream_that_is_added_later() -> None:
    scenario = await with_state()
    added = Scenario("things", "others")
    added.sink, added.epoch = scenario.sink, scenario.epoch
    scenario.pause(SOURCE_KEY)
    assert await added.run(HOUR) == 0
    assert ["paused", "paused"] == added.states


async def test_a_stream_that_a_reload_adds_to_a_paused_source_is_paused() -> None:
    scenario = Scenario("things", "others")
    scenario.pause(SOURCE_KEY)
    scenario.clock.stop_at = scenario.clock.now() + 2 * HOUR
    scenario.epoch = SimulatedEpoch(scenario.sink)

    async def read() -> States:
        await anyio.lowlevel.checkpoint()
        return by_stream(scenario.sink.pairs)

    streams = EpochStreams(cast("Any", scenario.epoch), scenario.handles[:1], read)

    async def run() -> None:
        async with anyio.create_task_group() as tasks:
            reload = scenario.clock.now() + HOUR
            scenario.clock.at[reload] = lambda: tasks.start_soon(streams.replace, scenario.handles)
            await streams.run({})

    with pytest.raises(BaseExceptionGroup) as ended:
        await run()
    assert isinstance(next(leaves(ended.value)), SimulationOver)
    assert (["paused", "paused"], 0) == (scenario.states, scenario.requests)


async def test_a_stream_that_is_paused_before_its_first_start_has_no_state_until_it_is_resumed() -> None:
    scenario = Scenario()
    scenario.pause()
    assert await scenario.run(HOUR) == 0
    assert {STREAM_KEY, BARRIER} == scenario.sink.pairs.keys()
    assert (["paused"], []) == (scenario.states, scenario.reports)
    del scenario.sink.pairs[STREAM_KEY]
    assert await scenario.run(HOUR) > 20


async def test_consumers_learn_once_that_a_paused_stream_is_not_live() -> None:
    scenario = await with_state()
    scenario.pause()
    before = len(scenario.reports)
    await scenario.run(5 * HOUR)
    assert ["catching_up"] == scenario.reports[before:]


async def test_a_complete_stream_stays_complete_for_consumers() -> None:
    ended = Policy(
        interval=MINUTE, settle=MINUTE / 6, allowed_lateness=HOUR / 4, sweep_every=MINUTE, span=HOUR, until=START + HOUR
    )
    scenario = await with_state(policy=ended)
    await scenario.run(4 * HOUR)
    scenario.pause()
    await scenario.run(HOUR)
    assert scenario.reports[-2:] == ["complete", "complete"]


async def test_all_shards_pause_and_none_waits_for_another() -> None:
    names = ("things", shard_name("things", "America/New_York"))
    scenario = await with_state(*names)
    scenario.pause(after=HOUR)
    before = len(scenario.reports)

    assert await scenario.run(HOUR - MINUTE) == 0
    assert ["paused", "paused"] == scenario.states
    assert ["catching_up"] == scenario.reports[before:], "one report of the whole stream"
    assert all(status.last_error is None for status in scenario.statuses.values())
    assert await scenario.run(HOUR) > 20
    assert ["live", "live"] == scenario.states


async def test_a_stream_whose_state_cannot_be_read_stays_parked() -> None:
    scenario = await with_state()
    scenario.pause()
    scenario.sink.pairs[scenario.handles[0].prefix.encode()] = b"damaged"
    assert await scenario.run(HOUR) == 0
    assert (["parked"], None) == (scenario.states, scenario.statuses["things"].paused)


async def test_a_topic_that_cannot_be_written_to_does_not_disturb_the_neighbours_of_a_paused_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It refuses the report to consumers, which ends one epoch, and not every epoch."""
    usable = False

    async def prepare(
        _: object, names: Mapping[str, KafkaMisconfigured], *_arguments: object, **_options: object
    ) -> SimpleNamespace:
        await anyio.lowlevel.checkpoint()
        return SimpleNamespace(unusable={} if usable else dict(names))

    monkeypatch.setattr("collector.stream_topics.prepare_event_topics", prepare)
    scenario = await with_state()
    scenario.pause()
    scenario.refused, before = PROGRESS.topic, len(scenario.reports)
    await scenario.run(HOUR)
    assert scenario.epoch.verified == 0, "the epoch has ended"
    await scenario.run(HOUR)
    assert (["paused"], before) == (scenario.states, len(scenario.reports))
    assert scenario.epoch.verified >= 29
    scenario.refused, usable = None, True
    await scenario.run(HOUR)
    assert scenario.reports[before:] == ["catching_up"]
