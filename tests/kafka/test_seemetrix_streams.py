"""Every stream of Seemetrix except sessions, compared with the simulated vendor, while the daemon is killed."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from collector.instants import floor_second
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe
from collector.simulator import seemetrix, statistics
from collector.simulator.server import serving
from collector.simulator.world import FAST, World
from tests.kafka.daemon import Received, reading, until
from tests.kafka.scenario import DEVICES, Replica, read_all, seemetrix_table

pytestmark = pytest.mark.anyio

TOPICS = ("seemetrix.devices", "seemetrix.counters", "seemetrix.statistics", "seemetrix.breakdown")
HISTORY = 'interval = "1s"\nsettle = "1s"\nallowed_lateness = "20s"\nsweep_every = "5s"\nspan = "1d"'
HOUR = timedelta(hours=1)


async def test_every_stream_publishes_the_vendors_numbers_once(kafka: str, prefix: str, tmp_path: Path) -> None:
    now = floor_second(datetime.now(UTC))
    since = (now - timedelta(days=3)).replace(minute=17)
    world = World(seed=5, devices=DEVICES, rate=20.0, pace=FAST)
    async with (
        serving(world, host="127.0.0.1", port=0) as vendors,
        reading(kafka, [prefix + topic for topic in TOPICS]) as reader,
    ):
        sources = f"""{seemetrix_table(vendors, since)}[sources.mall.streams.devices]
interval = "1s"
[sources.mall.streams.counters]
interval = "1s"
[sources.mall.streams.statistics]
{HISTORY}
sex = true
[sources.mall.streams.breakdown]
{HISTORY}
levels = ["devices", "genders"]
"""
        daemon = Replica(tmp_path, kafka, prefix, sources)

        async def all_live() -> bool:
            code, body = await daemon.get("/api/status")
            return code == 200 and 4 == body.count('"state":"live"') and '"final":null' not in body

        try:
            for _ in range(3):
                daemon.start()
                await until(daemon.is_ready, "the daemon is ready")
                await anyio.sleep(1)
                daemon.kill()
            daemon.start()
            await until(all_live, "all streams are live")
        finally:
            daemon.stop()
        messages = await read_all(reader)

    assert 1 == max(Counter(each.id for each in messages).values()), "a message occurs twice"
    _assert_hours(values_of(messages, "seemetrix.statistics.v1"), world, since, now)
    _assert_trees(values_of(messages, "seemetrix.breakdown.v1"), world, since, now)
    devices = values_of(messages, "seemetrix.device.v1")
    assert set(DEVICES) == {each["device_id"] for each in devices}
    assert {"online", "offline"} >= {each["state"] for each in devices}
    counters = values_of(messages, "seemetrix.counters.v1")
    assert list(range(len(counters))) == [each["revision"] for each in counters]
    assert {len(DEVICES)} == {each["device_count"] for each in counters}
    settings = KafkaSettings(bootstrap_servers=kafka)
    async with admin(settings) as client:
        topics = await describe(client, settings, [prefix + topic for topic in TOPICS])
    policies = {name.removeprefix(prefix): topic.configs["cleanup.policy"] for name, topic in topics.items()}
    assert {topic: "compact" if topic == TOPICS[0] else "delete" for topic in TOPICS} == policies


def values_of(messages: list[Received], event_type: str) -> list[dict[str, Any]]:
    return [each.value for each in messages if each.headers["ce_type"] == event_type]


def latest(values: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The latest revision of each record."""
    return {each["record_id"]: each for each in sorted(values, key=lambda each: int(each["revision"]))}


def _assert_hours(found: list[dict[str, Any]], world: World, since: datetime, now: datetime) -> None:
    first, last = since.replace(minute=0, second=0) + HOUR, now.replace(minute=0, second=0)
    hours = f"seemetrix/{seemetrix.USER}/statistics/all/views+sex"
    expected = {
        f"{hours}/{_hour(row['i'])}": (
            row["t"],
            row["fl"],
            row["ml"],
            row["us"],
        )
        for row in statistics.hours(_visits_between(world, first, last), ["sex"])
    }
    assert expected == {
        name: (each["views"], each["female"], each["male"], each["gender_unknown"])
        for name, each in latest(found).items()
        if datetime.fromisoformat(each["period_start"]) < last
    }


def _assert_trees(found: list[dict[str, Any]], world: World, since: datetime, now: datetime) -> None:
    day = since.replace(hour=0, minute=0, second=0) + timedelta(days=1)
    expected: dict[str, tuple[Any, ...]] = {}
    while day + timedelta(days=1) <= now:
        devices = statistics.tree(_visits_between(world, day, day + timedelta(days=1)), ["devices", "genders"], "YYYY")
        root_id = f"seemetrix/{seemetrix.USER}/breakdown/all/devices+genders/1d/{day:%Y-%m-%dT%H:%M:%S}.000Z"
        expected[root_id] = tuple(sum(device[name] for device in devices) for name in ("v", "vd", "otsd"))
        for device in devices:
            record_id = f"{root_id}/device={device['n']}"
            expected[record_id] = (device["v"], device["vd"], device["otsd"])
            children: Any = device["o"]
            expected |= {f"{record_id}/gender={node['n']}": (node["v"], node["vd"], None) for node in children}
        day += timedelta(days=1)
    assert len(expected) > 2 * 3 * 3
    assert expected == {
        name: (each["views"], each["views_ms"], each["ots_ms"])
        for name, each in latest(found).items()
        if datetime.fromisoformat(each["period_end"]) <= now
    }


def _visits_between(world: World, first: datetime, last: datetime) -> list[Any]:
    first_ms, last_ms = int(first.timestamp()) * 1000, int(last.timestamp()) * 1000
    visits = (visit for device in world.devices for visit in world.between(device, first_ms, last_ms))
    return [visit for visit in visits if first_ms <= visit.start_ms < last_ms]


def _hour(unit: Any) -> str:  # noqa: ANN401 - JSON
    return f"{unit['y']}-{unit['m']:02}-{unit['d']:02}T{unit['h']:02}:00:00.000Z"
