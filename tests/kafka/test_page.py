"""The status page of the real daemon shows its timelines right after a restart, even if no vendor responds."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from collector.instants import floor_second
from collector.simulator.rules import Rules
from collector.simulator.server import serving
from tests.kafka.daemon import until
from tests.kafka.scenario import (
    DEVICES,
    MAX_CALLS,
    TIMING,
    ZONE,
    CountedFaults,
    Replica,
    busy_world,
    quividi_source,
    seemetrix_source,
)
from tests.needs import absent, need
from tests.web.browser import browsing, window

pytestmark = pytest.mark.anyio

Row = dict[str, Any]


def numbers(row: Row) -> dict[datetime, int]:
    """How many records started in each ten-minute cell of the timeline, without the empty cells."""
    strip = row["strip"]
    assert [[144, 600]] == strip["lengths_s"]
    start = datetime.fromisoformat(strip["start"])
    return {start + nth * timedelta(minutes=10): count for nth, count in enumerate(strip["counts"]) if count}


async def test_after_a_restart_the_timelines_are_restored_before_any_vendor_responds(
    kafka: str, prefix: str, tmp_path: Path
) -> None:
    need("BROWSER", absent("chromium"))
    start = floor_second(datetime.now(UTC))
    since = start - timedelta(minutes=25)
    world, faults = busy_world(since, start), CountedFaults({}, seed=1)
    rules = Rules(zone=ZONE, export_s=0.5, calls_per_minute=MAX_CALLS)
    async with serving(world, host="127.0.0.1", port=0, rules=rules, faults=faults) as vendors:
        # With this lateness, no record becomes final and leaves the ledger while the test runs.
        timing = TIMING.replace('allowed_lateness = "20s"', 'allowed_lateness = "2h"')
        sources = seemetrix_source(vendors, since) + quividi_source(vendors, since, DEVICES)
        daemon = Replica(tmp_path, kafka, prefix, sources.replace(TIMING, timing))

        async def all_published() -> bool:
            rows = (await daemon.streams()).values()
            return len(rows) == 2 and all(
                row["watermark"] is not None and datetime.fromisoformat(row["watermark"]) > start for row in rows
            )

        async def all_owned() -> bool:
            rows = (await daemon.streams()).values()
            return len(rows) == 2 and all(row["strip"] is not None for row in rows)

        try:
            daemon.start()
            await until(all_published, "all records from before the start are published")
            before = await daemon.streams()
            daemon.send(signal.SIGTERM)
            assert 0 == daemon.wait()
            with faults.at({"500": 1.0}):  # so that only the restored state is shown
                daemon.start()
                await until(all_owned, "both streams are owned")
                after = await daemon.streams()
                await look_at(daemon.port, after)
            daemon.send(signal.SIGTERM)
            assert 0 == daemon.wait()
        finally:
            daemon.close()
    for source, row in after.items():
        assert sum(numbers(before[source]).values()) > 100
        known = {cell: count for cell, count in numbers(row).items() if cell + timedelta(minutes=10) <= start}
        assert known == {cell: count for cell, count in numbers(before[source]).items() if cell in known}
        assert len(known) >= 2
        assert {} == row["counts"]["records"]  # this process has published nothing


async def look_at(port: int, rows: dict[str, Row]) -> None:
    """The page shows them: the fullest cell of each strip with its number."""
    async with (
        browsing() as browser,
        window(browser, f"http://127.0.0.1:{port}") as page,
    ):
        for row in rows.values():
            name = f"{row['source']} {row['stream']}"
            said = page.timeline(name).locator(".bubble b")
            await page.timeline(name).focus()
            await page.tab.keyboard.press("End")
            fullest = f"{max(numbers(row).values()):,} records"
            for _ in range(10):  # they are of the last half hour
                if await said.inner_text() == fullest:
                    break
                await page.tab.keyboard.press("ArrowLeft")
            await expect(said).to_have_text(fullest)
        assert ([], []) == (page.console_messages, page.foreign_requests)
