"""Every stream decodes its dead letters again as it decodes the vendor's rows, or says why it cannot."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from collector.commands.dead_letters import NOT_UNDERSTOOD, Configured, configured
from collector.errors import NotReplayable
from collector.model import DedupMode, Record, Reject, Window
from collector.pipeline.dead_letters import StoredLetter
from collector.pipeline.message import record_digest
from collector.pipeline.rejects import FAR_AHEAD
from collector.vendors.quividi.configured_rows import SAME_IDENTITY
from tests.commands.dead_letters import FORMER_ERROR, NOW, letter_of, settings_of, stream_of
from tests.pipeline.stream_cases import CONFIGURED, STREAM_CASES, StreamCase

pytestmark = pytest.mark.anyio

HOUR = timedelta(hours=1)
_EXTRAPOLATED = frozenset({"quividi.extrapolated_ots", "quividi.extrapolated_watchers"})
_SNAPSHOTS = {name for name, case in STREAM_CASES.items() if case.dedup_mode is DedupMode.LATEST}
_HISTORIES = {name for name in STREAM_CASES.keys() - _SNAPSHOTS - _EXTRAPOLATED if not name.startswith(CONFIGURED)}
_RESOLVED = {
    name
    for name in _HISTORIES | _EXTRAPOLATED
    if name.startswith("quividi.") and STREAM_CASES[name].dedup_mode is DedupMode.VERSIONED
} - {"quividi.alerts", "quividi.monitoring"}
QUIVIDI = {"vendor": "quividi", "username": "ann", "token": "a long token of the tests", "timezone": "Europe/Paris"}
SEEMETRIX = {"vendor": "seemetrix", "user_id": 864, "user_key": "42208b8df38b4e97878ce00aa765bc38"}
TREE = {"levels": ("devices", "dates", "emotions"), "dt_format": "MM", "resolution": "6M", "anchor": date(2016, 12, 1)}
PLACES = {"seemetrix.breakdown": "None/2016-12-01T00:00:00.000Z"}
"""The places of rejects, where they are not empty."""
ROWS = {"data_type": "new_type", "resolution": "1h", "place": "location_id", "time": "period_start"}
PAYLOAD = b'{"location_id": 8866, "period_start": "2018-01-29T01:28:52"}'


def _source(name: str) -> dict[str, Any]:
    """The table of a source with only this stream."""
    vendor, _, stream = name.partition(".")
    if vendor == "seemetrix":
        return SEEMETRIX | {"streams": {stream: TREE if stream == "breakdown" else {}}}
    table: dict[str, Any] = {"resolution": "1h"} if name in _RESOLVED else {}
    if name in _EXTRAPOLATED:
        table["extrapolation_amount"] = 2
    return QUIVIDI | {"sites": (178,), "streams": {stream: table}}


@pytest.fixture
async def streams(request: pytest.FixtureRequest) -> AsyncIterator[Configured]:
    """The configuration with the stream that the parameter names."""
    async with configured(settings_of(mall=_source(request.param))) as found:
        yield found


def _stream(streams: Configured) -> Any:  # noqa: ANN401 - a stream of any payload
    ((source, name),) = streams.shards
    return stream_of(streams, source, name)


def _ids(case: StreamCase, streams: Configured, records: list[Record[Any]]) -> set[str]:
    account = _stream(streams).account
    return {
        event.id
        for each in records
        if not each.only_if_known
        for event in case.explode(each, record_digest(case.dedup_mode, each, 0, account), 0)
    }


@pytest.mark.parametrize(("streams", "name"), [(name, name) for name in sorted(_HISTORIES)], indirect=["streams"])
async def test_a_row_has_the_ids_that_it_has_in_a_response(streams: Configured, name: str) -> None:
    case = STREAM_CASES[name]
    (row, *_) = case.rows
    reject = Reject(json.dumps(row).encode(), FORMER_ERROR, place=PLACES.get(name, ""))
    expected = _ids(case, streams, [each for each in case.decode([row]) if isinstance(each, Record)])

    found = streams.understood(letter_of(streams, _stream(streams), reject), NOW)

    assert expected
    assert expected == _ids(case, streams, list(found.records))


@pytest.mark.parametrize("streams", sorted(_SNAPSHOTS - {"quividi.zones"}), indirect=True)
async def test_a_present_state_is_not_decoded_again(streams: Configured) -> None:
    stored = letter_of(streams, _stream(streams), Reject(b"{}", FORMER_ERROR))

    with pytest.raises(NotReplayable) as raised:
        streams.understood(stored, NOW)

    assert "present_state" == raised.value.code


def _code(streams: Configured, stored: StoredLetter) -> str:
    """Why a dead letter cannot be replayed; empty if it can."""
    try:
        streams.understood(stored, NOW)
    except NotReplayable as error:
        return error.code
    return ""


def _letter(streams: Configured, row: bytes, where: str = "", /, **changes: object) -> StoredLetter:
    """The dead letter of a row, with changes to its value."""
    stored = letter_of(streams, _stream(streams), Reject(row, FORMER_ERROR, place=where))
    return structs.replace(stored, letter=structs.replace(stored.letter, **changes))


@pytest.mark.parametrize("streams", sorted(_EXTRAPOLATED), indirect=True)
async def test_a_row_without_a_place_is_that_of_the_selection(streams: Configured) -> None:
    row = json.dumps(STREAM_CASES[f"quividi.{_stream(streams).name}"].rows[0]).encode()
    (reject,) = _stream(streams)._rows.read((b"{}",), datetime.min, datetime.max)  # noqa: DTZ901

    assert "" == _code(streams, _letter(streams, row, reject.place))
    assert "configuration_changed" == _code(streams, _letter(streams, row, "5e1ec7ed/extrapolation_amount=3"))
    assert "place_unknown" == _code(streams, _letter(streams, row, reject.place, place=None))


@pytest.mark.parametrize("streams", ["quividi.viewers"], indirect=True)
@pytest.mark.parametrize(
    ("payload", "changes", "code"),
    [
        (b"{}", {}, NOT_UNDERSTOOD),
        (b"[]", {}, NOT_UNDERSTOOD),
        (PAYLOAD, {"reason": "too_large"}, "too_large"),
        (PAYLOAD, {"error": FAR_AHEAD}, "far_ahead"),
        (PAYLOAD, {"source": "hall"}, "unknown_source"),
        (PAYLOAD, {"stream": "footfall"}, "unknown_stream"),
        (PAYLOAD, {"payload": PAYLOAD.decode() + " "}, "other_account"),
        (PAYLOAD, {"event_id": "0" * 32 + "/dead_letter/0"}, "other_account"),
        (PAYLOAD, {"event_id": "0" * 32 + "/dead_letter/0", "place": None}, "place_unknown"),
        (b'{"name": "' + b"x" * 70_000 + b'"}', {}, "truncated"),
        (b'{"name": "a long token of the tests"}', {}, "redacted"),
        (b'{"name": "\xff"}', {}, "not_utf8"),
    ],
)
async def test_a_dead_letter_that_lacks_something_is_not_replayed(
    streams: Configured, payload: bytes, changes: dict[str, Any], code: str
) -> None:
    assert code == _code(streams, _letter(streams, payload, **changes))


@pytest.mark.parametrize("streams", ["quividi.viewers"], indirect=True)
async def test_a_row_that_starts_far_ahead_is_still_malformed(streams: Configured) -> None:
    row = STREAM_CASES["quividi.viewers"].rows[0]
    ahead = json.dumps(row | {"period_start": "2026-12-02T00:00:00"}).encode()

    assert NOT_UNDERSTOOD == _code(streams, _letter(streams, ahead))
    assert "" == _code(streams, _letter(streams, ahead.replace(b"12-02", b"11-30")))


@pytest.mark.parametrize("streams", ["seemetrix.statistics"], indirect=True)
@pytest.mark.parametrize("device", ["", "3024"])
@pytest.mark.parametrize("is_old", [False, True], ids=["present release", "earlier release"])
async def test_a_row_of_statistics_is_of_the_device_of_its_request(
    streams: Configured, device: str, is_old: bool
) -> None:
    row = json.dumps(STREAM_CASES["seemetrix.statistics"].rows[0]).encode()
    stored = letter_of(streams, _stream(streams), Reject(row, FORMER_ERROR, device or None, device))
    if is_old:  # it wrote no place, but a message key
        stored = structs.replace(stored, letter=structs.replace(stored.letter, place=None, timezone=None))

    (record,) = streams.understood(stored, NOW).records

    assert (int(device) if device else None) == record.payload.device_id


@pytest.mark.parametrize("streams", ["seemetrix.statistics"], indirect=True)
async def test_an_hour_beyond_the_window_is_incomplete(streams: Configured) -> None:
    row = json.dumps(STREAM_CASES["seemetrix.statistics"].rows[0]).encode()
    hour = datetime(2017, 9, 12, 11, tzinfo=UTC)
    before, of_it = (Window(hour + n * HOUR, hour + (n + 1) * HOUR) for n in (0, 1))
    codes = [
        _code(streams, letter_of(streams, _stream(streams), Reject(row, ""), window)) for window in (before, of_it)
    ]

    assert ["not_published", ""] == codes


@pytest.mark.parametrize("streams", ["seemetrix.breakdown"], indirect=True)
@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("3024/2016-12-01T00:00:00.000Z", ""),
        ("None/2016-12-02T00:00:00.000Z", "configuration_changed"),
        ("None/2016-12-01T00:00:00.000Z/Europe/Paris", "configuration_changed"),
        ("", "place_unknown"),
    ],
)
async def test_a_subtree_is_of_the_device_and_the_period_of_its_request(
    streams: Configured, place: str, code: str
) -> None:
    row = json.dumps(STREAM_CASES["seemetrix.breakdown"].rows[0]).encode()
    stored = _letter(streams, row, place)

    assert code == _code(streams, stored)
    if not code:
        records = streams.understood(stored, NOW).records
        assert {3024} == {each.payload.request.device_id for each in records}
        assert all(each.payload.path for each in records), "a part does not tell the totals of the whole"


@pytest.mark.parametrize("streams", ["quividi.viewers_aggregated"], indirect=True)
async def test_the_hour_that_occurs_twice_is_the_sum_of_two_rows(streams: Configured) -> None:
    row = STREAM_CASES["quividi.viewers_aggregated"].rows[0]
    twice = json.dumps(row | {"period_start": "2018-10-28 02:00:00"}).encode()

    assert "other_rows_matter" == _code(streams, _letter(streams, twice))


@pytest.mark.parametrize("streams", ["quividi.alerts", "quividi.monitoring"], indirect=True)
async def test_nothing_is_kept_of_a_row_that_is_no_object(streams: Configured) -> None:
    assert "payload_not_kept" == _code(streams, _letter(streams, b""))


async def test_rows_of_types_configured_by_hand_are_decoded_by_their_table() -> None:
    source = QUIVIDI | {"locations": (8866,), "rows": {"queues": ROWS}}
    async with configured(settings_of(mall=source)) as streams:
        row = b'{"location_id": 8866, "period_start": "2018-01-29T01:00:00", "wait": 5}'
        (record,) = streams.understood(_letter(streams, row), NOW).records

        assert "location/8866" == record.payload.about
        assert "other_rows_matter" == _code(streams, _letter(streams, row, error=SAME_IDENTITY))
        twice = row.replace(b"2018-01-29T01", b"2018-10-28T02")
        assert "other_rows_matter" == _code(streams, _letter(streams, twice))


async def test_a_row_is_read_in_the_time_zone_of_its_request() -> None:
    zones = ({"timezone": "America/New_York", "locations": (8866,)},)
    source = QUIVIDI | {"locations": (8866, 1056), "zones": zones}
    row = json.dumps(STREAM_CASES["quividi.viewers"].rows[0]).encode()
    async with configured(settings_of(mall=source)) as streams:
        shards = streams.shards["mall", "viewers"]
        stored = letter_of(streams, shards[1], Reject(row, FORMER_ERROR))
        assert ["Europe/Paris", "America/New_York"] == [str(each.zone) for each in shards]
        assert shards[1] is streams.understood(stored, NOW).stream
        for zone, code in ((None, "zone_unknown"), ("Asia/Tokyo", "configuration_changed")):
            other = structs.replace(stored, letter=structs.replace(stored.letter, timezone=zone))
            assert code == _code(streams, other)
