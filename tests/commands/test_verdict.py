"""The demo's verdict: what was published, held against what happened."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from collector.commands.verdict import QUIVIDI, SEEMETRIX, Reader, Verdict, judge
from collector.kafka.reader import ConsumedMessage
from collector.model import Checkpoint
from collector.simulator.faults import Faults
from collector.simulator.vidicenter import Rules, VidiCenter
from collector.simulator.world import FAST, Visit, World, as_datetime

SINCE = datetime(2026, 11, 6, 12, tzinfo=UTC)
SINCE_MS = int(SINCE.timestamp() * 1000)
FINAL = SINCE + timedelta(minutes=30)
WORLD = World(devices=(3001, 3002), rate=120, pace=FAST)
VIDICENTER = VidiCenter(WORLD, lambda: 0, Rules(), Faults())


def checkpoint(final: datetime) -> Checkpoint:
    return Checkpoint(SINCE, final + timedelta(seconds=20), final, timedelta(hours=1), final)


HEADS: dict[str, Checkpoint | None] = {SEEMETRIX: checkpoint(FINAL), QUIVIDI: checkpoint(FINAL)}


def happened(first: datetime = SINCE, last: datetime = FINAL) -> list[Visit]:
    first_ms, last_ms = (int(instant.timestamp() * 1000) for instant in (first, last))
    return [
        visit
        for device in WORLD.devices
        for visit in WORLD.between(device, first_ms, last_ms)
        if first_ms <= visit.begin_ms < last_ms
    ]


def written(unix_ms: int) -> str:
    return as_datetime(unix_ms).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def message(source: str, kind: str, identity: str, **data: object) -> ConsumedMessage:
    headers = {"ce_id": identity, "ce_source": f"/vendor/{source}", "ce_type": kind}
    return ConsumedMessage("topic", "3001", headers, msgspec.json.encode(data))


def sessions(visits: list[Visit]) -> list[ConsumedMessage]:
    """A session, and one of its other events, for each."""
    found = []
    for visit in visits:
        begin, name = written(visit.begin_ms), f"{visit.device}/{visit.number}"
        found += [
            message(SEEMETRIX, "seemetrix.session.v1", f"s{name}", start=begin, record_id=f"{name}/{begin}"),
            message(SEEMETRIX, "seemetrix.emotion.v1", f"e{name}", start=begin, index=0),
        ]
    return found


def viewers(visits: list[Visit]) -> list[ConsumedMessage]:
    """As many as there were, in codes of the vendor's and in Paris in winter."""
    genders, ages = {0: 2, 1: 1, None: 0}, {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
    alike, found = Counter[str](), []
    for visit in visits:
        second_ms = visit.begin_ms // 1000 * 1000
        local = (as_datetime(second_ms) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
        times = f"{visit.dwell_ms // 100 * 100}-{visit.attention_ms // 100 * 100}"
        name = f"{visit.device}/{local}/{genders[visit.gender]}-{ages[visit.age]}-{times}"
        for _ in range(2 if visit.has_twin else 1):
            record = f"{name}/{alike[name]}"
            start = written(second_ms)
            found.append(message(QUIVIDI, "quividi.viewer.v1", f"v{record}", start=start, record_id=record))
            alike[name] += 1
    return found


def everything() -> list[ConsumedMessage]:
    return sessions(happened()) + viewers(happened())


def verdict(told: list[ConsumedMessage], checkpoints: dict[str, Checkpoint | None] | None = None) -> Verdict:
    reader = Reader()
    for each in told:
        reader.note(each)
    return judge(WORLD, VIDICENTER, SINCE, HEADS if checkpoints is None else checkpoints, reader)


def test_the_truth_is_good() -> None:
    told = everything()
    twins = sum(visit.has_twin for visit in happened())
    assert twins > 0
    expected = Verdict(simulated=2 * len(happened()) + twins, published=len(told), missing=0, duplicated=0)
    assert expected == verdict(told)
    assert verdict(told).is_good


@pytest.mark.parametrize("source", [SEEMETRIX, QUIVIDI])
def test_a_record_that_did_not_come_is_missing(source: str) -> None:
    told = everything()
    gone = [each for each in told if source in each.headers["ce_source"] and b"record_id" in each.value][7:10]
    found = verdict([each for each in told if each not in gone])
    assert (3, 0, False) == (found.missing, found.duplicated, found.is_good)


def test_one_twin_that_did_not_come_is_missing() -> None:
    twin = next(visit for visit in happened() if visit.has_twin)
    told = everything()
    told.remove(viewers([twin])[1])
    assert (1, 0) == (verdict(told).missing, verdict(told).duplicated)


@pytest.mark.parametrize("number", [0, 1, -1], ids=["a session", "an emotion", "a viewer"])
def test_an_event_that_came_twice_is_duplicated(number: int) -> None:
    told = everything()
    found = verdict([*told, told[number], told[number]])
    assert (0, 2, False) == (found.missing, found.duplicated, found.is_good)


def test_a_record_that_came_again_under_another_id_is_duplicated() -> None:
    told = everything()
    again = msgspec.structs.replace(told[0], headers={**told[0].headers, "ce_id": "another"})
    assert (0, 1) == (verdict([*told, again]).missing, verdict([*told, again]).duplicated)


def test_a_record_that_never_happened_is_one_too_many() -> None:
    invented = message(SEEMETRIX, "seemetrix.session.v1", "x", start=written(SINCE_MS), record_id="3001/0/never")
    assert (0, 1) == (verdict([*everything(), invented]).missing, verdict([*everything(), invented]).duplicated)


def test_what_began_outside_of_what_is_final_is_not_counted() -> None:
    late = timedelta(minutes=5)
    around = [visit for visit in happened(SINCE - late, FINAL + late) if visit not in happened()]
    assert len(around) > 10
    found = verdict(everything() + sessions(around[::2]) + viewers(around[1::2]))
    assert verdict(everything()).simulated == found.simulated
    assert (0, 0) == (found.missing, found.duplicated)


def test_each_source_counts_as_far_as_it_is_final() -> None:
    some = happened(last=SINCE + timedelta(minutes=10))
    told = sessions(some) + viewers(happened())
    ahead: dict[str, Checkpoint | None] = {
        SEEMETRIX: checkpoint(SINCE + timedelta(minutes=10)),
        QUIVIDI: checkpoint(FINAL),
    }
    assert verdict(told, ahead).is_good
    assert len(happened()) - len(some) == verdict(told).missing


def test_a_source_that_never_began_is_not_counted() -> None:
    assert verdict(sessions(happened()), {SEEMETRIX: checkpoint(FINAL), QUIVIDI: None}).is_good
    assert not verdict(sessions(happened())).is_good
