"""Every error code that Kafka may return: each batch is published once, with its state, and publishing continues."""

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

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("standalone_telemetry")]

MAX_CONCURRENT_CASES = 8
"""More would need longer deadlines."""

CONTINUES, ENDS, FENCES, MISCONFIGURED = "continues", "ends the epoch", "fences the epoch", "needs an operator"
OUTCOMES: dict[Api, dict[str, list[int]]] = {
    Api.PRODUCE: {
        CONTINUES: [3, 19, 20],
        ENDS: [45, 48, 49, 51, 59, 67, 90, 120],
        FENCES: [47],
        MISCONFIGURED: [10, 18, 29, 53],
    },
    Api.ADD_PARTITIONS_TO_TXN: {
        CONTINUES: [3, 14, 15, 16, 51],
        ENDS: [10, 19, 45, 48, 49, 59, 67, 90, 120],
        FENCES: [47],
        MISCONFIGURED: [53],
    },
    Api.END_TXN: {  # it is not retried: whether the first request was lost is not known
        CONTINUES: [],
        ENDS: [10, 14, 15, 16, 19, 45, 48, 49, 51, 59, 67, 90, 120],
        FENCES: [47],
        MISCONFIGURED: [53],
    },
    Api.FIND_COORDINATOR: {CONTINUES: [15], ENDS: [14, 16, 67], FENCES: [], MISCONFIGURED: [53]},
    Api.INIT_PRODUCER_ID: {CONTINUES: [14, 15, 16, 51], ENDS: [48, 49, 59, 67, 90], FENCES: [47], MISCONFIGURED: [53]},
}
"""The error codes by request and outcome."""


class Case(Struct, frozen=True):
    """An error code, returned once, in the middle of three batches."""

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
async def test_no_error_code_loses_or_duplicates_messages(
    proxy: Proxy, proxied_broker: ProxiedBroker, prefix: str, api: Api
) -> None:
    """In topics of a request that the broker never receives, or of the response to one that it has processed."""
    cases_of_api = list(cases(api))
    topics = Topics(proxy, proxied_broker, prefix, len(cases_of_api), timeout_s=9)
    await topics.create()
    publishers = [Publisher(topics, partition) for partition in range(len(cases_of_api))]
    slots = anyio.CapacityLimiter(MAX_CONCURRENT_CASES)

    async def publish(case: Case, publisher: Publisher) -> None:
        async with slots:
            await _with_fault(proxy, case, publisher)

    async with anyio.create_task_group() as tasks:
        for case, publisher in zip(cases_of_api, publishers, strict=True):
            tasks.start_soon(publish, case, publisher)
    committed = await topics.committed()
    for publisher in publishers:
        publisher.assert_committed(committed)


async def _with_fault(proxy: Proxy, case: Case, publisher: Publisher) -> None:
    faults: list[Fault] = []

    def inject_once(done: int) -> None:
        if done == 1 and not faults:
            faults.append(proxy.add(case.api, ErrorResponse(case.code, case.direction), times=1, for_id=publisher.id))

    if case.api in (Api.FIND_COORDINATOR, Api.INIT_PRODUCER_ID):  # sent at the start of an epoch
        inject_once(1)
    publisher.before_commit = inject_once
    await publisher.publish()
    assert [1] == [fault.applied for fault in faults], case
    expected = {CONTINUES: [], ENDS: [Exception], FENCES: [Fenced], MISCONFIGURED: [KafkaMisconfigured]}[case.outcome]
    assert expected == [_kind(error) for error in publisher.errors], (case, publisher.errors)


def _kind(error: Exception) -> type[Exception]:
    return next(kind for kind in (Fenced, KafkaMisconfigured, Exception) if isinstance(error, kind))
