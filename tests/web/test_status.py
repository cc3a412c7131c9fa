"""/api/status: the status of Kafka, of sources and of streams as JSON."""

from datetime import UTC, datetime

import pytest

from collector.errors import Park
from collector.model import Checkpoint, Tally, Window
from collector.timeline import ActivityTimeline
from tests.simulated import START
from tests.web.served import CHECKPOINT, HOUR, WINDOW, Served

pytestmark = pytest.mark.anyio


async def test_every_documented_key_exists_before_anything_is_known(served: Served) -> None:
    assert await served.status() == {
        "version": "1.2.3",
        "host": "collector-0",
        "group": "counting",
        "now": "2026-11-01T00:00:00Z",
        "started": "2026-10-31T23:00:00Z",
        "ready": False,
        "reason": "connecting to Kafka",
        "kafka": {
            "state": "connecting",
            "bootstrap_servers": "kafka.example:9092",
            "since": "2026-10-31T23:00:00Z",
            "joined": False,
            "last_commit": None,
        },
        "config": None,
        "notices": [],
        "owned_partitions": [],
        "owners": {},
        "owners_problem": "not requested yet",
        "sources": [
            {
                "vendor": "seemetrix",
                "source": "mall",
                "host": "seemetrix.example",
                "proxy": None,
                "notices": [],
                "exports": None,
                "places": None,
            }
        ],
        "streams": [
            {
                "vendor": "seemetrix",
                "source": "mall",
                "stream": "sessions",
                "state": "not_owned",
                "owner": None,
                "restoring": None,
                "paused": None,
                "since": None,
                "watermark": None,
                "final": None,
                "lag_s": None,
                "freshness_s": None,
                "freshness_target_s": 1980,
                "last_window": None,
                "last_success": None,
                "last_error": None,
                "backfill": None,
                "notices": [],
                "missing": None,
                "counts": {"records": {}, "events": {}, "dead_letters": {}, "ledger_entries": 0},
                "events_per_minute": [0] * 60,
                "strip": None,
            }
        ],
    }


async def test_the_status_of_a_live_stream(served: Served) -> None:
    served.kafka.topics_ready()
    served.kafka.assigned([3])
    served.kafka.epoch_began(3, 0.5, 10)
    served.stream.owned(CHECKPOINT, 7)
    served.stream.committed(
        Tally({"fresh": 2, "rejected": 1}, {"seemetrix.session.v1": 2}, {"malformed": 1}), CHECKPOINT, 9, START
    )
    served.stream.polled(WINDOW, 3, 0.2, CHECKPOINT, behind=False, now=START)

    status = await served.status()

    assert (status["ready"], status["reason"], status["owned_partitions"]) == (True, None, [3])
    (stream,) = status["streams"]
    assert stream == {
        "vendor": "seemetrix",
        "source": "mall",
        "stream": "sessions",
        "state": "live",
        "owner": "collector-0",
        "restoring": None,
        "paused": None,
        "since": "2026-10-31T00:00:00Z",
        "watermark": "2026-10-31T23:58:00Z",
        "final": "2026-10-31T04:00:00Z",
        "lag_s": 120,
        "freshness_s": 120,
        "freshness_target_s": 1980,
        "last_window": {"start": "2026-10-31T23:00:00Z", "end": "2026-10-31T23:58:00Z"},
        "last_success": "2026-11-01T00:00:00Z",
        "last_error": None,
        "backfill": None,
        "notices": [],
        "missing": None,
        "counts": {
            "records": {"fresh": 2, "rejected": 1},
            "events": {"seemetrix.session.v1": 2},
            "dead_letters": {"malformed": 1},
            "ledger_entries": 9,
        },
        "events_per_minute": [0] * 59 + [2],
        "strip": None,
    }


