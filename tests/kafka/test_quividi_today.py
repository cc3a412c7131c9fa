"""Quividi as it is today, as a whole: two accounts, all types of export, six zones, and everything that is late.

An account of 2020 and one of today run side by side through the night in which Europe's clocks are set back. A day
later, the daemon continues with another configuration, in which a site is in its true zone. Meanwhile one place has
appeared, and another one has uploaded all of the day before.
"""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from collector.schemas import event_types
from collector.simulator.base import Simulation
from collector.simulator.rules import Rules
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import TOKEN, VidiCenter
from collector.simulator.world import FAST, World
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests import quividi_truth as truth
from tests.faults.clocks import Clock
from tests.kafka import hasty
from tests.kafka.daemon import Received, reading, until
from tests.kafka.quividi_accounts import (
    LISTS,
    TIMES,
    Account,
    Comparison,
    newest_states,
    revisions_with,
    source,
    topics,
)
from tests.kafka.scenario import MAX_CALLS, Replica, read_all
from tests.sql.engines import duckdb_database

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1500)]

MAX_WAIT_S = 450
"""All types of export are published within a minute or two, unless other tests use the processors."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SINCE, NIGHT = datetime(2025, 10, 25, 23, tzinfo=UTC), datetime(2025, 10, 26, 2, 20, tzinfo=UTC)
"""Clocks in Paris are set back between the two."""
COMPLETE_UNTIL = NIGHT + 20 * HOUR
ZONES: Mapping[int, str] = {
    300: "Europe/Paris",
    301: "Australia/Lord_Howe",
    302: "America/New_York",
    303: "Asia/Kathmandu",
    304: "Pacific/Auckland",
    305: "Pacific/Honolulu",
}
"""The true zone of each site."""
MOVED, AT_FIRST = 301, {**ZONES, 301: "Asia/Tokyo"}
"""The site that is configured in a wrong zone at first."""
PLACES = (3001, 3002, 3011, 3021, 3031, 3041, 3051)
APPEARING, INACTIVE, LATE = 3002, 3021, 3041
SITE, OLD_SITE = 303, 400
UNLICENSED = {"vehicles": 400, "compass": 403, "content_plays": 404}
TODAY = Rules(
    zone=ZONES[300],
    place_zones={place: ZONES[place // 10] for place in PLACES},
    unlicensed=UNLICENSED,
    late_place=LATE,
    inactive=frozenset({INACTIVE}),
    appears_ms={APPEARING: int((NIGHT + 5 * HOUR).timestamp()) * 1000},
    export_s=0.1,
    calls_per_minute=MAX_CALLS,
)
OLD = Rules(username="lobby", has_old_names=True, export_s=0.1, calls_per_minute=MAX_CALLS)
WORLD = World(devices=PLACES, rate=6.0, pace=FAST)
WORLD_OF_SITE = structs.replace(WORLD, devices=(3031,))
OLD_WORLD = World(seed=2, devices=(4001, 4002), rate=20.0, pace=FAST)
ZONED = ("viewers", "footfall", "im", "ots", "proof_of_play_by_site", "vehicles", "compass", "content_plays")
"""The streams of today's account in all zones. All others run for one site, in the first night."""
OF_SITE = tuple(stream for stream in EXPORT_TYPES if stream not in ZONED)
OF_OLD_TIMES = ("viewers", "viewers_apc", "ots", "gate", "proof_of_play_by_location", "proof_of_play_by_site")


def zone_of(row: truth.Row) -> ZoneInfo:
    """The true zone of a row's place. Rows without one are about the site."""
    return ZoneInfo(ZONES.get(site_of(row), OLD.zone))


def site_of(row: truth.Row) -> int:
    return int(row["site_id"]) if "site_id" in row else int(row.get("location_id", 10 * SITE)) // 10


def licensed(streams: Sequence[str]) -> Sequence[str]:
    return [each for each in streams if EXPORT_TYPES[each].data_type not in UNLICENSED]


