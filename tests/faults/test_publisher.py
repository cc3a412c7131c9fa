"""The publisher's own tests: whatever Kafka answers, a batch is there once, with its state, and the work goes on."""

from collections.abc import Iterator

import anyio
import pytest
from msgspec import Struct

from collector.errors import KafkaMisconfigured
from collector.kafka.producer import Fenced
from tests.faults.brokers import ProxiedBroker
from tests.faults.faults import Direction, ErrorResponse, Fault
from tests.faults.kafka_protocol import Api
from tests.faults.proxy import Proxy
from tests.faults.publisher import Publisher, Topics

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("unreported")]

AT_ONCE = 8
"""Cases side by side: more would need longer deadlines."""

GOES_ON, ENDS, FENCES, REFUSES = "goes on", "ends the epoch", "fences it", "is refused"
OUTCOMES: dict[Api, dict[str, list[int]]] = {
    Api.PRODUCE: {
        GOES_ON: [3, 19, 20],
        ENDS: [45, 48, 49, 51, 59, 67, 90, 120],
        FENCES: [47],
        REFUSES: [10, 18, 29, 53],
    },
    Api.ADD_PARTITIONS_TO_TXN: {
        GOES_ON: [3, 14, 15, 16, 51],
        ENDS: [10, 19, 45, 48, 49, 59, 67, 90, 120],
        FENCES: [47],
        REFUSES: [53],
    },
    Api.END_TXN: {  # to send it again is to end the epoch: whether the first has vanished is not known
        GOES_ON: [],
        ENDS: [10, 14, 15, 16, 19, 45, 48, 49, 51, 59, 67, 90, 120],
        FENCES: [47],
        REFUSES: [53],
    },
    Api.FIND_COORDINATOR: {GOES_ON: [15], ENDS: [14, 16, 67], FENCES: [], REFUSES: [53]},
    Api.INIT_PRODUCER_ID: {GOES_ON: [14, 15, 16, 51], ENDS: [48, 49, 59, 67, 90], FENCES: [47], REFUSES: [53]},
}
"""What an error code does, by the request that it answers."""


class Case(Struct, frozen=True):
    """An error code, once, in the middle of three batches."""

    api: Api
    code: int
    direction: Direction
    outcome: str


def cases(api: Api) -> Iterator[Case]:
    for outcome, codes in OUTCOMES[api].items():
        for code in codes:
            for direction in Direction:
                yield Case(api, code, direction, outcome)


@pytest.mark.parametrize("api", OUTCOMES, ids=lambda api: api.name)
async def test_whatever_is_answered_nothing_is_lost_or_doubled(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, api: Api
) -> None:
    """Of a request that the broker never saw, or instead of the answer to one that it did."""
    given = list(cases(api))
    topics = Topics(proxy, proxied_broker, prefix, len(given), timeout_s=9)
    await topics.ensure()
    publishers = [Publisher(topics, partition) for partition in range(len(given))]
    slots = anyio.CapacityLimiter(AT_ONCE)

    async def publish(case: Case, publisher: Publisher) -> None:
        async with slots:
            await _with_fault(proxy, case, publisher)

    async with anyio.create_task_group() as tasks:
        for case, publisher in zip(given, publishers, strict=True):
            tasks.start_soon(publish, case, publisher)
    truth = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(truth)


async def _with_fault(proxy: Proxy, case: Case, publisher: Publisher) -> None:
    faults: list[Fault] = []

    def now(done: int) -> None:
        if done == 1 and not faults:
            faults.append(proxy.add(case.api, ErrorResponse(case.code, case.direction), times=1, for_id=publisher.id))

    if case.api in (Api.FIND_COORDINATOR, Api.INIT_PRODUCER_ID):  # when an epoch begins
        now(1)
    publisher.before_commit = now
    await publisher.publish()
    assert [1] == [fault.applied for fault in faults], case
    kinds = {GOES_ON: [], ENDS: [Exception], FENCES: [Fenced], REFUSES: [KafkaMisconfigured]}[case.outcome]
    assert kinds == [_kind(error) for error in publisher.errors], (case, publisher.errors)


def _kind(error: Exception) -> type[Exception]:
    return next(kind for kind in (Fenced, KafkaMisconfigured, Exception) if isinstance(error, kind))
