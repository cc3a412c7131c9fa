"""The verdict of the demo: compares the events that were published with the simulated records."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, field

from collector.instants import format_ms, to_ms
from collector.kafka.reader import ConsumedMessage
from collector.model import Checkpoint
from collector.simulator.base import SimulatedVendor


class ReceivedEvents(Struct):
    """The events that were read from Kafka."""

    ids: Counter[str] = field(default_factory=Counter)
    records: dict[str, Counter[str]] = field(default_factory=dict)
    """By source: `<started_at> <record_id>` of the events that represent whole records."""

    def add(self, message: ConsumedMessage) -> None:
        source, data = message.headers["ce_source"].rpartition("/")[2], msgspec.json.decode(message.value)
        self.ids[message.headers["ce_id"]] += 1
        if "record_id" in data and "position" not in data:
            self.records.setdefault(source, Counter())[f"{data['started_at']} {data['record_id']}"] += 1


class Verdict(Struct, frozen=True):
    """Totals. `published` counts all events, whether final or not; the others count records up to `final`.

    An event that was published twice also counts as duplicated.
    """

    simulated: int
    published: int
    missing: int
    duplicated: int

    @property
    def is_good(self) -> bool:
        return self.simulated > 0 and self.missing == self.duplicated == 0


def judge(
    vendors: Iterable[SimulatedVendor],
    since: datetime,
    checkpoints: Mapping[str, Checkpoint | None],
    received: ReceivedEvents,
) -> Verdict:
    """Compare the records of each source that start in `[since, final)`: no more of them are expected.

    Sources without a checkpoint do not count.
    """
    expected, published = Counter[str](), Counter[str]()
    for vendor in vendors:
        checkpoint = checkpoints.get(vendor.source)
        if checkpoint is None:
            continue
        since_ms, final_ms = to_ms(since), to_ms(checkpoint.final)
        first, end = format_ms(since_ms), format_ms(final_ms)
        expected.update(_within(vendor.expected_records(since_ms, final_ms), first, end))
        published.update(_within(received.records.get(vendor.source, Counter()), first, end))
    repeated_ids = sum(count - 1 for count in received.ids.values())
    missing, duplicated = (expected - published).total(), (published - expected).total()
    return Verdict(expected.total(), received.ids.total(), missing, max(repeated_ids, duplicated))


def _within(records: Counter[str], first: str, end: str) -> dict[str, int]:
    return {record: count for record, count in records.items() if first <= record < end}
