"""State that an earlier release wrote is read, or refused with a code.

For changes of each stream's field lists see test_upgrades_of_streams.py.
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
from collector.pipeline.deduplicator import Deduplicator
from collector.pipeline.ledger import NewRecords
from collector.pipeline.state import State, StateFormat, by_stream, load
from collector.vendors import VENDORS
from collector.vendors.seemetrix import wire as seemetrix
from tests.field_changes import FIELD_CHANGES, PREVIOUS_FINGERPRINTS, FieldChange, FieldLists, field_lists
from tests.pipeline.stream_cases import CONFIGURED, STREAM_CASES, StreamCase
from tests.rows import export_rows, read_viewers, session_rows, without_steps
from tests.vendors.quividi.configured import FORMS

WRITTEN = json.loads((Path(__file__).parent / "state" / "version_1.json").read_text("utf-8"))
"""The state topic as version 1 left it after the responses in the same file. Never regenerated."""
LISTS = json.loads((Path(__file__).parent / "state" / "lists.json").read_text("utf-8"))
"""Digests of keys and fingerprints of the documents' examples, by `<vendor>.<stream>` and field list version. Only
extended."""
PARIS = ZoneInfo("Europe/Paris")
CASES = {"sessions": STREAM_CASES["seemetrix.sessions"], "viewers": STREAM_CASES["quividi.viewers"]}
"""By their names in `WRITTEN`."""
FORMATS = {
    name: StateFormat(case.dedup_mode, case.fields_version, case.max_clock_offset, case.former)
    for name, case in CASES.items()
}
UNCHANGED = [name for name, state_format in FORMATS.items() if state_format.fields_version == 1]
"""The streams whose field lists are still those of version 1."""


def decode(stream: str, rows: list[dict[str, object]]) -> Iterable[Record[Any] | Reject]:
    if stream == "sessions":
        return seemetrix.read(session_rows(json.dumps({"objects": rows}).encode()))
    return read_viewers(export_rows(json.dumps({"state": "finished", "data": rows}).encode()), PARIS)


def state(stream: str, pairs: dict[str, str] | None = None, state_format: StateFormat | None = None) -> State:
    prefix: str = WRITTEN[stream]["prefix"]
    found = {key.encode(): bytes.fromhex(value) for key, value in (pairs or WRITTEN[stream]["pairs"]).items()}
    return load(prefix, state_format or FORMATS[stream], by_stream(found)[prefix])


def new_records(stream: str, rows: list[dict[str, object]], lists: FieldLists | None = None) -> list[NewRecords[Any]]:
    known = state(stream, state_format=None if lists is None else other_format(stream, 2, lists))
    deduplicator: Deduplicator[Any] = Deduplicator(
        known.ledger, since_ms=-(1 << 62), until_ms=None, final_s=known.final_s, requested_s=1_783_000_000
    )
    records = decode(stream, rows)
    deduplicator.add(
        records if lists is None else (row if isinstance(row, Reject) else lists.upgraded(row) for row in records)
    )
    return without_steps(deduplicator.take_new())


def other_format(stream: str, version: int, lists: FieldLists | None) -> StateFormat:
    """Return the state format of the stream in another release."""
    return structs.replace(FORMATS[stream], fields_version=version, former=lists and lists.former)


def next_lists(stream: str, change: FieldChange) -> FieldLists:
    return field_lists(CASES[stream].name, FORMATS[stream].dedup_mode, change)


@pytest.mark.parametrize("change", FIELD_CHANGES.values(), ids=FIELD_CHANGES)
@pytest.mark.parametrize("stream", UNCHANGED)
def test_after_a_change_of_field_lists_nothing_is_published_again_and_numbers_continue(
    stream: str, change: FieldChange
) -> None:
    lists = next_lists(stream, change)
    rows = WRITTEN[stream]["answers"][-1]
    more = WRITTEN["sessions"]["answers"][0][:1] if stream == "sessions" else [*rows, rows[1]]

    assert [] == new_records(stream, rows, lists)
    [expected], [found] = new_records(stream, more), new_records(stream, more, lists)
    assert expected.records == found.records
    assert expected.entries == found.entries


@pytest.mark.parametrize("stream", UNCHANGED)
def test_state_of_unsupported_field_lists_is_refused(stream: str) -> None:
    lists = next_lists(stream, FIELD_CHANGES["more fields"])
    for state_format in (other_format(stream, 3, lists), other_format(stream, 2, None)):
        with pytest.raises(UnreadableState) as refused:
            state(stream, state_format=state_format)
        assert "state_too_old" == refused.value.code


@pytest.mark.parametrize("stream", UNCHANGED)
def test_a_page_with_two_field_list_versions_is_refused(stream: str) -> None:
    pairs = WRITTEN[stream]["pairs"]
    last = max(key for key in pairs if key.endswith("/1"))
    newer = bytearray.fromhex(pairs[last])
    newer[1] = 2
    lists = next_lists(stream, FIELD_CHANGES["more fields"])
    with pytest.raises(UnreadableState) as refused:
        state(stream, {**pairs, last: newer.hex()}, other_format(stream, 2, lists))
    assert "state_too_new" == refused.value.code


def test_every_stream_has_a_case_and_recorded_digests() -> None:
    streams = {f"{vendor.name}.{name}" for vendor in VENDORS.values() for name in vendor.event_types}
    streams |= {f"{CONFIGURED}{form.stream}" for form, _ in FORMS}
    assert streams == STREAM_CASES.keys(), "see STREAM_CASES"
    assert streams == PREVIOUS_FINGERPRINTS.keys(), "see PREVIOUS_FINGERPRINTS in tests/field_changes.py"
    assert streams == LISTS.keys(), "add the digests that test_no_list_changes_without_its_version shows to lists.json"


@pytest.mark.parametrize("case", STREAM_CASES.values(), ids=STREAM_CASES)
def test_no_list_changes_without_its_version(case: StreamCase) -> None:
    """If this fails, see docs/adding-a-stream.md on changes of field lists."""
    records = [each for each in case.decode(case.rows) if isinstance(each, Record) and not each.only_if_known]

    known, found = LISTS.get(case.name, {}).get(str(case.fields_version), []), digests(records)
    assert known == found, f"the digests of {case.name} are {json.dumps(found)}"
    if case.former is not None:
        assert LISTS[case.name][str(case.fields_version - 1)] == digests(map(case.former, records))


def digests(records: Iterable[Record[Any]]) -> list[str]:
    return [blake2b(each.key + b" " + each.fingerprint, digest_size=16).hexdigest() for each in records]


@pytest.mark.parametrize("stream", FORMATS)
def test_records_that_version_1_published_are_not_published_again(stream: str) -> None:
    assert [] == new_records(stream, WRITTEN[stream]["answers"][-1])


def test_the_checkpoint_is_restored() -> None:
    checkpoint = state("sessions").checkpoint

    assert checkpoint is not None
    assert ("2019-07-01T10:00:00", "2019-07-01T12:00:00", "2019-07-01T11:00:00", "2019-07-01T11:30:00") == tuple(
        f"{moment:%Y-%m-%dT%H:%M:%S}"
        for moment in (checkpoint.since, checkpoint.watermark, checkpoint.final, checkpoint.swept_at)
    )
    assert (timedelta(hours=6), "every device") == (checkpoint.span, checkpoint.selection)


def test_revisions_continue() -> None:
    first, *_ = WRITTEN["sessions"]["answers"][0]
    [new] = new_records("sessions", [first])

    assert [2] == [each.number for each in new.records]


def test_a_further_equal_row_is_the_next_occurrence() -> None:
    rows = WRITTEN["viewers"]["answers"][-1]
    [new] = new_records("viewers", [*rows, rows[1]])

    assert [3] == [each.number for each in new.records]


def test_the_header_of_a_partition_is_read() -> None:
    assert Header(1, "collector", 32) == msgspec.json.decode(WRITTEN["header"], type=Header)


@pytest.mark.parametrize("stream", FORMATS)
def test_state_of_an_unknown_version_is_refused(stream: str) -> None:
    for key, value in WRITTEN[stream]["pairs"].items():
        written = bytes.fromhex(value)
        newer = written.replace(b'"version":1', b'"version":9') if written[:1] == b"{" else b"\x09" + written[1:]
        with pytest.raises(UnreadableState) as refused:
            state(stream, {**WRITTEN[stream]["pairs"], key: newer.hex()})
        assert "state_too_new" == refused.value.code
