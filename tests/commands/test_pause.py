"""`collector pause` and `collector resume`: what they write, and what they refuse."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.commands.pause import MAX_REASON, Target, ended, replacing, valid_reason
from collector.config import load
from collector.errors import UserError
from collector.model import Account, Pause
from collector.pipeline.pauses import UNREADABLE
from collector.pipeline.state import stream_prefix
from tests.commands.harness import KEY, collector, write_config

T, HOUR = datetime(2026, 11, 1, tzinfo=UTC), timedelta(hours=1)
ACCOUNT = Account("seemetrix", "864")
SOURCE, STREAM, OTHER, HALL = (
    stream_prefix(ACCOUNT, *names) for names in (("mall",), ("mall", "sessions"), ("mall", "devices"), ("mall2",))
)
PAUSED, OVER = Pause("r", T - HOUR, None, "ann@desk"), Pause("r", T - HOUR, T, "ann@desk")


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "a\x1b[31mb", "a\u2028b", "x" * (MAX_REASON + 1)])
def test_a_reason_is_one_line_of_text(reason: str) -> None:
    with pytest.raises(UserError) as refused:
        valid_reason(reason)
    assert "invalid_reason" == refused.value.code


def test_a_reason_has_no_secrets(tmp_path: Path) -> None:
    load(Path(write_config(tmp_path, "https://vendor.example/api")))
    assert "the vendor revoked [secret] été" == valid_reason(f" the vendor revoked {KEY} été ")


@pytest.mark.parametrize(
    ("former", "since"),
    [(None, T), (PAUSED, T - HOUR), (OVER, T), (UNREADABLE, T), (Pause("r", T - HOUR, T + HOUR, "b"), T - HOUR)],
)
def test_pausing_again_replaces_all_but_the_start(former: Pause | None, since: datetime) -> None:
    planned = Pause("new", T, T + 2 * HOUR, "eve@desk")
    assert Pause("new", since, T + 2 * HOUR, "eve@desk") == replacing(former, planned)


def target(prefix: str) -> Target:
    return Target("", prefix, SOURCE, 0)


@pytest.mark.parametrize(
    ("prefix", "pauses", "expected"),
    [
        (SOURCE, {}, []),
        (SOURCE, {HALL: PAUSED}, []),
        (SOURCE, {SOURCE: PAUSED, STREAM: OVER, OTHER: UNREADABLE, HALL: PAUSED}, [SOURCE, STREAM, OTHER]),
        (SOURCE, {STREAM: PAUSED}, [STREAM]),
        (STREAM, {}, []),
        (STREAM, {STREAM: UNREADABLE, OTHER: PAUSED}, [STREAM]),
        (STREAM, {OTHER: PAUSED}, []),
        (STREAM, {STREAM: PAUSED, SOURCE: OVER}, [STREAM]),
    ],
)
def test_a_source_is_resumed_with_its_streams_and_a_stream_alone(
    prefix: str, pauses: dict[str, Pause], expected: list[str]
) -> None:
    assert expected == ended(target(prefix), pauses, T)


@pytest.mark.parametrize("of_source", [PAUSED, UNREADABLE, Pause("r", T - HOUR, T + HOUR, "a")])
def test_a_stream_is_not_resumed_while_its_source_is_paused(of_source: Pause) -> None:
    with pytest.raises(UserError) as refused:
        ended(target(STREAM), {SOURCE: of_source, STREAM: PAUSED}, T)
    assert "source_paused" == refused.value.code
    assert "collector resume mall" in str(refused.value)


@pytest.mark.anyio
async def test_wrong_arguments_are_refused_before_kafka_is_used(tmp_path: Path) -> None:
    config = ("--config", write_config(tmp_path, "https://vendor.example/api"))
    for arguments, facts in (
        (("pause", "mall"), ("--reason",)),
        (("pause", "hall", "--reason", "r"), ("hall", "did you mean mall?")),
        (("pause", "mall", "session", "--reason", "r"), ("session", "did you mean sessions?")),
        (("pause", "mall", "--reason", "r", "--for", "soon"), ("--for", "6h")),
        (("pause", "mall", "--reason", "r", "--for", "0s"), ("--for", "zero")),
        (("pause", "mall", "--reason", "x" * 201), ("--reason", "200")),
        (("resume", "hall"), ("hall", "did you mean mall?")),
        (("resume", "mall", "session"), ("session", "did you mean sessions?")),
    ):
        refused = await collector(*arguments, *config)
        assert 2 == refused.code, refused.err
        assert all(fact in refused.err for fact in facts), refused.err
