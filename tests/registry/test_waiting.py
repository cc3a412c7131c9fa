"""A stream fetches nothing before the registry has the schemas of all that it may publish."""

from collections.abc import Mapping

import pytest

from collector.cloudevents import SCHEMA_ID
from collector.errors import Park, RetryLater
from collector.model import Account, EventType
from collector.pipeline.message import progress_message
from collector.schemas import event_types
from collector.stream_handle import StreamHandle
from collector.telemetry.status import StreamStatus
from tests.handles import handle_of
from tests.simulated import START, SimulatedClock

pytestmark = pytest.mark.anyio

SESSION = event_types()["seemetrix.session.v1"]
AWAY = RetryLater("the registry is away", code="registry_unavailable")
MISSING = Park("the registry does not have it", code="schema_unknown", advice="register it")
BUG = LookupError("no such thing")


class Ids:
    """Fails with these errors, one after the other, then has an id for each type."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)

    async def of_types(self, types: Mapping[str, EventType]) -> dict[str, bytes]:
        if self.failures:
            raise self.failures.pop(0)
        return {event_type.name: topic.encode() for topic, event_type in types.items()}


def waiting(status: StreamStatus, clock: SimulatedClock, ids: Ids | None) -> StreamHandle:
    account = Account("seemetrix", "1")
    return handle_of(
        status, account, [SESSION], clock=clock, registry=ids, topic_prefix="acme.", progress_prefix="all."
    )


@pytest.mark.parametrize(
    ("failures", "state", "longest_s"),
    [
        ([AWAY], "backing_off", 1.0),
        ([AWAY, AWAY], "backing_off", 1.0 + 2.0),
        ([MISSING, MISSING], "parked", 30.0 + 60.0),
        ([AWAY, MISSING], "parked", 1.0 + 60.0),
        ([BUG], "parked", 30.0),
    ],
)
async def test_a_stream_says_what_it_waits_for_and_continues_by_itself(
    failures: list[Exception], state: str, longest_s: float
) -> None:
    status, clock = StreamStatus("seemetrix", "mall", "sessions"), SimulatedClock()

    await waiting(status, clock, Ids(*failures))._wait_for_schemas()

    assert status.state == state
    assert status.last_error is not None
    assert getattr(failures[-1], "code", "unexpected") == status.last_error.code
    assert str(failures[-1]) in status.last_error.error
    assert status.last_error.retry_at == clock.now()
    assert longest_s / 2 <= (clock.now() - START).total_seconds() <= longest_s


async def test_messages_name_their_schemas_also_dead_letters_and_progress() -> None:
    handle = waiting(StreamStatus("seemetrix", "mall", "sessions"), SimulatedClock(), Ids())

    await handle._wait_for_schemas()

    assert {
        SESSION.name: b"acme.seemetrix.sessions",
        "collector.dead_letter.v1": b"acme.collector.dead_letters",
        "collector.progress.v1": b"all.collector.progress",
    } == handle._origin.schema_ids
    message = progress_message(START, START, "live", handle._origin, START)
    assert (SCHEMA_ID, b"all.collector.progress") == message.headers[-1]


@pytest.mark.parametrize("ids", [None, Ids()])
async def test_the_size_of_a_message_is_an_upper_bound(ids: Ids | None) -> None:
    handle = waiting(StreamStatus("seemetrix", "mall", "sessions"), SimulatedClock(), ids)
    await handle._wait_for_schemas()

    message = progress_message(START, START, "live", handle._origin, START)

    assert (ids is not None) == (SCHEMA_ID in dict(message.headers))
    lengths = 2 * (1 + len(message.headers))  # one byte or more each
    headers = sum(len(name) + len(value) for name, value in message.headers)
    assert len(message.key) + len(message.value) + headers + lengths <= message.size
