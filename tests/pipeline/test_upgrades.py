"""State that an earlier release wrote is understood by the next one, or refused in so many words.

What becomes of each stream when its lists of fields change: test_upgrades_of_streams.py.
"""

import json
from collections.abc import Iterable
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from msgspec import structs

from collector.errors import UnreadableState
from collector.kafka.header import Header
from collector.model import Record, Reject
from collector.pipeline.ledger import Deduplicator, NewRecords
from collector.pipeline.state import Shape, State, by_stream, load
from collector.vendors import VENDORS
from collector.vendors.quividi import wire as quividi
from collector.vendors.seemetrix import wire as seemetrix
from tests.changed import CHANGES, Change, Lists, lists_of
from tests.pipeline.kinds import KINDS, Kind

WRITTEN = json.loads((Path(__file__).parent / "state" / "version_1.json").read_text("utf-8"))
"""Never written again: what version 1 left in the state topic, after the answers that are beside it."""
LISTS = json.loads((Path(__file__).parent / "state" / "lists.json").read_text("utf-8"))
"""What each version of a stream's lists of fields makes of the document's example: a new version is added."""
PARIS = ZoneInfo("Europe/Paris")
SHAPES = {
    name: Shape(KINDS[name].dedup_mode, KINDS[name].version, KINDS[name].max_clock_offset, KINDS[name].former)
    for name in ("sessions", "viewers")
}
AS_WRITTEN = [name for name, shape in SHAPES.items() if shape.fields_version == 1]
"""The streams whose lists have not changed since."""


def read(stream: str, rows: list[dict[str, object]]) -> Iterable[Record[Any] | Reject]:
    if stream == "sessions":
        return seemetrix.read(seemetrix.rows(json.dumps({"objects": rows}).encode()))
    answer = quividi.decode_export(json.dumps({"state": "finished", "data": rows}).encode())
    return quividi.read(quividi.rows(answer) or [], PARIS)


def state(stream: str, pairs: dict[str, str] | None = None, shape: Shape | None = None) -> State:
    prefix: str = WRITTEN[stream]["prefix"]
    found = {key.encode(): bytes.fromhex(value) for key, value in (pairs or WRITTEN[stream]["pairs"]).items()}
    return load(prefix, shape or SHAPES[stream], by_stream(found)[prefix])


def new(stream: str, rows: list[dict[str, object]], lists: Lists | None = None) -> list[NewRecords[Any]]:
    known = state(stream, shape=None if lists is None else changed(stream, 2, lists))
    deduplicator: Deduplicator[Any] = known.ledger.deduplicator(
        since_ms=-(1 << 62), until_ms=None, final_s=known.final_s, requested_s=1_783_000_000
    )
    records = read(stream, rows)
    deduplicator.add(
        records if lists is None else (row if isinstance(row, Reject) else lists.present(row) for row in records)
    )
    return list(deduplicator.new())


def changed(stream: str, version: int, lists: Lists | None) -> Shape:
    """The stream of another release."""
    return structs.replace(SHAPES[stream], fields_version=version, former=lists and lists.former)


def lists_of_next(stream: str, change: Change) -> Lists:
    return lists_of(stream, SHAPES[stream].dedup_mode, change)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("stream", AS_WRITTEN)
def test_lists_that_have_changed_since_then_publish_nothing_again_and_count_on(stream: str, change: Change) -> None:
    lists = lists_of_next(stream, change)
    rows = WRITTEN[stream]["answers"][-1]
    more = WRITTEN["sessions"]["answers"][0][:1] if stream == "sessions" else [*rows, rows[1]]

    assert [] == new(stream, rows, lists)
    [expected], [new_records] = new(stream, more), new(stream, more, lists)
    assert expected.records == new_records.records
    assert expected.entries == new_records.entries


@pytest.mark.parametrize("stream", AS_WRITTEN)
def test_state_of_lists_that_cannot_be_computed_any_more_is_refused(stream: str) -> None:
    lists = lists_of_next(stream, CHANGES["a field more"])
    for shape in (changed(stream, 3, lists), changed(stream, 2, None)):
        with pytest.raises(UnreadableState) as refused:
            state(stream, shape=shape)
        assert "state_too_old" == refused.value.code


@pytest.mark.parametrize("stream", AS_WRITTEN)
def test_a_page_of_two_versions_is_refused(stream: str) -> None:
    pairs = WRITTEN[stream]["pairs"]
    last = max(key for key in pairs if key.endswith("/1"))
    newer = bytearray.fromhex(pairs[last])
    newer[1] = 2
    lists = lists_of_next(stream, CHANGES["a field more"])
    with pytest.raises(UnreadableState) as refused:
        state(stream, {**pairs, last: newer.hex()}, changed(stream, 2, lists))
    assert "state_too_new" == refused.value.code


def test_every_stream_is_here() -> None:
    assert {name for vendor in VENDORS.values() for name in vendor.event_types} == KINDS.keys() == LISTS.keys()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_list_changes_without_its_version(kind: Kind) -> None:
    """If this fails: docs/adding-a-stream.md, "When a list of fields changes", says what to do."""
    records = [each for each in kind.read(kind.rows) if isinstance(each, Record)]

    assert LISTS[kind.name][str(kind.version)] == digests(records)
    if kind.former is not None:
        assert LISTS[kind.name][str(kind.version - 1)] == digests(map(kind.former, records))


def digests(records: Iterable[Record[Any]]) -> list[str]:
    return [blake2b(each.key + b" " + each.fingerprint, digest_size=16).hexdigest() for each in records]


@pytest.mark.parametrize("stream", SHAPES)
def test_what_was_published_then_is_not_published_again(stream: str) -> None:
    assert [] == new(stream, WRITTEN[stream]["answers"][-1])


def test_how_far_a_stream_was_is_known() -> None:
    checkpoint = state("sessions").checkpoint

    assert checkpoint is not None
    assert ("2019-07-01T10:00:00", "2019-07-01T12:00:00", "2019-07-01T11:00:00", "2019-07-01T11:30:00") == tuple(
        f"{moment:%Y-%m-%dT%H:%M:%S}"
        for moment in (checkpoint.since, checkpoint.watermark, checkpoint.final, checkpoint.swept_at)
    )
    assert (timedelta(hours=6), "every device") == (checkpoint.span, checkpoint.selection)


def test_revisions_are_counted_on() -> None:
    first, *_ = WRITTEN["sessions"]["answers"][0]
    [new_records] = new("sessions", [first])

    assert [2] == [each.number for each in new_records.records]


def test_one_more_of_equal_rows_is_the_next_occurrence() -> None:
    rows = WRITTEN["viewers"]["answers"][-1]
    [new_records] = new("viewers", [*rows, rows[1]])

    assert [3] == [each.number for each in new_records.records]


def test_the_header_of_a_partition_is_read() -> None:
    assert Header(1, "collector", 32) == msgspec.json.decode(WRITTEN["header"], type=Header)


@pytest.mark.parametrize("stream", SHAPES)
def test_state_of_a_version_that_is_not_known_is_refused_and_not_guessed(stream: str) -> None:
    for key, value in WRITTEN[stream]["pairs"].items():
        written = bytes.fromhex(value)
        newer = written.replace(b'"version":1', b'"version":9') if written[:1] == b"{" else b"\x09" + written[1:]
        with pytest.raises(UnreadableState) as refused:
            state(stream, {**WRITTEN[stream]["pairs"], key: newer.hex()})
        assert "state_too_new" == refused.value.code
