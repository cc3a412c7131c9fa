"""State that an earlier version wrote is understood by every later one, or refused in so many words."""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from collector.errors import Refused
from collector.kafka.header import Header
from collector.model import Memory, Record, Reject
from collector.pipeline.ledger import Novelty, Sieve
from collector.pipeline.state import Shape, State, by_stream, load
from collector.vendors.quividi import wire as quividi
from collector.vendors.seemetrix import wire as seemetrix

WRITTEN = json.loads((Path(__file__).parent / "state" / "version_1.json").read_text("utf-8"))
"""Never written again: what version 1 left in the state topic, after the answers that are beside it."""
PARIS = ZoneInfo("Europe/Paris")
SHAPES = {
    "sessions": Shape(Memory.VERSIONS, seemetrix.FIELDS_VERSION, timedelta(0)),
    "viewers": Shape(Memory.ROWS, quividi.FIELDS_VERSION, timedelta(days=1)),
}


def read(stream: str, rows: list[dict[str, object]]) -> Iterable[Record[Any] | Reject]:
    if stream == "sessions":
        return seemetrix.read(seemetrix.rows(json.dumps({"objects": rows}).encode()))
    answer = quividi.answer(json.dumps({"state": "finished", "data": rows}).encode())
    return quividi.read(quividi.rows(answer) or [], PARIS)


def state(stream: str, pairs: dict[str, str] | None = None) -> State:
    prefix: str = WRITTEN[stream]["prefix"]
    found = {key.encode(): bytes.fromhex(value) for key, value in (pairs or WRITTEN[stream]["pairs"]).items()}
    return load(prefix, SHAPES[stream], by_stream(found)[prefix])


def new(stream: str, rows: list[dict[str, object]]) -> list[Novelty[Any]]:
    known = state(stream)
    sieve: Sieve[Any] = known.ledger.sieve(
        since_ms=-(1 << 62), until_ms=None, final_s=known.final_s, asked_s=1_783_000_000
    )
    sieve.add(read(stream, rows))
    return list(sieve.new())


@pytest.mark.parametrize("stream", SHAPES)
def test_what_was_published_then_is_not_published_again(stream: str) -> None:
    assert [] == new(stream, WRITTEN[stream]["answers"][-1])


def test_how_far_a_stream_was_is_known() -> None:
    head = state("sessions").head

    assert head is not None
    assert ("2019-07-01T10:00:00", "2019-07-01T12:00:00", "2019-07-01T11:00:00", "2019-07-01T11:30:00") == tuple(
        f"{moment:%Y-%m-%dT%H:%M:%S}" for moment in (head.since, head.watermark, head.final, head.swept_at)
    )
    assert (timedelta(hours=6), "every device") == (head.span, head.selection)


def test_revisions_are_counted_on() -> None:
    first, *_ = WRITTEN["sessions"]["answers"][0]
    [novelty] = new("sessions", [first])

    assert [2] == [each.number for each in novelty.records]


def test_one_more_of_equal_rows_is_the_next_occurrence() -> None:
    rows = WRITTEN["viewers"]["answers"][-1]
    [novelty] = new("viewers", [*rows, rows[1]])

    assert [3] == [each.number for each in novelty.records]


def test_the_header_of_a_partition_is_read() -> None:
    assert Header(1, "collector", 32) == msgspec.json.decode(WRITTEN["header"], type=Header)


@pytest.mark.parametrize("stream", SHAPES)
def test_state_of_a_version_that_is_not_known_is_refused_and_not_guessed(stream: str) -> None:
    for key, value in WRITTEN[stream]["pairs"].items():
        written = bytes.fromhex(value)
        newer = written.replace(b'"version":1', b'"version":9') if written[:1] == b"{" else b"\x09" + written[1:]
        with pytest.raises(Refused, match="does not know") as refused:
            state(stream, {**WRITTEN[stream]["pairs"], key: newer.hex()})
        assert "or a newer one" in refused.value.advice
