"""Events that a consumer lacks although it has read `final` after their start are found."""

import pytest

from tests.faults.closing import Closed, published_after_final
from tests.kafka.daemon import Received

NOON, LATER = "2026-11-01T12:00:00.000Z", "2026-11-01T12:00:01.000Z"
ENDS = {("sessions", 0): 7}


def message(offset: int, partition: int = 0, source: str = "mall") -> Received:
    headers = {"ce_id": f"{partition}/{offset}"}
    value = {"source": source, "started_at": NOON}
    return Received("sessions", partition, b"1", headers, value, published_ms=0, received_ms=0, offset=offset)


@pytest.mark.parametrize(
    ("published", "final", "expected"),
    [
        (message(6), LATER, 0),
        (message(7), LATER, 1),
        (message(7), NOON, 0),
        (message(7, source="airport"), LATER, 0),
        (message(0, partition=1), LATER, 1),
    ],
)
def test_events_behind_the_ends_are_counted(published: Received, final: str, expected: int) -> None:
    assert expected == published_after_final([published], [Closed("mall", final, ENDS), Closed("mall", final, ENDS)])
