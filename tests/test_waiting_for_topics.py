"""A stream waits for the topics that it publishes to, and for no others."""

from collections.abc import Collection
from datetime import timedelta

import pytest
from aiokafka.errors import KafkaConnectionError

from collector import stream_topics
from collector.errors import KafkaMisconfigured
from collector.kafka import causes
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import Verified
from collector.model import Account
from collector.schemas import event_types
from collector.stream_handle import StreamHandle
from collector.telemetry.status import StreamStatus
from tests.handles import handle_of
from tests.simulated import START, SimulatedClock

pytestmark = pytest.mark.anyio

SESSION = event_types()["seemetrix.session.v1"]
TOPIC, LETTERS = "acme.seemetrix.sessions", "acme.collector.dead_letters"
OTHERS = "other.seemetrix.sessions"
BY_HAND = KafkaSettings(create_topics=False)
MISSING = causes.topic_missing(BY_HAND, TOPIC)
NOT_CREATED = causes.topic_not_created(KafkaSettings(), TOPIC, "denied", is_denied=True)
WRONG = causes.cleanup_policy(TOPIC, "compact", must_be="delete")
FIRST_WAIT, SECOND_WAIT = timedelta(seconds=30), timedelta(seconds=60)
"""The longest."""


class Kafka:
    """What the brokers respond when the topics are described, one after the other; then all can be used."""

    def __init__(self, *results: dict[str, KafkaMisconfigured] | Exception) -> None:
        self.results = list(results)
        self.described: list[set[str]] = []

    async def prepare(self, _: object, names: Collection[str], __: object, *, may_create: bool) -> Verified:
        assert not may_create, "a topic that was deleted while the collector runs is not created by it"
        self.described.append(set(names))
        result = self.results.pop(0) if self.results else {}
        if isinstance(result, Exception):
            raise result
        return Verified(unusable=result)


def handle(status: StreamStatus, clock: SimulatedClock) -> StreamHandle:
    account = Account("seemetrix", "1")
    return handle_of(status, account, [SESSION], clock=clock, topic_prefix="acme.", progress_prefix="all.")


@pytest.mark.parametrize("topic", [TOPIC, LETTERS])
@pytest.mark.parametrize("error", [MISSING, NOT_CREATED, WRONG], ids=lambda each: each.code)
async def test_a_stream_is_parked_with_the_cause_until_its_topic_can_be_used(
    monkeypatch: pytest.MonkeyPatch, topic: str, error: KafkaMisconfigured
) -> None:
    kafka, clock, status = Kafka({topic: error}), SimulatedClock(), StreamStatus("seemetrix", "mall", "sessions")
    monkeypatch.setattr(stream_topics, "prepare_event_topics", kafka.prepare)
    stream = handle(status, clock)
    stream.topics.unusable({topic: error})

    await stream._wait_for_topics()

    assert "parked" == status.state
    assert status.last_error is not None
    assert (error.code, error.advice) == (status.last_error.code, status.last_error.advice)
    assert TOPIC in status.last_error.error
    assert [{topic}, {topic}] == kafka.described
    assert (FIRST_WAIT + SECOND_WAIT) / 2 <= clock.now() - START <= FIRST_WAIT + SECOND_WAIT


async def test_a_stream_does_not_wait_for_the_topics_of_others() -> None:
    clock, status = SimulatedClock(), StreamStatus("seemetrix", "mall", "sessions")
    stream = handle(status, clock)
    stream.topics.unusable({OTHERS: causes.topic_missing(BY_HAND, OTHERS)})

    await stream._wait_for_topics()

    assert (START, None) == (clock.now(), status.last_error)


@pytest.mark.parametrize(
    "responses",
    [
        [{TOPIC: MISSING}],
        [KafkaConnectionError()],
        [causes.password_unreadable(OSError())],
    ],
    ids=["the topic is still missing", "no broker responds", "no password"],
)
async def test_why_a_topic_cannot_be_created_is_said_until_it_exists(
    monkeypatch: pytest.MonkeyPatch, responses: list[dict[str, KafkaMisconfigured] | Exception]
) -> None:
    kafka, status = Kafka(*responses), StreamStatus("seemetrix", "mall", "sessions")
    monkeypatch.setattr(stream_topics, "prepare_event_topics", kafka.prepare)
    stream = handle(status, SimulatedClock())
    stream.topics.unusable({TOPIC: NOT_CREATED})

    await stream._wait_for_topics()

    assert status.last_error is not None
    assert "topic_not_created" == status.last_error.code
    assert 2 == len(kafka.described)


async def test_a_stream_continues_at_once_when_the_daemon_has_created_its_topics() -> None:
    clock, status = SimulatedClock(), StreamStatus("seemetrix", "mall", "sessions")
    stream = handle(status, clock)
    stream.topics.unusable({TOPIC: NOT_CREATED, LETTERS: causes.topic_missing(BY_HAND, LETTERS)})
    assert {LETTERS} == stream.topics.missing
    until = clock.until

    async def create_all(instant: object) -> None:
        await until(instant)  # type: ignore[arg-type]
        stream.topics.usable({TOPIC} if clock.now() < START + timedelta(seconds=3) else {TOPIC, LETTERS})

    clock.until = create_all  # type: ignore[method-assign]

    await stream._wait_for_topics()

    assert START + timedelta(seconds=3) == clock.now()
    assert not stream.topics.missing


@pytest.mark.parametrize("creates", [True, False])
def test_the_advice_names_the_topic_and_what_creates_it(creates: bool) -> None:
    error = causes.topic_missing(KafkaSettings(create_topics=creates), TOPIC)
    assert (error.topic, error.is_missing) == (TOPIC, True)
    assert TOPIC in error.advice
    assert creates == ("restart the collector" in error.advice)
    assert creates == ("kafka.create_topics = true" not in error.advice)
