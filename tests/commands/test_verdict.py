"""The verdict of the demo compares what was published with what the simulated vendors know."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from collector.commands.verdict import ReceivedEvents, Verdict, judge
from collector.kafka.reader import ConsumedMessage
from collector.model import Checkpoint
from collector.simulator.base import Simulation
from collector.simulator.seemetrix import SOURCE as MALL
from collector.simulator.seemetrix import USER
from collector.simulator.vendors import VENDORS
from collector.simulator.vidicenter import SOURCE as AIRPORT
from collector.simulator.vidicenter import USERNAME
from collector.simulator.world import FAST, Visit, World, as_datetime

SINCE = datetime(2026, 11, 6, 12, tzinfo=UTC)
SINCE_MS = int(SINCE.timestamp() * 1000)
FINAL = SINCE + timedelta(minutes=30)
WORLD = World(devices=(3001, 3002), rate=120, pace=FAST)
SIMULATED = [vendor(Simulation(WORLD, lambda: 0)) for vendor in VENDORS]


def checkpoint(final: datetime) -> Checkpoint:
    return Checkpoint(SINCE, final + timedelta(seconds=20), final, timedelta(hours=1), final)


CHECKPOINTS: dict[str, Checkpoint | None] = {MALL: checkpoint(FINAL), AIRPORT: checkpoint(FINAL)}


def visits_between(first: datetime = SINCE, last: datetime = FINAL) -> list[Visit]:
    first_ms, last_ms = (int(instant.timestamp() * 1000) for instant in (first, last))
    return [
        visit
        for device in WORLD.devices
        for visit in WORLD.between(device, first_ms, last_ms)
        if first_ms <= visit.start_ms < last_ms
    ]


def timestamp(unix_ms: int) -> str:
    return as_datetime(unix_ms).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def message(source: str, kind: str, identity: str, **data: object) -> ConsumedMessage:
    headers = {"ce_id": identity, "ce_source": f"/vendor/{source}", "ce_type": kind}
    return ConsumedMessage("topic", "3001", headers, msgspec.json.encode(data))


def sessions(visits: list[Visit]) -> list[ConsumedMessage]:
    """A session and an emotion per visit."""
    found = []
    for visit in visits:
        start, name = timestamp(visit.start_ms), f"{visit.device}/{visit.number}"
        record = f"seemetrix/{USER}/session/{name}/{start}"
        found += [
            message(
                MALL,
                "seemetrix.session.v1",
                f"s{name}",
                started_at=start,
                record_id=record,
            ),
            message(MALL, "seemetrix.emotion.v1", f"e{name}", started_at=start, position=0),
        ]
    return found


def viewers(visits: list[Visit]) -> list[ConsumedMessage]:
    """A viewer per visit, two for a twin, with VidiCenter's codes and in the local time of Paris in winter."""
    genders, ages = {0: 2, 1: 1, None: 0}, {0: 1, 1: 2, 2: 3, 3: 4, None: 0}
    occurrences, found = Counter[str](), []
    for visit in visits:
        second_ms = visit.start_ms // 1000 * 1000
        local = (as_datetime(second_ms) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S")
        times = f"{visit.dwell_ms // 100 * 100}-{visit.attention_ms // 100 * 100}"
        name = f"{visit.device}/{local}/{genders[visit.gender]}-{ages[visit.age]}-{times}"
        for _ in range(2 if visit.has_twin else 1):
            record = f"quividi/{USERNAME}/viewer/{name}/{occurrences[name]}"
            start = timestamp(second_ms)
            found.append(message(AIRPORT, "quividi.viewer.v1", f"v{record}", started_at=start, record_id=record))
            occurrences[name] += 1
    return found


def all_messages() -> list[ConsumedMessage]:
    return sessions(visits_between()) + viewers(visits_between())


def verdict(messages: list[ConsumedMessage], checkpoints: dict[str, Checkpoint | None] | None = None) -> Verdict:
    received = ReceivedEvents()
    for each in messages:
        received.add(each)
    return judge(SIMULATED, SINCE, CHECKPOINTS if checkpoints is None else checkpoints, received)


def test_the_verdict_is_good_when_every_record_is_published_once() -> None:
    messages = all_messages()
    twins = sum(visit.has_twin for visit in visits_between())
    assert twins > 0
    expected = Verdict(simulated=2 * len(visits_between()) + twins, published=len(messages), missing=0, duplicated=0)
    assert expected == verdict(messages)
    assert verdict(messages).is_good


@pytest.mark.parametrize("source", [MALL, AIRPORT])
def test_records_that_are_not_published_are_missing(source: str) -> None:
    messages = all_messages()
    lost = [each for each in messages if source in each.headers["ce_source"] and b"position" not in each.value][7:10]
    found = verdict([each for each in messages if each not in lost])
    assert (3, 0, False) == (found.missing, found.duplicated, found.is_good)


def test_one_of_two_equal_records_that_is_not_published_is_missing() -> None:
    twin = next(visit for visit in visits_between() if visit.has_twin)
    messages = all_messages()
    messages.remove(viewers([twin])[1])
    assert (1, 0) == (verdict(messages).missing, verdict(messages).duplicated)


@pytest.mark.parametrize("number", [0, 1, -1], ids=["a session", "an emotion", "a viewer"])
def test_an_event_that_is_published_again_is_duplicated(number: int) -> None:
    messages = all_messages()
    found = verdict([*messages, messages[number], messages[number]])
    assert (0, 2, False) == (found.missing, found.duplicated, found.is_good)


def test_a_record_that_is_published_again_with_another_id_is_duplicated() -> None:
    messages = all_messages()
    again = msgspec.structs.replace(messages[0], headers={**messages[0].headers, "ce_id": "another"})
    assert (0, 1) == (verdict([*messages, again]).missing, verdict([*messages, again]).duplicated)


def test_a_record_that_was_not_simulated_is_duplicated() -> None:
    invented = message(MALL, "seemetrix.session.v1", "x", started_at=timestamp(SINCE_MS), record_id="3001/0/invented")
    assert (0, 1) == (verdict([*all_messages(), invented]).missing, verdict([*all_messages(), invented]).duplicated)


def test_records_outside_since_and_final_do_not_count() -> None:
    late = timedelta(minutes=5)
    outside = [visit for visit in visits_between(SINCE - late, FINAL + late) if visit not in visits_between()]
    assert len(outside) > 10
    found = verdict(all_messages() + sessions(outside[::2]) + viewers(outside[1::2]))
    assert verdict(all_messages()).simulated == found.simulated
    assert (0, 0) == (found.missing, found.duplicated)


def test_each_source_counts_up_to_its_own_final() -> None:
    first = visits_between(last=SINCE + timedelta(minutes=10))
    messages = sessions(first) + viewers(visits_between())
    checkpoints: dict[str, Checkpoint | None] = {
        MALL: checkpoint(SINCE + timedelta(minutes=10)),
        AIRPORT: checkpoint(FINAL),
    }
    assert verdict(messages, checkpoints).is_good
    assert len(visits_between()) - len(first) == verdict(messages).missing


def test_a_source_without_a_checkpoint_does_not_count() -> None:
    assert verdict(sessions(visits_between()), {MALL: checkpoint(FINAL), AIRPORT: None}).is_good
    assert not verdict(sessions(visits_between())).is_good