async def test_the_state_of_kafka_and_since_when_it_applies(served: Served) -> None:
    async def kafka() -> tuple[str, str, bool]:
        status = (await served.status())["kafka"]
        return status["state"], status["since"], status["joined"]

    served.kafka.topics_refused("the topic is missing", "create it")
    assert ("refused", "2026-10-31T23:00:00Z", False) == await kafka()
    served.kafka.topics_ready()
    assert ("joining", "2026-10-31T23:00:00Z", False) == await kafka()
    served.kafka.assigned([3])
    assert ("ready", "2026-11-01T00:00:00Z", True) == await kafka()
    served.clock.pass_s(60)
    served.kafka.coordinator_unavailable()
    assert ("no_coordinator", "2026-11-01T00:01:00Z", True) == await kafka()
    served.kafka.coordinator_available()
    served.clock.pass_s(60)
    served.kafka.unavailable("no brokers", "start them")
    served.clock.pass_s(60)
    served.kafka.unavailable("no brokers", "start them")
    assert ("away", "2026-11-01T00:02:00Z", True) == await kafka()

    served.kafka.committed(0.1)
    assert "2026-11-01T00:03:00Z" == (await served.status())["kafka"]["last_commit"]


async def test_the_owner_of_a_stream_of_another_replica(served: Served) -> None:
    served.kafka.owners_known({3: "collector-1", 4: "collector-0"})

    status = await served.status()

    assert ({"3": "collector-1", "4": "collector-0"}, None) == (status["owners"], status["owners_problem"])
    assert "collector-1" == status["streams"][0]["owner"]
    served.kafka.owners_unknown("no response in time")
    status = await served.status()
    assert ({}, "no response in time") == (status["owners"], status["owners_problem"])
    assert None is status["streams"][0]["owner"]


async def test_exports_in_flight_and_their_limit(served: Served) -> None:
    served.vendor.set_export_limit(3)
    served.vendor.export_started()
    served.vendor.export_started()
    served.vendor.export_ended()

    assert {"in_flight": 1, "at_once": 3} == (await served.status())["sources"][0]["exports"]


async def test_the_timeline_ends_at_the_last_requested_window_and_is_removed_with_the_ownership(
    served: Served,
) -> None:
    calls: list[tuple[datetime | None, datetime]] = []

    def timeline(requested_until: datetime | None, now: datetime) -> ActivityTimeline | None:
        calls.append((requested_until, now))
        return ActivityTimeline(START - HOUR, [(2, 1800)], [None, 3], [(1, "final"), (1, "partly")])

    async def strip() -> object:
        return (await served.status())["streams"][0]["strip"]

    served.stream.owned(CHECKPOINT, 3, timeline)
    assert {
        "start": "2026-10-31T23:00:00Z",
        "lengths_s": [[2, 1800]],
        "counts": [None, 3],
        "kinds": [[1, "final"], [1, "partly"]],
    } == await strip()
    served.stream.polled(WINDOW, 3, 0.2, CHECKPOINT, behind=False, now=START)
    sweep = Window(START - 5 * HOUR, START - 4 * HOUR)
    served.stream.polled(sweep, 3, 0.2, CHECKPOINT, behind=False, now=START)
    await strip()
    assert [(None, START), (WINDOW.end, START)] == calls

    served.stream.released()
    assert None is await strip()


async def test_an_error_is_shown_with_its_advice(served: Served) -> None:
    served.stream.owned(CHECKPOINT, 0)
    error = Park("HTTP 401", advice="correct the key", code="http_401")
    served.stream.parked(WINDOW, error, failures=1, delay_s=90, now=START)

    (stream,) = (await served.status())["streams"]

    assert stream["state"] == "parked"
    assert stream["last_error"] == {
        "code": "http_401",
        "error": "HTTP 401",
        "advice": "correct the key",
        "at": "2026-11-01T00:00:00Z",
        "retry_at": "2026-11-01T00:01:30Z",
    }


async def test_a_stream_of_another_replica_has_no_status(served: Served) -> None:
    served.stream.owned(CHECKPOINT, 7)
    served.stream.parked(WINDOW, Park("HTTP 401", advice="correct the key"), failures=1, delay_s=90, now=START)
    served.stream.released()

    (stream,) = (await served.status())["streams"]

    assert stream["state"] == "not_owned"
    keys = ("since", "watermark", "final", "lag_s", "last_error")
    assert dict.fromkeys(keys) == {key: stream[key] for key in keys}
    assert stream["counts"]["ledger_entries"] == 0


async def test_the_lag_is_never_negative(served: Served) -> None:
    ahead = datetime(2026, 11, 1, 0, 0, 5, tzinfo=UTC)
    served.stream.owned(Checkpoint(ahead, ahead, ahead, HOUR, ahead), 0)

    assert (await served.status())["streams"][0]["lag_s"] == 0
