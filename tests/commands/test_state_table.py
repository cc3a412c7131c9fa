"""What `collector state show` prints."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from msgspec import structs

from collector.commands.state import as_dict, columns, problems
from collector.commands.summaries import summaries
from collector.model import Account, Backfill, Checkpoint, Pause, backfill_name
from collector.pipeline.backfills import backfill_key, encode_backfill
from collector.pipeline.pauses import UNREADABLE, encode_pause, pause_key
from collector.pipeline.state import stream_prefix, summary
from collector.pipeline.state_records import encode_checkpoint

T = datetime(2026, 11, 1, tzinfo=UTC)
CHECKPOINT = encode_checkpoint(Checkpoint(T, T, T, timedelta(hours=6), T))


def test_a_stream_whose_state_cannot_be_read_is_listed_with_its_problem() -> None:
    account = Account("seemetrix", "864")
    broken = summary(stream_prefix(account, "mall", "counters"), {"": CHECKPOINT[:-1]})
    healthy = summary(stream_prefix(account, "mall", "sessions"), {"": CHECKPOINT})
    assert broken is not None
    assert healthy is not None

    _, *rows = columns([broken, healthy], T)

    name = ["seemetrix", "864"]
    assert [["mall", "counters", *name, "-"], ["mall", "sessions", *name, "2026-11-01T00:00:00Z"]] == [
        row.split()[:5] for row in rows
    ]
    [problem] = problems([broken, healthy])
    assert "seemetrix/864/mall/counters" in problem
    assert as_dict(broken, T).keys() == as_dict(healthy, T).keys()
    assert as_dict(broken, T)["watermark"] is None
    assert as_dict(healthy, T)["problem"] is None


def test_the_owner_of_each_stream_is_shown_or_a_dash() -> None:
    account = Account("seemetrix", "864")
    found = [summary(stream_prefix(account, "mall", name), {"": CHECKPOINT}) for name in ("counters", "sessions")]
    counters, sessions = (each for each in found if each is not None)
    owned = structs.replace(sessions, owner="web-1")

    header, *rows = columns([counters, owned], T)

    assert ["OWNER", "PAUSED"] == header.split()[-2:]
    assert ["-", "web-1"] == [row.split()[-2] for row in rows]
    assert [None, "web-1"] == [as_dict(each, T)["owner"] for each in (counters, owned)]


def listed(pairs: dict[bytes, bytes]) -> list[tuple[str, str | None, str | None, str | None]]:
    """Source, stream, watermark, and the reason of the pause of each row."""
    rows = [as_dict(each, T) for each in summaries(pairs, T)]
    paused = [cast("dict[str, str] | None", row["paused"]) for row in rows]
    found = [
        (row["source"], row["stream"], row["watermark"], each and each["reason"])
        for row, each in zip(rows, paused, strict=True)
    ]
    return cast("list[tuple[str, str | None, str | None, str | None]]", found)


ACCOUNT = Account("quividi", "ann")
NAMES = ("viewers", "viewers@America/New_York", "alerts")
PAIRS = {stream_prefix(ACCOUNT, "mall", name).encode(): CHECKPOINT for name in NAMES}
PAUSE = encode_pause(Pause("moving", T, None, "ann@desk"))
AT = "2026-11-01T00:00:00Z"


def paused(*names: str, value: bytes = PAUSE) -> dict[bytes, bytes]:
    return {**PAIRS, b"#header": b"{}", pause_key(stream_prefix(ACCOUNT, *names)): value}


def test_each_stream_is_listed_with_the_pause_that_is_in_effect() -> None:
    alerts, viewers, shard = (("mall", name, AT) for name in ("alerts", "viewers", "viewers@America/New_York"))
    for pairs, expected in (
        (PAIRS, [(*alerts, None), (*viewers, None), (*shard, None)]),
        (paused("mall", "viewers"), [(*alerts, None), (*viewers, "moving"), (*shard, "moving")]),
        (paused("mall"), [(*alerts, "moving"), (*viewers, "moving"), (*shard, "moving")]),
        (
            paused("mall", value=encode_pause(Pause("over", T, T, "ann@desk"))),
            [(*alerts, None), (*viewers, None), (*shard, None)],
        ),
    ):
        assert expected == listed(pairs)


def test_what_is_paused_and_has_no_state_is_listed() -> None:
    assert ("mall", "boxes", None, "moving") in listed(paused("mall", "boxes"))
    assert ("hall", None, None, "moving") in listed(paused("hall"))
    assert [UNREADABLE.reason] == [each for *_, each in listed(paused("hall", value=b"damaged")) if each]
    assert not [each for each in listed(paused("hall", value=encode_pause(Pause("over", T, T, "a")))) if each[3]]


def test_the_table_says_why_and_until_when_a_stream_is_paused() -> None:
    until = encode_pause(Pause("moving", T, T + timedelta(hours=1), "ann@desk"))
    for value, cell in ((until, "until 2026-11-01T01:00:00Z: moving"), (PAUSE, "until it is resumed: moving")):
        row = next(line for line in columns(summaries(paused("hall", value=value), T), T) if line.startswith("hall"))
        assert row.endswith(cell)
        assert row.split()[:5] == ["hall", "-", "quividi", "ann", "-"]
    assert not problems(summaries(paused("hall"), T))


@pytest.mark.parametrize("names", [("mall",), ("mall", "viewers")])
def test_a_backfill_is_paused_with_its_stream(names: tuple[str, ...]) -> None:
    name = backfill_name("viewers@America/New_York", T)
    pairs = {**paused(*names), stream_prefix(ACCOUNT, "mall", name).encode(): CHECKPOINT}
    assert ("mall", name, AT, "moving") in listed(pairs)


@pytest.mark.parametrize("shard", ["viewers", "viewers@America/New_York"])
def test_a_backfill_is_requested_then_active_or_cancelled(shard: str) -> None:
    state = {stream_prefix(ACCOUNT, "mall", backfill_name(shard, T)).encode(): CHECKPOINT}
    for begun, is_cancelled, status in (
        ({}, False, "requested"),
        (state, False, "active"),
        (state, True, "cancelled"),
        ({}, True, "cancelled"),
    ):
        backfill = Backfill(T, T + timedelta(days=1), T, "ann@desk", is_cancelled=is_cancelled)
        request = {backfill_key(stream_prefix(ACCOUNT, "mall", "viewers"), T): encode_backfill(backfill)}
        found = summaries({**PAIRS, **begun, **request}, T)
        times = {"from": AT, "to": "2026-11-02T00:00:00Z"}
        shown = [as_dict(each, T)["backfill"] for each in found if "~" in str(each.stream)]
        assert {**times, "by": "ann@desk", "status": status} in shown
        assert [None] * len(NAMES) == [as_dict(each, T)["backfill"] for each in found if each.stream in NAMES]
        assert any(f"  {status}  " in line for line in columns(found, T))


@pytest.mark.parametrize("shard", ["viewers", "viewers@America/New_York"])
def test_a_backfill_is_shown_at_its_end_at_most(shard: str) -> None:
    """Its own watermark goes on to the present, as that of the stream does."""
    end, later = T + timedelta(days=1), T + timedelta(days=3)
    name = backfill_name(shard, T)
    key = stream_prefix(ACCOUNT, "mall", name).encode()
    request = {
        backfill_key(stream_prefix(ACCOUNT, "mall", "viewers"), T): encode_backfill(Backfill(T, end, T, "ann@desk"))
    }
    for watermark, shown in ((T, T), (end, end), (later, end)):
        checkpoint = encode_checkpoint(Checkpoint(T, watermark, watermark, timedelta(hours=6), T))
        (row,) = (
            as_dict(each, later) for each in summaries({key: checkpoint, **request}, later) if each.stream == name
        )
        text = f"{shown:%FT%TZ}"
        assert (text, text, None) == (row["watermark"], row["final"], row["lag_s"])
