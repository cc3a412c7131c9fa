"""Events per minute: the counts of the last hour, also if the clock steps back. And the steps of the whole status."""

from datetime import timedelta

from collector.telemetry.status import MINUTES, EventsPerMinute, ProcessStatus, SourceStatus, StreamStatus
from tests.simulated import START

MINUTE = timedelta(minutes=1)


def test_events_are_counted_per_minute() -> None:
    minutes = EventsPerMinute()
    minutes.add([2, 3], START)
    minutes.add([1], START + timedelta(seconds=59))
    minutes.add([7], START + MINUTE)

    assert [*[0] * 58, 6, 7] == minutes.last_hour(START + MINUTE)
    assert [*[0] * 55, 6, 7, 0, 0, 0] == minutes.last_hour(START + 4 * MINUTE)


def test_counts_are_kept_for_an_hour() -> None:
    minutes = EventsPerMinute()
    for nth in range(300):
        minutes.add([nth], START + nth * MINUTE)

    assert list(range(240, 300)) == minutes.last_hour(START + 299 * MINUTE)
    assert MINUTES == len(minutes.counts)
    assert [0] * 60 == minutes.last_hour(START + 400 * MINUTE)


def test_no_events_are_lost_when_the_clock_steps_back() -> None:
    minutes = EventsPerMinute()
    minutes.add([1], START)
    minutes.add([2], START - 5 * MINUTE)

    assert 3 == minutes.last_hour(START)[-1]
    assert [0] * 60 == minutes.last_hour(START - 5 * MINUTE)


def test_minutes_without_events_are_not_stored() -> None:
    minutes = EventsPerMinute()
    minutes.add([], START)
    minutes.add([0], START)
    assert 0 == len(minutes.counts)


def test_the_status_is_computed_in_one_step_for_each_source_and_stream() -> None:
    names = [f"mall{number}" for number in range(300)]
    status = ProcessStatus(
        "1.0",
        "group",
        sources=[SourceStatus("seemetrix", name) for name in names],
        streams=[StreamStatus("seemetrix", name, "sessions") for name in names],
    )
    assert 600 == sum(1 for _ in status.in_steps(START))
    assert names == [each["stream"] and each["source"] for each in status.as_json(START)["streams"]]  # type: ignore[attr-defined]