def airport(vendors: Simulated, zones: Mapping[int, str]) -> str:
    """Today's account, all of whose locations are followed, with its lists."""
    tables = [(zone, site) for site, zone in zones.items() if zone != TODAY.zone]
    elsewhere = "".join(f'[[sources.airport.zones]]\ntimezone = "{zone}"\nsites = [{site}]\n' for zone, site in tables)
    selection = f'locations = "all"\ntimezone = "{TODAY.zone}"'
    return source("airport", vendors, TODAY, SINCE, selection, (*ZONED, *LISTS), elsewhere)


def gate(vendors: Simulated) -> str:
    """All other types of export, of one site of today's account."""
    return source("gate", vendors, TODAY, SINCE, f'sites = [{SITE}]\ntimezone = "{ZONES[SITE]}"', OF_SITE)


def lobby(vendors: Simulated) -> str:
    """The account of 2020."""
    return source("lobby", vendors, OLD, SINCE, f'sites = [{OLD_SITE}]\ntimezone = "{OLD.zone}"', OF_OLD_TIMES)


async def test_all_of_two_accounts_is_published_once_through_a_change_of_clocks_and_of_zones(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    clock, skew_s = Clock(tmp_path / "skew"), [0]

    def set_clock(now: datetime) -> None:
        skew_s[0] = int(now.timestamp() - time.time())
        clock.set(skew_s[0])

    set_clock(NIGHT)
    names = [*topics(), "collector.dead_letters", "collector.progress"]
    async with (
        serving(WORLD, host="127.0.0.1", port=0, rules=TODAY, clock_offset_s=lambda: skew_s[0]) as today,
        serving(OLD_WORLD, host="127.0.0.1", port=0, rules=OLD, clock_offset_s=lambda: skew_s[0]) as old,
        reading(kafka, [prefix + each for each in names]) as reader,
    ):
        of_site = VidiCenter(Simulation(WORLD_OF_SITE, lambda: 0, structs.replace(TODAY, zone=ZONES[SITE])))
        accounts = (
            Account("airport", today.vendor(VidiCenter), licensed(ZONED), zone_of),
            Account("lobby", old.vendor(VidiCenter), OF_OLD_TIMES, zone_of),
        )
        site = Account("gate", of_site, licensed(OF_SITE), zone_of)
        daemon = Replica(tmp_path, kafka, prefix, airport(today, AT_FIRST) + gate(today) + lobby(old))
        daemon.program = (str(Path(hasty.__file__)), str(clock.file))
        # By the brokers' clock, all messages are old.
        configuration = daemon.config.read_text("utf-8").replace("[kafka]\n", '[kafka]\nretention = "36500d"\n')
        daemon.config.write_text(configuration, "utf-8")
        try:
            daemon.start()
            comparison = Comparison(reader, [site], SINCE, NIGHT - 2 * HOUR)
            await comparison.wait(MAX_WAIT_S)

            async def is_settled() -> bool:
                exports = [each for each in (await status_of(daemon))["streams"] if each["stream"] not in LISTS]
                return {"live", "parked"} == {each["state"] for each in exports}

            await until(is_settled, "all streams catch up", MAX_WAIT_S)
            first_status = await status_of(daemon)
            daemon.stop()
            set_clock(NIGHT + DAY)
            before, _, _ = configuration.partition("[sources.")
            daemon.config.write_text(before + airport(today, ZONES) + lobby(old), "utf-8")
            daemon.start()
            comparison = Comparison(reader, accounts, SINCE, COMPLETE_UNTIL)
            await comparison.wait(MAX_WAIT_S)
            second_status = await status_of(daemon)
            daemon.stop()
        finally:
            daemon.close()
        messages = await read_all(reader)

    assert 1 == max(Counter(each.id for each in messages).values())
    assert [] == [each.value for each in messages if each.topic.endswith("dead_letters")]
    assert TOKEN not in daemon.log.read_text("utf-8")
    for account in (*accounts, site):
        for stream in account.streams:
            assert_exact(account, stream, messages, NIGHT - 2 * HOUR if account is site else COMPLETE_UNTIL)
    assert_qualities(accounts[0], messages)
    assert_status(first_status, second_status)
    assert_progress(messages)
    assert_joined(tmp_path, accounts[0], messages)


async def status_of(daemon: Replica) -> dict[str, list[dict[str, Any]]]:
    _, body = await daemon.get("/api/status")
    status: dict[str, list[dict[str, Any]]] = json.loads(body)
    return status


def assert_exact(account: Account, stream: str, messages: Sequence[Received], last: datetime) -> None:
    """All rows are published, none twice, and with their times: those of the moved site may have those of two zones."""
    rows = account.rows(stream, SINCE, last)
    assert rows, stream
    assert [] == account.lacking(messages, stream, rows, TIMES), stream
    assert [] == account.lacking(messages, stream, [row for row in rows if site_of(row) != MOVED]), stream
    assert [] == account.doubled(messages, stream, account.rows(stream, SINCE - DAY, NIGHT + 2 * DAY)), stream


def assert_qualities(account: Account, messages: Sequence[Received]) -> None:
    """Missing data is not zero, and what the vendor has filled in is marked."""
    ots = account.values(messages, "ots")
    assert revisions_with(ots, LATE, "no_data", "observed") > 0
    imputed = [each["backup_value"] == "yes" for each in account.values(messages, "im") if each["quality"] == "imputed"]
    assert imputed
    assert all(imputed)
    ambiguous = [each for each in ots if each["ambiguous"]]
    assert {("2025-10-26T02:00:00", 7200)} == {(each["period_start_local"], each["utc_offset_s"]) for each in ambiguous}


def assert_status(*statuses: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Only the streams without a licence are parked. A wrong zone is noticed until it is corrected."""
    for rows in (each["streams"] for each in statuses):
        parked = [each for each in rows if each["state"] == "parked"]
        assert {"not_licensed"} == {each["last_error"]["code"] for each in parked}
        names = {each["stream"].partition("@")[0] for each in rows}
        expected = {each for each in names & EXPORT_TYPES.keys() if EXPORT_TYPES[each].data_type in UNLICENSED}
        assert expected == {each["stream"].partition("@")[0] for each in parked}
    wrong = f"location {MOVED}1 uploads with the offset +11:00, but Asia/Tokyo has +09:00"
    noticed = [any(wrong in notice for each in found["sources"] for notice in each["notices"]) for found in statuses]
    assert [True, False] == noticed


def assert_progress(messages: Sequence[Received]) -> None:
    """Each stream reports its progress, and those of several zones under one name."""
    states = newest_states(messages)
    assert {("airport", each) for each in licensed(ZONED)} < states.keys()
    assert [] == [name for _, name in states if "@" in name]
    for stream in licensed(ZONED):
        assert "live" == states["airport", stream]["state"]
        assert datetime.fromisoformat(states["airport", stream]["watermark"]) > COMPLETE_UNTIL


def assert_joined(folder: Path, account: Account, messages: Sequence[Received]) -> None:
    """Viewers can be counted by the names of their sites and locations, with the published topics alone."""
    types, rows = event_types(), account.rows("viewers", SINCE, COMPLETE_UNTIL)
    expected = Counter(int(row["location_id"]) for row in rows)
    names = ("quividi.viewer.v1", "quividi.location.v1", "quividi.site.v1")
    with duckdb_database(folder) as database:
        for name in names:
            database.load(types[name], [each.value for each in messages if each.headers["ce_type"] == name])
        viewers, places, sites = (
            database.newest(types[f"quividi.{name}.v1"]) for name in ("viewer", "location", "site")
        )
        counted = database.rows(
            "SELECT site.label AS site, place.label AS place, count(*) AS viewers "  # noqa: S608 - of tests
            f"FROM {viewers} AS viewer JOIN {places} AS place USING (location_id) "
            f"JOIN {sites} AS site ON site.site_id = place.site_id "
            f"WHERE viewer.source = 'airport' AND viewer.started_at >= '{SINCE.isoformat()}' "
            f"AND viewer.started_at < '{COMPLETE_UNTIL.isoformat()}' GROUP BY ALL"
        )
    found = {each["place"]: (each["site"], each["viewers"]) for each in counted}
    for place in PLACES:
        if place // 10 != MOVED:
            assert (f"Site {place // 10}", expected[place]) == found[f"Location {place}"]
