"""Rows without an id: as many viewers as there are rows, each once, whatever else is told of them later."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from collector.model import DedupMode, Window
from collector.pipeline.batch import Context, batches
from collector.pipeline.ledger import Deduplicator, Ledger
from collector.pipeline.message import Origin
from collector.pipeline.page import grouped
from collector.vendors.quividi.events import explode_viewer
from collector.vendors.quividi.wire import LocatedViewer, read
from tests.vendors.quividi.example import EXPERT, LEFT_OUT, PARIS, PRO, row

HOUR = Window(datetime(2018, 1, 29, 0, tzinfo=UTC), datetime(2018, 1, 29, 1, tzinfo=UTC))
CONTEXT = Context(DedupMode.MULTISET, Origin("quividi", "mall", "viewers"), HOUR, HOUR.end, HOUR.start, live=True)


class Following:
    """One stream whose every answer is committed."""

    def __init__(self) -> None:
        self.ledger = Ledger(DedupMode.MULTISET)

    def take(self, *rows: bytes, zone: ZoneInfo = PARIS) -> list[dict[str, Any]]:
        """What is published of one answer."""
        deduplicator: Deduplicator[LocatedViewer] = self.ledger.deduplicator(
            since_ms=0, until_ms=None, final_s=0, requested_s=0
        )
        deduplicator.add(read([msgspec.Raw(raw) for raw in rows], zone))
        return list(self._published(deduplicator))

    def _published(self, deduplicator: Deduplicator[LocatedViewer]) -> Iterator[dict[str, Any]]:
        for batch in batches(deduplicator, partial(explode_viewer, source="mall"), CONTEXT):
            yield from (msgspec.json.decode(message.value) for message in batch.messages)
            for page, chunk in grouped(batch.entries).items():
                self.ledger.add(page, chunk)


def occurrences(events: list[dict[str, Any]]) -> list[int]:
    return [event["occurrence"] for event in events]


def test_two_equal_rows_are_two_viewers_and_stay_two() -> None:
    stream = Following()
    events = stream.take(PRO[0], PRO[0], PRO[1])

    assert [0, 1, 0] == occurrences(events)
    assert 3 == len({event["event_id"] for event in events}) == len({event["record_id"] for event in events})
    assert [] == stream.take(PRO[1], PRO[0], PRO[0])


def test_a_twin_that_comes_late_is_the_next_occurrence_and_itself() -> None:
    stream = Following()
    first = stream.take(row(vr_id=1))
    second = stream.take(row(vr_id=2), row(vr_id=1))

    assert [(0, 1), (1, 2)] == [(event["occurrence"], event["vr_id"]) for event in (*first, *second)]


def test_a_viewer_of_whom_more_is_told_later_is_not_another_one() -> None:
    stream = Following()
    stream.take(row(age_value=None, happy=None))

    assert [] == stream.take(row(vr_id=7))
    assert [] == stream.take(row(period_start=LEFT_OUT, start_time="2018-01-29 01:28:52"))


def test_ids_are_the_same_in_every_replica_under_every_name_and_in_any_order() -> None:
    ids = [
        {event["event_id"] for event in Following().take(*rows)}
        for rows in ((row(), row(), EXPERT[1]), (EXPERT[1], row(dwell_time=LEFT_OUT, dwell_time_in_tenths_of_sec=24)))
    ]

    assert 3 == len(ids[0])
    assert ids[1] < ids[0]
    assert ids[0] == {event["event_id"] for event in Following().take(EXPERT[1], row(), row(), zone=ZoneInfo("UTC"))}


def test_ids_never_change_by_themselves() -> None:
    """A change would publish all history again under new ids."""
    assert ["1cdbabae122a8a16553b52abb760ed64/viewer/0"] == [event["event_id"] for event in Following().take(PRO[0])]
