"""Devices: the documented example; secrets are in no event and no reject."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from collector.model import Record, Reject, Window
from collector.vendors.seemetrix import devices
from tests.vendors.loopback import responding, serving
from tests.vendors.seemetrix.documented import DEVICES
from tests.vendors.seemetrix.fetching import events, fetched, stream_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = Window(NOW - timedelta(minutes=1), NOW)
SEEN = {"revision": 0, "seen_at": "2026-11-01T12:00:00.000Z", "time": "2026-11-01T12:00:00.000Z"}


def row(device: int, **fields: object) -> dict[str, object]:
    key = f"user/632/device/{device}"
    names = {
        "key": key,
        "record_id": f"seemetrix/632/device/{device}",
        "subject": f"device/{device}",
        "device_id": device,
    }
    return {**SEEN, **names, "ip": None, "acl": None, **fields}


async def test_documented_example() -> None:
    assert [
        row(
            3024,
            state="online",
            name="Device #3",
            created_at="2017-09-07T10:40:21.000Z",
            modified_at="2017-09-15T07:24:12.000Z",
        ),
        row(
            2899,
            state="offline",
            name="Device #5",
            created_at="2017-07-27T04:29:20.000Z",
            modified_at="2017-07-27T04:29:20.000Z",
        ),
        row(
            3035,
            state="frozen",
            name="Device #1",
            created_at="2017-09-08T04:35:12.000Z",
            modified_at="2017-09-15T07:36:38.000Z",
        ),
    ] == await events(DEVICES, "devices", MINUTE)


async def test_addresses_and_users_need_include_private() -> None:
    first, second, _ = await events(DEVICES, "devices", MINUTE, {"include_private": True})
    assert ("87.249.208.18", [436, 632]) == (first["ip"], first["acl"])
    assert ("-", [436, 632]) == (second["ip"], second["acl"])


async def test_the_order_of_users_does_not_matter() -> None:
    changed = DEVICES.replace(b"[436, 632]", b"[632, 436]")
    table: dict[str, object] = {"include_private": True}
    one, other = await fetched(DEVICES, "devices", MINUTE, table), await fetched(changed, "devices", MINUTE, table)
    assert [each.fingerprint for each in one if isinstance(each, Record)] == [
        each.fingerprint for each in other if isinstance(each, Record)
    ]


async def test_rejects_do_not_contain_a_devices_keys() -> None:
    broken = DEVICES.replace(b'"d": 3024', b'"d": "3024"')
    rejects = [each for each in await fetched(broken, "devices", MINUTE) if isinstance(each, Reject)]
    assert ["Expected `int`, got `str` - at `$.d`"] == [each.error for each in rejects]
    for secret in (b"23f69c44cd964dcc9caac2d08217705d", b"ca514a44ddc4a77afff71541564fd958", b"87.249", b"436"):
        assert secret not in rejects[0].payload
    assert b'"n":"Device #3"' in rejects[0].payload


async def test_a_damaged_row_contains_nothing_of_the_vendor() -> None:
    """Its keys may be anywhere in it."""
    broken = DEVICES.replace(b'"d": 3024, "f"', b'"d": 3024, f')
    [reject] = [each for each in await fetched(broken, "devices", MINUTE) if isinstance(each, Reject)]

    assert b"" == reject.payload


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b'"Device #3"', b'"caf\xe9"', "name"),
        (b'"Device #3"', b'"\\ud83d"', "name"),
        (b'"Device #3"', b"3", "name"),
        (b'"Thu, 07 Sep 2017 10:40:21 GMT"', b'"yesterday"', "created_at"),
        (b'"Fri, 15 Sep 2017 07:24:12 GMT"', b"1505460252", "modified_at"),
    ],
)
async def test_a_side_field_that_cannot_be_understood_is_null_and_counted(old: bytes, new: bytes, field: str) -> None:
    async with serving(responding(DEVICES.replace(old, new))) as url, stream_of(url, "devices", {}) as stream:
        [result] = [result async for result in stream.fetch(MINUTE)]
        found = [each for each in result.records if isinstance(each, Record)]
        [event] = stream.explode(found[0], "0" * 32, 0)
    assert 3 == len(found)
    assert getattr(event.data, field) is None
    assert [1] == list(result.ignored.values())


async def test_events_do_not_contain_a_devices_keys() -> None:
    encoded = repr(await events(DEVICES, "devices", MINUTE, {"include_private": True}))
    for secret in ("9909e1d0", "bc862d09", "a4424dad", "23f69c44", "ca514a44"):
        assert secret not in encoded


@pytest.mark.parametrize(("body", "whole"), [(DEVICES, True), (DEVICES.replace(b'_total": 1', b'_total": 2'), False)])
async def test_a_list_is_whole_if_its_totals_match(body: bytes, whole: bool) -> None:
    async with serving(responding(body)) as url, stream_of(url, "devices", {}) as stream:
        [result] = [result async for result in stream.fetch(MINUTE)]
    assert whole == result.is_whole


async def test_event_of_a_device_that_is_gone() -> None:
    async with serving(responding(DEVICES)) as url, stream_of(url, "devices", {}) as stream:
        [result] = [result async for result in stream.fetch(MINUTE)]
        assert result.gone is not None
        [record, *_] = result.records
        assert isinstance(record, Record)
        last = result.gone(record.key)
        [event] = stream.explode(last, "0" * 32, 4)
    assert record.key == last.key
    assert isinstance(event.data, devices.DeviceV1)
    assert (3024, "gone", 4, None, None) == (
        event.data.device_id,
        event.data.state,
        event.data.revision,
        event.data.name,
        event.data.created_at,
    )


async def test_a_date_outside_the_calendar_costs_only_itself() -> None:
    late = {"d": 1, "created": "Fri, 31 Dec 9999 23:59:59 -2300"}
    body = json.dumps({"online": [late, {"d": 2}], "offline": [], "frozen": []}).encode()
    assert [None, None] == [each["created_at"] for each in await events(body, "devices", MINUTE)]
