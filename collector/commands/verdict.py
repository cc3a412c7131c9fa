"""What the demo's reader saw, held against the truth."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, field

from collector.instants import format_ms, to_ms
from collector.kafka.reader import ConsumedMessage
from collector.model import Checkpoint
from collector.simulator.vidicenter import VidiCenter
from collector.simulator.world import Visit, World

SEEMETRIX, QUIVIDI = "mall", "airport"
"""The demo's sources."""


class Reader(Struct):
    """What came out of Kafka."""

    ids: Counter[str] = field(default_factory=Counter)
    records: dict[str, Counter[str]] = field(default_factory=dict)
    """By source: start and record id of the events that stand for whole records."""
    quiet: int = 0
    """How many looks in a row found nothing."""

    def note(self, message: ConsumedMessage) -> None:
        source, data = message.headers["ce_source"].rpartition("/")[2], msgspec.json.decode(message.value)
        self.ids[message.headers["ce_id"]] += 1
        if "record_id" in data:
            self.records.setdefault(source, Counter())[f"{data['start']} {data['record_id']}"] += 1


class Verdict(Struct, frozen=True):
    """The totals: records and what is wrong with them over what is final, events over all."""

    simulated: int
    published: int
    missing: int
    duplicated: int

    @property
    def is_good(self) -> bool:
        return self.simulated > 0 and self.missing == self.duplicated == 0


def judge(
    world: World, vidicenter: VidiCenter, since: datetime, checkpoints: Mapping[str, Checkpoint | None], reader: Reader
) -> Verdict:
    """Over what began in `[since, final)` of each source: nothing of it can come any more."""
    expected, found = Counter[str](), Counter[str]()
    for source, checkpoint in checkpoints.items():
        if checkpoint is None:
            continue
        first_ms, final_ms = to_ms(since), to_ms(checkpoint.final)
        happened = [visit for device in world.devices for visit in world.between(device, first_ms, final_ms)]
        truth = _sessions(happened) if source == SEEMETRIX else _viewers(happened, vidicenter)
        first, final = format_ms(first_ms), format_ms(final_ms)
        for told, into in ((truth, expected), (reader.records.get(source, Counter()), found)):
            into.update({each: count for each, count in told.items() if first <= each < final})
    twice = sum(count - 1 for count in reader.ids.values())
    missing, duplicated = (expected - found).total(), (found - expected).total()
    return Verdict(expected.total(), reader.ids.total(), missing, max(twice, duplicated))


def _sessions(happened: Iterable[Visit]) -> Counter[str]:
    found = Counter[str]()
    for visit in happened:
        begin = format_ms(visit.begin_ms)
        found[f"{begin} {visit.device}/{visit.number}/{begin}"] += 1
    return found


def _viewers(happened: Iterable[Visit], vidicenter: VidiCenter) -> Counter[str]:
    alike, found = Counter[str](), Counter[str]()
    for visit in happened:
        start = format_ms(visit.begin_ms // 1000 * 1000)
        times = f"{visit.dwell_ms // 100 * 100}-{visit.attention_ms // 100 * 100}"
        for row in vidicenter.viewers(visit):
            name = f"{start} {visit.device}/{row['period_start']}/{row['gender']}-{row['age']}-{times}"
            found[f"{name}/{alike[name]}"] += 1
            alike[name] += 1
    return found
