"""What a replay leaves out, and when it interrupts the owner of the streams."""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec import structs
from typer.testing import CliRunner

from collector.cli import app
from collector.commands import replay
from collector.commands.dead_letters import Configured, Letters, Understood, configured
from collector.commands.listed_letters import listed
from collector.commands.progress import Progress
from collector.commands.replay import Replayed, _Run
from collector.commands.replay_commit import EventReader, key_of
from collector.commands.replay_plan import Outcome
from collector.model import Reject
from collector.pipeline.dead_letters import MARK_VERSION, Mark, StoredLetter, encode_mark
from tests.commands.dead_letters import NOW, SEEN_AT, Topics, letter_of, settings_of, stream_of
from tests.commands.harness import write_config
from tests.pipeline.stream_cases import STREAM_CASES

MALL = {"vendor": "seemetrix", "user_id": 864, "user_key": "42208b8df38b4e97878ce00aa765bc38"}
SOURCES = {"mall": MALL, "hall": {**MALL, "topic_prefix": "hall."}}
ROW = json.dumps(STREAM_CASES["seemetrix.sessions"].rows[0]).encode()
MISSING = "hall.seemetrix.sessions"


class Publications:
    """What would be published, and what is reported."""

    def __init__(self) -> None:
        self.published: list[str] = []
        self.reported: list[tuple[str, Outcome]] = []

    def report(self, stored: StoredLetter, outcome: Outcome) -> None:
        self.reported.append((stored.letter.source, outcome))

    async def publish(self, _: object, letters: Sequence[Understood], *, is_last: bool) -> None:
        assert is_last
        self.published += [each.stored.letter.source for each in letters]


async def existing(_: object, topics: Collection[str]) -> list[str]:
    return sorted(set(topics) - {MISSING})


def letters(streams: Configured) -> Iterator[StoredLetter]:
    for source in ("hall", "mall"):
        yield letter_of(streams, stream_of(streams, source, "sessions"), Reject(ROW, "former"))


@pytest.mark.anyio
async def test_a_missing_topic_stops_only_the_dead_letters_of_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Publications()
    monkeypatch.setattr(replay, "existing", existing)
    async with configured(settings_of(**SOURCES)) as streams:
        run = _Run(streams, Letters(streams, Progress(None)), Progress(None), found.report, dry_run=False)
        monkeypatch.setattr(run, "_process_partition", found.publish)
        await run.process(list(letters(streams)), is_last=True)

    assert ["mall"] == found.published
    ((source, outcome),) = found.reported
    assert ("hall", True) == (source, outcome.is_failure)
    assert MISSING in outcome.text
    assert {MISSING} == run.missing_topics


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("row", "source", "status"), [(b"{}", "mall", "not_understood"), (ROW, "office", "not_replayable")]
)
async def test_list_and_replay_use_the_same_words(row: bytes, source: str, status: str) -> None:
    found = Publications()
    async with configured(settings_of(**SOURCES)) as streams:
        stored = letter_of(streams, stream_of(streams, "mall", "sessions"), Reject(row, "former"))
        stored = structs.replace(stored, letter=structs.replace(stored.letter, source=source))
        in_list = listed(stored, streams, NOW)
        run = _Run(streams, Letters(streams, Progress(None)), Progress(None), found.report, dry_run=False)
        await run.process([stored], is_last=True)

    ((_, outcome),) = found.reported
    words = status.replace("_", " ")
    assert (status, status) == (in_list.replay, outcome.kind)
    assert f"  {words}: " in str(in_list)
    assert outcome.text.startswith(f"{words}: ")
    assert f"1 {words}" == str(Replayed(run.outcomes, run.events))


@pytest.mark.anyio
@pytest.mark.parametrize(("is_replayed", "takeovers"), [(True, 0), (False, 1)])
async def test_the_owner_is_interrupted_only_if_something_is_published(
    monkeypatch: pytest.MonkeyPatch, *, is_replayed: bool, takeovers: int
) -> None:
    found, taken = Publications(), list[int]()
    async with configured(settings_of(mall=MALL)) as streams:
        stream, topics = stream_of(streams, "mall", "sessions"), Topics(streams)
        topics.started(stream, SEEN_AT - timedelta(days=10_000), SEEN_AT - timedelta(days=9_999))
        stored = letter_of(streams, stream, Reject(ROW, "former"))
        if is_replayed:
            mark = Mark(MARK_VERSION, SEEN_AT, SEEN_AT, SEEN_AT)
            topics.pairs[key_of(streams.understood(stored, NOW))] = encode_mark(mark)

        async def read_state(*_: object) -> dict[bytes, bytes]:
            return topics.pairs

        async def read_nothing(*_: object) -> None: ...

        async def take_over(_: object, partition: int, __: object) -> None:
            taken.append(partition)

        monkeypatch.setattr(replay, "existing", existing)
        monkeypatch.setattr(replay, "read_state", read_state)
        monkeypatch.setattr(EventReader, "read_ahead", read_nothing)
        monkeypatch.setattr(replay, "taken_over", take_over)
        run = _Run(streams, Letters(streams, Progress(None)), Progress(None), found.report, dry_run=False)
        await run.process([stored], is_last=False)

    assert takeovers == len(taken)
    assert (["known"] if is_replayed else []) == [outcome.kind for _, outcome in found.reported]


def test_the_command_fails_and_names_the_missing_topics(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def replayed(*_: object, **__: object) -> Replayed:
        return Replayed(Counter({"published": 3, "not_replayable": 2}), 5, [MISSING])

    monkeypatch.setattr(replay, "replay", replayed)
    config = write_config(tmp_path, "https://vendor.example/api")

    done = CliRunner().invoke(app, ["dead-letters", "replay", "--all", "--yes", "--config", str(config)])

    assert 1 == done.exit_code
    assert MISSING in done.output
    assert "3 published (5 events)" in done.output
