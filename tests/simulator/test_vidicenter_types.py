"""All data types of the simulated VidiCenter: their fields, their rows without data, and their rows in all."""

import json
from collections import Counter
from collections.abc import Sequence

import pytest

from collector.simulator.export_request import DATA_TYPES, FINEST
from collector.simulator.rules import Rules
from collector.simulator.world import World
from tests.simulator.export_fields import FORMS, Form, has_form
from tests.simulator.harness import DATA, HOUR_MS, NOON, PLACE, Row, export_query, serving

pytestmark = pytest.mark.anyio

ATTRIBUTES = {"location_name", "zone_name", "active", "backup_value", "dwell_threshold"}
KEY = {
    *("location_id", "site_id", "gender", "age", "gate_id", "zone_id"),
    *("period_start", "period_start_date", "period_start_time"),
}
NOON_MS = int(NOON.timestamp() * 1000)
PLACES = {"locations": "3024,3035,5315"}
by_name = pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.data_type} {form.resolution}")


def exported(form: Form) -> dict[str, str]:
    """The change of the request that exports it."""
    return {"data_type": form.data_type, "time_resolution": form.resolution, **form.arguments}


def multiset(rows: Sequence[Row]) -> Counter[str]:
    return Counter(json.dumps(row, sort_keys=True) for row in rows)


def test_the_data_types_are_the_twenty_six_of_the_document() -> None:
    assert 26 == len(DATA_TYPES)
    assert DATA_TYPES.keys() == {form.data_type for form in FORMS}
    finest = {name for name, accepted in DATA_TYPES.items() if FINEST in accepted.resolutions}
    assert finest == {form.data_type for form in FORMS if form.resolution == FINEST}
    assert {10} == {len(DATA_TYPES[name].resolutions) for name in ("viewers", "footfall", "pmp_sales_funnel")}
    hourly = {name for name, accepted in DATA_TYPES.items() if accepted.resolutions == {"1h"}}
    assert {"im", "im_nobackup", "im_ots", "im_ots_nobackup", "targeted_im"} == hourly


@by_name
async def test_rows_have_the_documented_fields_and_forms(form: Form) -> None:
    async with serving() as vendor:
        rows = await vendor.export(**PLACES, **exported(form))
    assert rows
    possible = {**form.fields, **form.optional}
    for row in rows:
        assert form.fields.keys() <= row.keys() <= possible.keys()
        wrong = {name: value for name, value in row.items() if not has_form(value, possible[name])}
        assert {} == wrong
    assert possible.keys() == {name for row in rows for name in row}


@by_name
async def test_once_all_is_uploaded_an_export_is_what_is_expected(form: Form) -> None:
    async with serving() as vendor:
        rows = await vendor.export(**PLACES, **exported(form))
        expected = vendor.vidicenter.expected_rows(
            form.data_type, form.resolution, NOON_MS, NOON_MS + HOUR_MS, form.arguments
        )
    if form.resolution != "1d":  # of which the rest is not in the window
        assert multiset(expected) == multiset(rows)
    assert len(expected) == len(rows)


@by_name
async def test_without_data_every_number_is_null(form: Form) -> None:
    async with serving(world=World(devices=(PLACE,), rate=0)) as vendor:
        rows = await vendor.export(**exported(form))
    if form.resolution == FINEST:
        assert ("viewers", "footfall", "vehicles").count(form.data_type) == len(rows)
        return
    assert rows
    for row in rows:
        assert form.fields.keys() <= row.keys()
        assert {None} == {value for name, value in row.items() if name not in KEY | ATTRIBUTES}


@by_name
async def test_uploads_change_the_rows(form: Form) -> None:
    async with serving() as vendor:
        end = vendor.clock[0]
        vendor.clock[0] = NOON.replace(minute=40)
        before = await vendor.export(**PLACES, **exported(form))
        vendor.clock[0] = end
        after = await vendor.export(**PLACES, **exported(form))
    assert multiset(before) != multiset(after)
    assert len(before) <= len(after)


@pytest.mark.parametrize("data_type", sorted(DATA_TYPES))
async def test_only_the_documented_resolutions_exist(data_type: str) -> None:
    amount = {"extrapolation_amount": ""} if data_type.startswith("extrapolated") else {}
    async with serving(rules=Rules(export_s=0)) as vendor:
        found = set()
        for resolution in (FINEST, "5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M", "2h"):
            status, body = await vendor.get(
                DATA, export_query(data_type=data_type, time_resolution=resolution, **amount)
            )
            assert (status == 200) == (body == {"state": "started"})
            assert status in (200, 400)
            found |= {resolution} if status == 200 else set()
    assert DATA_TYPES[data_type].resolutions == found
