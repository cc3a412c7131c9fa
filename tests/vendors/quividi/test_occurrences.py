"""Rows have no id: n equal rows are n viewers, each published once, even if optional fields change later."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from collector.model import Account, DedupMode, Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import Ledger
from collector.pipeline.message import Origin
from collector.pipeline.page import chunks_by_page
from collector.vendors.quividi.events import explode_viewer
from collector.vendors.quividi.viewers import LocatedViewer
from tests.rows import read_viewers, without_steps
from tests.vendors.quividi.example import ABSENT, EXPERT, PARIS, PRO, row

HOUR = Window(datetime(2018, 1, 29, 0, tzinfo=UTC), datetime(2018, 1, 29, 1, tzinfo=UTC))
CONTEXT = Context(
    DedupMode.MULTISET, Origin(Account("quividi", "632"), "mall", "viewers"), HOUR, HOUR.end, HOUR.start, is_live=True
)


class CommittingStream:
    """A stream that commits every response."""

    def __init__(self) -> None:
        self.ledger = Ledger(DedupMode.MULTISET)

    def publish(self, *rows: bytes, zone: ZoneInfo = PARIS) -> list[dict[str, Any]]:
        """The published values of the events of one response."""
        deduplicator: Deduplicator[LocatedViewer] = Deduplicator(
            self.ledger, since_ms=0, until_ms=None, final_s=0, requested_s=0
        )
        deduplicator.add(read_viewers(rows, zone))
        return list(self._published(deduplicator))

    def _published(self, deduplicator: Deduplicator[LocatedViewer]) -> Iterator[dict[str, Any]]:
        for batch in without_steps(batches(deduplicator, partial(explode_viewer, user="acme"), CONTEXT)):
            yield from (msgspec.json.decode(message.value) for message in batch.messages)
            for page, chunk in chunks_by_page(batch.entries).items():
                self.ledger.add(page, chunk)


def occurrences(events: list[dict[str, Any]]) -> list[int]:
    return [event["occurrence"] for event in events]


def test_two_equal_rows_are_two_viewers() -> None:
    stream = CommittingStream()
    events = stream.publish(PRO[0], PRO[0], PRO[1])

    assert [0, 1, 0] == occurrences(events)
    assert 3 == len({event["event_id"] for event in events}) == len({event["record_id"] for event in events})
    assert [] == stream.publish(PRO[1], PRO[0], PRO[0])


def test_an_equal_row_that_arrives_late_is_the_next_occurrence() -> None:
    stream = CommittingStream()
    first = stream.publish(row(vr_id=1))
    second = stream.publish(row(vr_id=2), row(vr_id=1))

    assert [(0, "1"), (1, "2")] == [(event["occurrence"], event["vr_id"]) for event in (*first, *second)]


def test_additional_fields_do_not_make_another_viewer() -> None:
    stream = CommittingStream()
    stream.publish(row(age_value=None, happy=None))

    assert [] == stream.publish(row(vr_id=7))
    assert [] == stream.publish(row(period_start=ABSENT, start_time="2018-01-29 01:28:52"))


def test_ids_do_not_depend_on_order_names_or_zone() -> None:
    ids = [
        {event["event_id"] for event in CommittingStream().publish(*rows)}
        for rows in ((row(), row(), EXPERT[1]), (EXPERT[1], row(dwell_time=ABSENT, dwell_time_in_tenths_of_sec=24)))
    ]

    assert 3 == len(ids[0])
    assert ids[1] < ids[0]
    assert ids[0] == {
        event["event_id"] for event in CommittingStream().publish(EXPERT[1], row(), row(), zone=ZoneInfo("UTC"))
    }


def test_ids_are_stable_across_releases() -> None:
    """A change would publish all history again with new ids."""
    assert ["da79ec9f95f15b5959072a804a887ae9/viewer/0"] == [
        event["event_id"] for event in CommittingStream().publish(PRO[0])
    ]
