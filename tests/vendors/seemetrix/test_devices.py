"""Devices: the document's example, field by field; what is secret is nowhere."""

from datetime import UTC, datetime, timedelta

import pytest

from collector.model import Record, Reject, Window
from collector.vendors.seemetrix import devices
from tests.vendors.loopback import answering, serving
from tests.vendors.seemetrix.asking import asked, events, stream_of
from tests.vendors.seemetrix.documented import DEVICES

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
MINUTE = Window(NOW - timedelta(minutes=1), NOW)
SEEN = {"source": "lobby", "revision": 0, "seen_at": "2026-11-01T12:00:00.000Z", "time": "2026-11-01T12:00:00.000Z"}


def row(device: int, **said: object) -> dict[str, object]:
    names = {"key": str(device), "record_id": str(device), "subject": f"device/{device}", "device_id": device}
    return {**SEEN, **names, "ip": None, "acl": None, **said}


async def test_the_documents_example() -> None:
    assert [
        row(
            3024,
            state="online",
            name="Device #3",
            created="2017-09-07T10:40:21.000Z",
            modified="2017-09-15T07:24:12.000Z",
        ),
        row(
            2899,
            state="offline",
            name="Device #5",
            created="2017-07-27T04:29:20.000Z",
            modified="2017-07-27T04:29:20.000Z",
        ),
        row(
            3035,
            state="frozen",
            name="Device #1",
            created="2017-09-08T04:35:12.000Z",
            modified="2017-09-15T07:36:38.000Z",
        ),
    ] == await events(DEVICES, "devices", MINUTE)


async def test_addresses_and_users_only_for_those_who_ask_for_them() -> None:
    first, second, _ = await events(DEVICES, "devices", MINUTE, {"include_private": True})
    assert ("87.249.208.18", [436, 632]) == (first["ip"], first["acl"])
    assert ("-", [436, 632]) == (second["ip"], second["acl"])


async def test_the_order_of_the_users_says_nothing() -> None:
    changed = DEVICES.replace(b"[436, 632]", b"[632, 436]")
    table: dict[str, object] = {"include_private": True}
    one, other = await asked(DEVICES, "devices", MINUTE, table), await asked(changed, "devices", MINUTE, table)
    assert [each.fingerprint for each in one if isinstance(each, Record)] == [
        each.fingerprint for each in other if isinstance(each, Record)
    ]


async def test_a_devices_keys_are_secret_also_in_what_cannot_be_understood() -> None:
    broken = DEVICES.replace(b"Thu, 07 Sep 2017 10:40:21 GMT", b"yesterday")
    rejects = [each for each in await asked(broken, "devices", MINUTE) if isinstance(each, Reject)]
    assert ["Expected a date such as `Fri, 15 Sep 2017 07:36:38 GMT` - at `$.created`"] == [r.error for r in rejects]
    for secret in (b"23f69c44cd964dcc9caac2d08217705d", b"ca514a44ddc4a77afff71541564fd958", b"87.249", b"436"):
        assert secret not in rejects[0].payload
    assert b'"n":"Device #3"' in rejects[0].payload


async def test_no_event_has_the_devices_keys() -> None:
    told = repr(await events(DEVICES, "devices", MINUTE, {"include_private": True}))
    for secret in ("9909e1d0", "bc862d09", "a4424dad", "23f69c44", "ca514a44"):
        assert secret not in told


@pytest.mark.parametrize(("body", "whole"), [(DEVICES, True), (DEVICES.replace(b'_total": 1', b'_total": 2'), False)])
async def test_what_a_list_lacks_is_only_gone_when_the_list_is_whole(body: bytes, whole: bool) -> None:
    async with serving(answering(body)) as url, stream_of(url, "devices", {}) as stream:
        [answer] = [answer async for answer in stream.fetch(MINUTE)]
    assert whole == answer.is_whole


async def test_what_is_said_of_a_device_that_is_gone() -> None:
    async with serving(answering(DEVICES)) as url, stream_of(url, "devices", {}) as stream:
        [answer] = [answer async for answer in stream.fetch(MINUTE)]
        assert answer.gone is not None
        [known, *_] = answer.records
        assert isinstance(known, Record)
        last = answer.gone(known.key)
        [event] = stream.explode(last, "0" * 32, 4)
    assert known.key == last.key
    assert isinstance(event.data, devices.DeviceV1)
    assert (3024, "gone", 4, None, None) == (
        event.data.device_id,
        event.data.state,
        event.data.revision,
        event.data.name,
        event.data.created,
    )
