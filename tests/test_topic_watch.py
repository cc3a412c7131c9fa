"""The daemon releases the streams that wait for a topic, once it can be used."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from aiokafka.errors import KafkaConnectionError

from collector import event_topics
from collector.errors import KafkaMisconfigured
from collector.event_topics import EventTopics
from collector.kafka import causes
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import Verified
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus

pytestmark = pytest.mark.anyio

SETTINGS = KafkaSettings()
AT_START, DELETED = "acme.seemetrix.sessions", "north.seemetrix.sessions"
REMOVED = "south.seemetrix.sessions"
"""Of a source that a reload has removed since: its topic is not created."""
MISSING = causes.topic_missing(SETTINGS, DELETED)
DENIED = causes.topic_not_created(SETTINGS, AT_START, "denied", is_denied=True)


class Handle:
    """Waits for the topics in `missing`, and for that of the start."""

    def __init__(self) -> None:
        self.missing = {DELETED}
        self.unusable_topics: dict[str, KafkaMisconfigured] = {}
        self.usable_topics: list[set[str]] = []
        self.topics = self

    def unusable(self, errors: dict[str, KafkaMisconfigured]) -> None:
        self.unusable_topics |= errors

    def usable(self, names: set[str]) -> None:
        self.usable_topics.append(set(names))
        self.missing -= names


async def test_only_what_was_missing_at_the_start_is_created_and_each_topic_is_released_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    responses: dict[str, list[Any]] = {
        AT_START: [{AT_START: DENIED}, KafkaConnectionError(), {}],
        DELETED: [{DELETED: MISSING}, {}],
    }
    created: dict[str, set[bool]] = {}
    done = anyio.Event()

    async def prepare(_: object, names: Collection[str], __: object, *, may_create: bool) -> Verified:
        (name,) = names
        created.setdefault(name, set()).add(may_create)
        response = responses[name].pop(0)
        if not any(responses.values()):
            done.set()
        if isinstance(response, Exception):
            raise response
        return Verified(unusable=response)

    async def prepare_all(*_: object, needed: set[str]) -> Verified:
        assert {"collector.progress"} == needed
        return Verified(unusable={AT_START: DENIED, REMOVED: DENIED})

    monkeypatch.setattr(event_topics, "prepare_topics", prepare_all)
    monkeypatch.setattr(event_topics, "prepare_event_topics", prepare)
    monkeypatch.setattr(event_topics, "EVENT_TOPICS_RETRY_S", 0.0)
    settings: Any = SimpleNamespace(
        kafka=SETTINGS, topics=lambda: dict.fromkeys((AT_START, DELETED)), compacted_topics=set
    )
    handle: Any = Handle()
    telemetry = KafkaTelemetry(Metrics(), ProcessStatus("0", "group"))
    topics = EventTopics(lambda: settings, lambda: [handle], telemetry, lambda: None)
    await topics.prepare()
    assert {AT_START: DENIED, REMOVED: DENIED} == handle.unusable_topics
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(topics.watch)
        await done.wait()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    assert [set(), {DELETED}, {AT_START}] == handle.usable_topics[:3]
    assert {AT_START: {True}, DELETED: {False}} == created


async def test_what_an_earlier_reload_prepares_does_not_replace_what_a_later_one_has_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The brokers respond slowly to the first request, and at once to the second one."""
    names, requested, released = [AT_START], anyio.Event(), anyio.Event()

    async def prepare_all(_: object, present: Collection[str], *__: object, needed: set[str]) -> Verified:
        assert needed
        if DELETED not in present:
            requested.set()
            await released.wait()
        return Verified(unusable=dict.fromkeys(present, DENIED))

    monkeypatch.setattr(event_topics, "prepare_topics", prepare_all)
    settings: Any = SimpleNamespace(kafka=SETTINGS, topics=lambda: dict.fromkeys(names), compacted_topics=set)
    handle: Any = Handle()
    telemetry = KafkaTelemetry(Metrics(), ProcessStatus("0", "group"))
    topics = EventTopics(lambda: settings, lambda: [handle], telemetry, lambda: None)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(topics.prepare)
        await requested.wait()
        names.append(DELETED)
        tasks.start_soon(topics.prepare)
        await anyio.wait_all_tasks_blocked()
        released.set()

    handle.unusable_topics.clear()
    topics.delay_streams()
    assert {AT_START, DELETED} == handle.unusable_topics.keys()
