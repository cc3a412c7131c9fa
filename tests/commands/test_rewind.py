"""The question of `collector state rewind` says what changes; times without an offset are refused."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.commands.arguments import parse_instant, parse_instant_with_offset
from collector.commands.state import Rewind
from collector.errors import UserError
from collector.model import Checkpoint
from collector.pipeline.state import rewound
from tests.commands.harness import collector, write_config

HOUR = timedelta(hours=1)
START = datetime(2026, 11, 1, tzinfo=UTC)
BEFORE = Checkpoint(START, START + 3 * HOUR, START + 2 * HOUR, span=HOUR, swept_at=START)


def rewind(hours: int, *, damaged: tuple[str, ...] = ()) -> Rewind:
    return Rewind(BEFORE, rewound(BEFORE, START + hours * HOUR), damaged)


@pytest.mark.parametrize(
    ("planned", "expected"),
    [
        (rewind(1), "Move mall sessions back from 2026-11-01T03:00:00Z to 2026-11-01T01:00:00Z?"),
        (rewind(4, damaged=("/7",)), "Repair mall sessions, which stays at 2026-11-01T03:00:00Z?"),
        (Rewind(None, BEFORE, ("",)), "Let mall sessions continue from 2026-11-01T03:00:00Z?"),
    ],
)
def test_the_question_names_the_stream_and_both_times(planned: Rewind, expected: str) -> None:
    assert expected == planned.question("mall sessions")
    assert not planned.changes_nothing


@pytest.mark.parametrize("hours", [3, 4])
def test_a_rewind_to_the_watermark_or_later_changes_nothing(hours: int) -> None:
    assert rewind(hours).changes_nothing


@pytest.mark.parametrize("text", ["2026-11-01", "2026-11-01T01:00", "2026-11-01T01:00:00"])
def test_a_time_that_changes_something_needs_an_offset(text: str) -> None:
    assert START.date() == parse_instant("--start", text).date()
    with pytest.raises(UserError, match=r"--to: .*offset") as raised:
        parse_instant_with_offset("--to", text)
    assert "missing_offset" == raised.value.code


@pytest.mark.parametrize("text", ["2026-11-01T01:00:00Z", "2026-11-01T02:00:00+01:00", "20261101T01Z"])
def test_any_offset_is_accepted(text: str) -> None:
    assert START + HOUR == parse_instant_with_offset("--to", text)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "command",
    [
        ("state", "rewind", "mall", "sessions", "--to", "2026-11-01T00:00:00"),
        ("backfill", "mall", "sessions", "--from", "2026-11-01"),
        ("backfill", "mall", "sessions", "--from", "2026-11-01T00:00Z", "--to", "2026-12-01"),
    ],
)
async def test_commands_refuse_a_time_without_an_offset_before_kafka_is_used(
    tmp_path: Path, command: tuple[str, ...]
) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1/api")
    result = await collector(*command, "--config", config)

    assert (2, "") == (result.code, result.out)
    assert "with its offset from UTC" in result.err


@pytest.mark.anyio
@pytest.mark.parametrize(
    "command",
    [
        ("backfill", "mall", "sessions", "--from", "2026-11-01", "--to", "soon"),
        ("preview", "mall", "sessions", "--start", "then", "--end", "soon", "--last", "long"),
    ],
)
async def test_all_times_that_are_wrong_are_reported(tmp_path: Path, command: tuple[str, ...]) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1/api")
    result = await collector(*command, "--config", config)

    assert (2, "") == (result.code, result.out)
    options = [each for each in command if each.startswith("--")]
    assert options == [line.partition(":")[0] for line in result.err.splitlines()]
