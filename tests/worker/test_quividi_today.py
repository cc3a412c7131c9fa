"""Every type of export of Quividi's account as it is today, over its four zones, while clocks change.

The numbers in the events are those that the simulated VidiCenter has in the end, in UTC and in local time.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.simulator.base import Simulation
from collector.simulator.rules import Rules
from collector.simulator.vidicenter import VidiCenter
from collector.simulator.world import World
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests import quividi_truth as truth
from tests.worker.quividi_account import Account, account

pytestmark = pytest.mark.anyio

ZONES: Mapping[int, str] = {
    300: "Europe/Paris",
    301: "Australia/Lord_Howe",
    302: "America/Santiago",
    303: "Asia/Kathmandu",
}
"""The zone of each site. In the first weekend of April, clocks at two of them are set back: Lord Howe's by half an
hour."""
PLACES = (3001, 3002, 3011, 3021, 3031, 3032)
INACTIVE, LATE, OFFLINE, APPEARING = 3032, 3021, 3002, 3031
SINCE, UNTIL = datetime(2026, 4, 4, 3, 30, tzinfo=UTC), datetime(2026, 4, 5, 21, tzinfo=UTC)
APPEARS = datetime(2026, 4, 4, 19, 17, tzinfo=UTC)
HOUR, DAY, NONE = timedelta(hours=1), timedelta(days=1), timedelta(0)
WORLD = World(devices=PLACES, rate=2.0)
SAMPLE = (3001, 3002)
BY_SELECTION = ("extrapolated_ots", "extrapolated_watchers")


TIMES = ("started_at", "period_start", "utc_offset_s", "ambiguous", "footfall_started_at", "watcher_started_at")
"""What follows from the zone: records that were published with the times of a wrong zone are not published again."""


def ms(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)


RULES = Rules(
    zone=ZONES[300],
    place_zones={place: ZONES[place // 10] for place in PLACES},
    late_place=LATE,
    inactive=frozenset({INACTIVE}),
    appears_ms={APPEARING: ms(APPEARS)},
    offline={OFFLINE: (ms(SINCE + 10 * HOUR), ms(SINCE + 24 * HOUR))},
    export_s=20,
)


def zone_of(row: truth.Row) -> ZoneInfo:
    """The zone of a row's location or site, or of rows without a place."""
    site = row.get("site_id") or int(row.get("location_id", 3000)) // 10
    return ZoneInfo(ZONES[int(site)])


def table(stream: str) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "interval": "12h",
        "settle": "2h",
        "allowed_lateness": "30h",
        "sweep_every": "1d",
        "span": "1d",
    }
    if stream in BY_SELECTION:
        keys["extrapolation_amount"] = 500
    return keys


def selection(stream: str, zones: Mapping[int, str]) -> dict[str, Any]:
    """The keys that select. Extrapolations are about the places of one zone."""
    if stream in BY_SELECTION:
        return {"timezone": ZONES[300], "locations": list(SAMPLE)}
    own, others = ZONES[300], dict[str, list[int]]()
    for site, zone in zones.items():
        if zone != own:
            others.setdefault(zone, []).append(site)
    return {
        "timezone": own,
        "locations": "all",
        "zones": [{"timezone": zone, "sites": sites} for zone, sites in others.items()],
    }


def expected_rows(of: Account, stream: str, margin: timedelta = NONE) -> list[truth.Row]:
    """The rows that the vendor has in the end, and that start in the configured span, or so long before or after it."""
    first, last = SINCE - margin, UNTIL + margin
    kind, vendor = EXPORT_TYPES[stream], of.vendor
    options = {}
    if stream in BY_SELECTION:
        sampled = structs.replace(WORLD, devices=SAMPLE)
        vendor, options = VidiCenter(Simulation(sampled, vendor._now_ms, RULES)), {"extrapolation_amount": "500"}
    resolution = "1h" if kind.is_aggregated else "finest"
    # An export whose bounds cut a period has the numbers of a part of it.
    rows = vendor.expected_rows(kind.data_type, resolution, ms(first - HOUR), ms(last + HOUR), options)
    return [row for row in rows if first <= truth.local_start(row).replace(tzinfo=zone_of(row)) < last]


def assert_published(running: Account, stream: str, ignoring: Sequence[str] = (), margin: timedelta = NONE) -> None:
    """Every row in the configured span is published once. So may be those that start so long before or after it."""
    values = running.topics.values(EXPORT_TYPES[stream].events[0].topic)
    rows, allowed = expected_rows(running, stream), expected_rows(running, stream, margin)
    if EXPORT_TYPES[stream].is_aggregated:
        expected = truth.aggregated_rows(rows, stream, zone_of)
        published = truth.aggregated_events(values)
        assert [] == truth.differences(expected, published, ignoring)
        assert len(expected) > 40
    else:
        finest = truth.finest_rows(rows, stream, zone_of, ignoring)
        published_rows = truth.finest_events(values, finest)
        assert Counter() == finest - published_rows
        assert Counter() == published_rows - truth.finest_rows(allowed, stream, zone_of, ignoring)
        assert len(finest) > 40


@pytest.mark.parametrize("stream", EXPORT_TYPES)
async def test_each_row_is_published_once_and_with_its_times(stream: str) -> None:
    async with account(WORLD, RULES, SINCE + 3 * HOUR, crash_rate=0.02) as running:
        source = running.source(since=SINCE, until=UNTIL, streams={stream: table(stream)}, **selection(stream, ZONES))
        await running.run(source, UNTIL + 4 * DAY)

        assert [] == running.topics.values("collector.dead_letters")
        assert_published(running, stream)
        assert {"complete"} == {each["state"] for each in running.topics.values("collector.progress")[-1:]}


@pytest.mark.parametrize("stream", ["viewers", "retail_analytics_footfall", "ots", "proof_of_play_by_site"])
async def test_a_site_that_moves_to_its_true_zone_loses_and_doubles_nothing(stream: str) -> None:
    wrong = {**ZONES, 302: "Europe/Paris", 303: "Pacific/Kiritimati"}
    async with account(WORLD, RULES, SINCE + 3 * HOUR, crash_rate=0.02) as running:
        for zones, until in ((ZONES, SINCE + 15 * HOUR), (wrong, SINCE + 27 * HOUR), (ZONES, UNTIL + 4 * DAY)):
            source = running.source(
                since=SINCE, until=UNTIL, streams={stream: table(stream)}, **selection(stream, zones)
            )
            await running.run(source, until)

        assert [] == running.topics.values("collector.dead_letters")
        assert_published(running, stream, TIMES, margin=DAY)


async def test_a_complete_stream_of_several_zones_stays_complete_after_a_restart() -> None:
    async with account(WORLD, RULES, SINCE + 3 * HOUR) as running:
        source = running.source(since=SINCE, until=UNTIL, streams={"ots": table("ots")}, **selection("ots", ZONES))
        for days in (4, 5, 6):  # the second and the third process find nothing to fetch
            await running.run(source, UNTIL + days * DAY)
            assert "complete" == running.topics.values("collector.progress")[-1]["state"]
