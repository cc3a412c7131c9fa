"""What `collector state show` prints."""

from datetime import UTC, datetime, timedelta

from msgspec import structs

from collector.commands.state import as_dict, columns, problems
from collector.model import Account, Checkpoint
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

    assert [["mall", "counters", "seemetrix", "-"], ["mall", "sessions", "seemetrix", "2026-11-01T00:00:00Z"]] == [
        row.split()[:4] for row in rows
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

    assert "OWNER" == header.split()[-1]
    assert ["-", "web-1"] == [row.split()[-1] for row in rows]
    assert [None, "web-1"] == [as_dict(each, T)["owner"] for each in (counters, owned)]
