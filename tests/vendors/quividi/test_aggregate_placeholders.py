"""A placeholder of a place and period is replaced by the rows of its gates, contents or demographic groups."""

from itertools import permutations
from typing import Any

import msgspec
import pytest

from collector.model import DedupMode, Record
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.page import chunks_by_page
from collector.vendors.quividi.aggregate_records import Aggregate
from collector.vendors.quividi.aggregates import Aggregates
from tests.rows import without_steps
from tests.vendors.quividi.aggregated import DIGEST, aggregates, found, read, row, value
from tests.vendors.quividi.example import finished_export

PARTS: list[tuple[str, dict[str, object]]] = [
    ("gate", {"gate_id": 1}),
    ("proof_of_play_by_location", {"content_id": "a"}),
    ("proof_of_play_by_site", {"content_id": "a"}),
    ("content_plays", {"content_id": "a"}),
    ("retail_analytics_footfall_aggregated", {"zone_id": 9}),
    ("pmp_sales_by_demographics_aggregated", {"product": "a"}),
    ("pmp_sales_funnel_aggregated", {"gender": 1, "age": 2}),
    ("viewers_aggregated", {"gender": 1, "age": 2}),
]
each_type = pytest.mark.parametrize(("stream", "part"), PARTS)


class Vendor:
    """The exports of one stream, deduplicated."""

    def __init__(self, stream: str) -> None:
        self.rows = aggregates(stream, is_grouped=stream == "viewers_aggregated")
        self._ledger = Ledger(DedupMode.VERSIONED)

    def publish(self, *raw: bytes) -> list[tuple[dict[str, Any], int]]:
        """The new events of a response, and their revisions."""
        deduplicator: Deduplicator[Aggregate] = Deduplicator.without_limits(self._ledger, requested_s=0)
        deduplicator.add(read(self.rows, finished_export(*raw)))
        new = without_steps(deduplicator.take_new())
        for page, chunk in chunks_by_page(entry for each in new for entry in each.entries).items():
            self._ledger.add(page, chunk)
        return [
            (value(event), each.number)
            for records in new
            for each in records.records
            for event in self.rows.explode(each.record, DIGEST, each.number, "acme")
        ]


def placeholder(stream: str, part: dict[str, object], **changes: object) -> bytes:
    """The placeholder of the period of the example: every metric and key part is null."""
    row_of_example = msgspec.json.decode(row(stream))
    keep = {"location_id", "site_id", "period_start", "period_start_date", "period_start_time"}
    nulls = dict.fromkeys([*(name for name in row_of_example if name not in keep), *part])
    return row(stream, **{**nulls, **changes})


def keys(rows: Aggregates, *raw: bytes) -> list[bytes]:
    """The keys of the records that are published in any case."""
    got = found(rows, finished_export(*raw))
    return sorted(one.key for one in got if isinstance(one, Record))


@each_type
def test_a_placeholder_beside_other_rows_of_its_period_is_dropped(stream: str, part: dict[str, object]) -> None:
    rows, one = Vendor(stream).rows, row(stream, **part)
    for raw in permutations((placeholder(stream, part), one)):
        assert keys(rows, one) == keys(rows, *raw)


@each_type
def test_a_placeholder_of_another_place_or_period_stays(stream: str, part: dict[str, object]) -> None:
    rows, one = Vendor(stream).rows, row(stream, **part)
    place = "site_id" if stream.endswith("site") else "location_id"
    for other in ({"period_start": "2018-02-03 04:00:00"}, {place: 7}):
        assert 2 == len(keys(rows, placeholder(stream, part, **other), one))


@each_type
def test_a_published_placeholder_is_withdrawn_when_other_rows_come(stream: str, part: dict[str, object]) -> None:
    vendor, empty, one = Vendor(stream), placeholder(stream, part), row(stream, **part)

    [(before, first)] = vendor.publish(empty)
    assert ("no_data", 0) == (before["quality"], first)
    [(withdrawn, second)] = [item for item in vendor.publish(one) if item[1]]
    assert (before | {"quality": "observed", "revision": 1}, 1) == (withdrawn, second)
    for response in ([one], [one, empty], [empty, one]):
        assert [] == vendor.publish(*response)
    [(again, third)] = vendor.publish(empty)
    assert (before | {"revision": 2}, 2) == (again, third)


@each_type
def test_nothing_is_withdrawn_where_no_placeholder_was_published(stream: str, part: dict[str, object]) -> None:
    vendor = Vendor(stream)

    [(event, revision)] = vendor.publish(row(stream, **part))
    assert ("observed", 0) == (event["quality"], revision)


def test_a_row_of_no_group_with_numbers_replaces_the_placeholder() -> None:
    stream, part = PARTS[-1]
    vendor, empty = Vendor(stream), placeholder(stream, part)
    whole, one = row(stream, gender=None, age=None), row(stream, **part)

    vendor.publish(empty)
    published = vendor.publish(one, whole, empty)
    assert {(1, 0), (None, 1)} == {(event["gender_code"], number) for event, number in published}
    assert [1, 1] == [event["watcher_count"] for event, _ in published]
    assert [] == vendor.publish(one, whole, empty)


def test_a_part_without_data_is_a_record_of_its_own() -> None:
    nulls = {"in_count": None, "out_count": None, "duration": None}
    vendor = Vendor("gate")

    assert ["no_data"] == [event["quality"] for event, _ in vendor.publish(row("gate", **nulls))]
    assert [("observed", 1)] == [(event["quality"], number) for event, number in vendor.publish(row("gate"))]


def test_types_without_key_parts_withdraw_nothing() -> None:
    for stream in ("ots", "viewers_aggregated"):
        got = read(aggregates(stream), finished_export(row(stream)))
        assert [False] == [one.only_if_known for one in got if isinstance(one, Record)]
