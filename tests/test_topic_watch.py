"""The daemon releases the streams that wait for a topic, once it can be used."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiokafka.errors import KafkaConnectionError

from collector import app
from collector.app import Daemon
from collector.config import load
from collector.kafka import causes
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import Verified
from tests.commands.harness import write_config
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

SETTINGS = KafkaSettings()
AT_START, DELETED = "acme.seemetrix.sessions", "north.seemetrix.sessions"
MISSING = causes.topic_missing(SETTINGS, DELETED)
DENIED = causes.topic_not_created(SETTINGS, AT_START, "denied", is_denied=True)


class Handle:
    """Waits for the topics in `missing_topics`, and for that of the start."""

    def __init__(self) -> None:
        self.missing_topics = {DELETED}
        self.usable: list[set[str]] = []

    def topics_usable(self, names: set[str]) -> None:
        self.usable.append(set(names))
        self.missing_topics -= names


async def test_only_what_was_missing_at_the_start_is_created_and_each_topic_is_released_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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

    monkeypatch.setattr(app, "prepare_event_topics", prepare)
    monkeypatch.setattr(app, "EVENT_TOPICS_RETRY_S", 0.0)
    daemon = Daemon(load(Path(write_config(tmp_path, "https://127.0.0.1:1/api"))), SimulatedClock())
    handle: Any = Handle()
    daemon._handles = [handle]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(daemon._watch_event_topics, {AT_START: DENIED})
        await done.wait()
        for _ in range(5):
            await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()

    assert [set(), {DELETED}, {AT_START}] == handle.usable[:3]
    assert {AT_START: {True}, DELETED: {False}} == created
