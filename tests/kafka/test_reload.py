"""Sources are added, changed and removed while the daemon runs: nothing is lost or doubled, and neighbours run on."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.instants import floor_second
from collector.simulator.rules import Rules
from collector.simulator.seemetrix import SOURCE as SEEMETRIX
from collector.simulator.server import serving
from collector.simulator.vidicenter import SOURCE as QUIVIDI
from tests.kafka.daemon import reading, until
from tests.kafka.exact import assert_published_once
from tests.kafka.scenario import (
    DEVICES,
    EVENT_TOPICS,
    MAX_CALLS,
    ZONE,
    Replica,
    busy_world,
    quividi_source,
    seemetrix_source,
)

pytestmark = pytest.mark.anyio


class ReloadingReplica(Replica):
    """A replica whose sources are in files of their own, and share one state partition."""

    def __init__(self, home: Path, kafka: str, prefix: str) -> None:
        super().__init__(home, kafka, prefix, "", state_partitions=1)
        self.folder = home / "sources.d"
        self.folder.mkdir()
        self.config.write_text(f'include = "sources.d/*.toml"\n{self.config.read_text("utf-8")}', "utf-8")

    def write(self, name: str, table: str) -> None:
        (self.folder / f"{name}.toml").write_text(table, "utf-8")

    def remove(self, name: str) -> None:
        (self.folder / f"{name}.toml").unlink()

    async def reloads(self, event: str = "config_reloaded") -> None:
        """Send SIGHUP, and wait until the new files are in use, or refused."""
        before = len(self.log_lines(event))
        self.send(signal.SIGHUP)

        async def is_logged() -> bool:
            return len(self.log_lines(event)) > before

        await until(is_logged, event)

    async def reports_success(self, value: int) -> None:
        """Wait until the metric has this value: metrics are rendered once a second at most."""

        async def has_value() -> bool:
            return await self.metric("collector_config_last_reload_successful") == value

        await until(has_value, f"the last reload is reported as {value}")

    def counts(self, event: str, source: str) -> int:
        return sum(line.get("source") == source for line in self.log_lines(event))


async def test_accounts_come_change_and_go_without_a_restart(kafka: str, prefix: str, tmp_path: Path) -> None:
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=3)
    world = busy_world(since, start + timedelta(seconds=30))
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=MAX_CALLS)
    async with serving(world, host="127.0.0.1", port=0, rules=rules) as vendors:
        sessions, viewers = seemetrix_source(vendors, since), quividi_source(vendors, since, DEVICES)
        replica = ReloadingReplica(tmp_path, kafka, prefix)
        replica.write(SEEMETRIX, sessions)

        async def are_live(*names: str) -> bool:
            rows = await replica.streams()
            return rows.keys() == set(names) and {"live"} == {row["state"] for row in rows.values()}

        async def become_live(*names: str) -> None:
            await until(lambda: are_live(*names), f"{names} are live")

        async with reading(kafka, [prefix + topic for topic in EVENT_TOPICS]) as reader:
            try:
                replica.start()
                await become_live(SEEMETRIX)

                replica.write(QUIVIDI, viewers)
                await replica.reloads()
                await become_live(SEEMETRIX, QUIVIDI)

                replica.write(QUIVIDI, viewers.replace('interval = "2s"', 'interval = "1s"'))
                await replica.reloads()

                async def is_replaced() -> bool:
                    return replica.counts("stream_owned", QUIVIDI) == 2

                await until(is_replaced, "the changed stream runs again")
                assert 1 == replica.counts("stream_owned", SEEMETRIX)

                replica.write(QUIVIDI, viewers.replace('interval = "2s"', "interval = 2"))
                await replica.reloads("config_refused")
                await replica.reports_success(0)
                await become_live(SEEMETRIX, QUIVIDI)
                replica.write(QUIVIDI, viewers)
                await replica.reloads()
                await replica.reports_success(1)

                replica.remove(SEEMETRIX)
                await replica.reloads()
                await become_live(QUIVIDI)

                async def has_no_series() -> bool:
                    return f'source="{SEEMETRIX}"' not in (await replica.get("/metrics"))[1]

                await until(has_no_series, "the metrics of the removed source are gone")

                replica.write(SEEMETRIX, sessions)
                await replica.reloads()
                latest = start + timedelta(seconds=30)
                await assert_published_once(replica, reader, vendors, since=since, latest=latest)
            finally:
                replica.close()
    assert 1 == len(replica.log_lines("epoch_began"))
