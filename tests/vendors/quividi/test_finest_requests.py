"""Finest exports are requested as documented, and their rows become events of the declared types."""

from datetime import datetime

import msgspec
import pytest

from collector.model import DedupMode, Record, Window
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests.vendors.quividi.finest import RESPONSES, ROWS
from tests.vendors.quividi.test_export_requests import HOURS, lobby, query_of
from tests.vendors.quividi.vidicenter import VidiCenter

pytestmark = pytest.mark.anyio

DAY = Window(datetime.fromisoformat("2026-01-14T00:00:00Z"), datetime.fromisoformat("2026-01-15T00:00:00Z"))


@pytest.mark.parametrize("stream", RESPONSES)
async def test_a_stream_requests_the_finest_rows_of_its_type(stream: str) -> None:
    assert f"data_type={stream}&time_resolution=finest&{HOURS}&locations=1056" == await query_of(stream, {})


@pytest.mark.parametrize("stream", ROWS)
async def test_rows_become_events_of_every_declared_type(stream: str) -> None:
    vendor = VidiCenter()
    data = msgspec.json.encode(ROWS[stream])
    vendor.data = lambda _: data
    async with lobby(vendor, {stream: {}}) as [one]:
        [(rows, records)] = [(each.rows, tuple(each.records)) async for each in one.fetch(DAY)]
        found = [event for each in records if isinstance(each, Record) for event in one.explode(each, "f" * 32, 0)]

    assert (DedupMode.MULTISET, 1, None) == (one.dedup_mode, one.fields_version, one.former)
    assert rows == len(records) == len(ROWS[stream])
    assert {*EXPORT_TYPES[stream].events} == {event.type for event in found}
    assert (one.only_parts is not None) == (stream == "retail_analytics_footfall")
