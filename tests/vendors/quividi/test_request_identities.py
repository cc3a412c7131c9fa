"""What a request selects is part of the identity of its rows exactly where rows with and without it differ."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec
import pytest

from collector.model import Record, Reject, Window
from collector.vendors.quividi.streams import ExportStream
from tests.vendors.quividi.aggregated import ALL_EXAMPLES
from tests.vendors.quividi.test_contents import TWO_CONTENTS
from tests.vendors.quividi.test_export_requests import MORNING, lobby
from tests.vendors.quividi.vidicenter import USER, VidiCenter

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "stream", ["viewers_apc", "proof_of_play_by_location", "proof_of_play_by_location_footfall_faces"]
)
async def test_the_selected_contents_are_part_of_identities_and_their_order_is_not(stream: str) -> None:
    data = {"viewers_apc": b"[" + TWO_CONTENTS + b"]"}.get(stream) or first_row(stream)
    tables: list[dict[str, Any]] = [
        {},
        {"content_ids": ["a", "b"]},
        {"content_ids": ["b", "a"]},
        {"content_ids": ["a"]},
    ]
    ids = [(await first_record(stream, table, data))[0] for table in tables]

    assert ids[1] == ids[2]
    assert 3 == len(set(ids))
    assert all(each.startswith(f"{ids[0]}/content_ids=") for each in ids[1:])


async def test_the_previous_release_had_one_key_for_all_selections_of_contents_of_viewers() -> None:
    keys = []
    for table in ({}, {"content_ids": ["a"]}):
        _, one, record = await first_record("viewers_apc", table, b"[" + TWO_CONTENTS + b"]")
        assert one.former is not None
        keys.append(one.former(record).key)

    assert keys[0] == keys[1]


def first_row(stream: str) -> bytes:
    """The rows of a response that has the first one of the example."""
    return msgspec.json.encode(msgspec.json.decode(ALL_EXAMPLES[stream])["data"][:1])


async def first_record(
    stream: str, table: dict[str, Any], data: bytes, **settings: object
) -> tuple[str, ExportStream[Any], Record[Any]]:
    """The `record_id` of the first record of a response with these rows, the stream and the record."""
    vendor = VidiCenter()
    vendor.data = lambda _: data
    year = Window(datetime.fromisoformat("2017-12-31T23:00:00Z"), datetime.fromisoformat("2018-12-31T23:00:00Z"))
    async with lobby(vendor, {stream: table}, **settings) as [one]:
        [[record, *_]] = [tuple(each.records) async for each in one.fetch(year)]
        assert isinstance(record, Record)
        event = next(one.explode(record, "f" * 32, 0))
        return event.data.record_id, one, record  # type: ignore[attr-defined]


async def test_the_duration_of_contents_is_part_of_identities_if_it_is_set() -> None:
    tables: list[dict[str, Any]] = [
        {},
        {"average_content_duration": "15s"},
        {"average_content_duration": "30s"},
    ]
    ids = [(await first_record("im", table, first_row("im")))[0] for table in tables]

    plain = f"quividi/{quote(USER, safe='')}/im/5120/2018-01-29T10:00:00/1h"
    assert [plain, f"{plain}/average_content_duration=15", f"{plain}/average_content_duration=30"] == ids


async def test_grouping_of_watchers_by_content_adds_columns_and_is_no_part_of_identities() -> None:
    stream = "proof_of_play_by_location"
    ids = {
        (await first_record(stream, {"group_by_demographics": grouped}, first_row(stream)))[0]
        for grouped in (False, True)
    }

    assert 1 == len(ids)


async def test_amount_and_selection_are_part_of_identities_of_extrapolations() -> None:
    stream, other = "extrapolated_ots", {"locations": [1056, 8264]}
    data = first_row(stream)
    ids = {
        name: (await first_record(stream, {"extrapolation_amount": amount}, data, **settings))[0]
        for name, amount, settings in (
            ("hundred", 100, {}),
            ("average", "", {}),
            ("other amount", 101, {}),
            ("other places", 100, other),
            ("in another order", 100, {"locations": [8264, 1056, 8264]}),
            ("other selector", 100, {"locations": None, "sites": [1056]}),
        )
    }

    assert ids["other places"] == ids["in another order"]
    assert 5 == len(set(ids.values()))
    assert ids["hundred"].endswith("/2018-01-29T10:00:00/1h/extrapolation_amount=100")
    assert ids["average"].endswith("/2018-01-29T10:00:00/1h/extrapolation_amount=average")
    assert ids["hundred"].rpartition("/")[0] == ids["average"].rpartition("/")[0]


async def test_a_malformed_row_of_an_extrapolation_has_the_key_of_the_account() -> None:
    vendor = VidiCenter()
    vendor.data = lambda _: b'[{"period_start":"2018-01-29 02:00:00","watcher_count":3}]'
    async with lobby(vendor, {"extrapolated_ots": {"extrapolation_amount": ""}}) as [one]:
        [[reject]] = [tuple(each.records) async for each in one.fetch(MORNING)]

    assert isinstance(reject, Reject)
    assert f"user/{quote(USER, safe='')}" == reject.key
    assert reject.place.endswith("/extrapolation_amount=average")


async def test_an_extrapolation_is_one_export_of_the_whole_selection() -> None:
    vendor = VidiCenter()
    places = list(range(10_000, 10_900))
    async with lobby(vendor, {"extrapolated_watchers": {"extrapolation_amount": 5000}}, locations=places) as [one]:
        assert [0] == [result.rows async for result in one.fetch(MORNING)]

    assert 1 == len(vendor.builds)
    assert {",".join(map(str, places))} == {parse_qs(query)["locations"][0] for query in vendor.queries}
