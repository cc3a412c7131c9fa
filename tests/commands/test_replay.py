"""Each dead letter is published once, with the ids that the daemon would make, whatever fails and who is first."""

import json
import tracemalloc
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from collector.cloudevents import Message
from collector.commands import dead_letters
from collector.commands.dead_letters import Configured, Letters, Selected, Understood, configured
from collector.commands.listed_letters import listed
from collector.commands.progress import Progress
from collector.commands.replay import _Run
from collector.commands.replay_commit import key_of
from collector.commands.replay_plan import prefix_of
from collector.errors import EpochEnded
from collector.instants import to_ms
from collector.kafka.scan import StoredMessage
from collector.model import Backfill, Reject, Window
from collector.pipeline import batch
from collector.pipeline.backfills import backfill_key, encode_backfill, encode_history, history_key
from collector.pipeline.dead_letters import MARK_VERSION, Mark, encode_mark, marks
from collector.pipeline.message import dead_letter_message, record_digest
from collector.pipeline.shards import whole_prefix
from collector.vendors.base import Stream
from tests.commands.dead_letters import ALL_TIME, FORMER_ERROR, NOW, SEEN_AT, Topics, letter_of, settings_of, stream_of
from tests.pipeline.stream_cases import STREAM_CASES

pytestmark = pytest.mark.anyio

SINCE = datetime.fromisoformat("2017-01-01T00:00:00Z")
OLD, RECENT = datetime.fromisoformat("2017-06-01T00:00:00Z"), datetime.fromisoformat("2025-01-01T00:00:00Z")
"""A `final` before all rows of the tests, and one after all of them."""
HOUR = timedelta(hours=1)
VIEWER = STREAM_CASES["quividi.viewers"].rows[0]
SESSION = STREAM_CASES["seemetrix.sessions"].rows[0]
SOURCES: dict[str, dict[str, Any]] = {
    "lobby": {
        "vendor": "quividi",
        "username": "ann",
        "token": "a long token of the tests",
        "timezone": "Europe/Paris",
        "locations": (8866,),
    },
    "mall": {"vendor": "seemetrix", "user_id": 864, "user_key": "42208b8df38b4e97878ce00aa765bc38"},
}
VIEWERS, SESSIONS = ("lobby", "viewers"), ("mall", "sessions")
ROWS = {VIEWERS: VIEWER, SESSIONS: SESSION}
BOTH = pytest.mark.parametrize("name", [VIEWERS, SESSIONS], ids=["multiset", "versioned"])
FINALS = pytest.mark.parametrize("final", [OLD, RECENT], ids=["after final", "before final"])


@pytest.fixture
async def streams() -> AsyncIterator[Configured]:
    async with configured(settings_of(**SOURCES)) as found:
        yield found


@pytest.fixture
def topics(streams: Configured) -> Topics:
    return Topics(streams)


def letter(
    streams: Configured,
    name: tuple[str, str],
    published_at: datetime = SEEN_AT,
    seen_at: datetime = SEEN_AT,
    **changes: object,
) -> Understood:
    """A dead letter of the stream's row, with changed fields, which this release understands."""
    row = json.dumps(ROWS[name] | changes).encode()
    stored = letter_of(
        streams, stream_of(streams, *name), Reject(row, FORMER_ERROR), published_at=published_at, seen_at=seen_at
    )
    return streams.understood(stored, NOW)


def ids(found: Understood, number: int = 0) -> list[str]:
    """The ids that the daemon makes of the records."""
    mode, account = found.stream.dedup_mode, found.stream.account
    return [
        event.id
        for record in found.records
        for event in found.stream.explode(record, record_digest(mode, record, number, account), number)
    ]


def stream(topics: Topics, name: tuple[str, str], final: datetime) -> Stream[Any]:
    found = stream_of(topics.streams, *name)
    topics.started(found, SINCE, final)
    return found


@BOTH
@FINALS
async def test_a_row_is_published_once_and_the_daemon_does_not_publish_it_again(
    topics: Topics, name: tuple[str, str], final: datetime
) -> None:
    its_stream, found = stream(topics, name, final), letter(topics.streams, name)

    assert ["published"] == await topics.replay(found)
    assert ids(found) == topics.ids()
    assert 0 == topics.receive(its_stream, found.records)
    assert ["known"] == await topics.replay(found)
    assert ids(found) == topics.ids()


@BOTH
@FINALS
async def test_a_row_that_the_daemon_has_published_is_known(
    topics: Topics, name: tuple[str, str], final: datetime
) -> None:
    its_stream, found = stream(topics, name, OLD), letter(topics.streams, name, SEEN_AT - HOUR)
    published = topics.receive(its_stream, found.records)
    topics.started(its_stream, SINCE, final)

    assert ["known"] == await topics.replay(found)
    assert published == len(topics.messages)
    assert not marks(topics.pairs), "nothing was committed"


@BOTH
@FINALS
@pytest.mark.parametrize("failures", [[False], [True], [False, False, True]])
async def test_a_commit_that_fails_is_repeated_unless_it_is_durable(
    topics: Topics, name: tuple[str, str], final: datetime, failures: list[bool]
) -> None:
    stream(topics, name, final)
    found = letter(topics.streams, name)
    topics.failures = failures

    assert ["published"] == await topics.replay(found), "also if the command only learns of it from the mark"
    assert ids(found) == topics.ids()


@BOTH
async def test_without_its_mark_an_old_row_is_found_in_the_event_topic(topics: Topics, name: tuple[str, str]) -> None:
    stream(topics, name, RECENT)
    found = letter(topics.streams, name)
    await topics.replay(found)
    del topics.pairs[key_of(found)]

    assert ["known"] == await topics.replay(found)
    assert ids(found) == topics.ids()


@pytest.mark.parametrize("are_together", [True, False], ids=["one command", "two commands"])
@pytest.mark.parametrize(
    ("final", "seen_at", "kinds"),
    [
        (RECENT, SEEN_AT, ["published", "published"]),  # two rows of one response are two persons
        (RECENT, SEEN_AT + HOUR, ["published", "known"]),  # two responses may have one person, whose row has changed
        (OLD, SEEN_AT, ["published", "known"]),  # the stream fetches both again, and then finds the second person
    ],
)
async def test_rows_with_an_equal_key(
    topics: Topics,
    final: datetime,
    seen_at: datetime,
    kinds: list[str],
    are_together: bool,
) -> None:
    its_stream = stream(topics, VIEWERS, final)
    one = letter(topics.streams, VIEWERS, vr_id=1)
    other = letter(topics.streams, VIEWERS, SEEN_AT + HOUR, seen_at, vr_id=2)

    assert one.records[0].key == other.records[0].key
    if are_together:
        assert kinds == await topics.replay(one, other)
    else:
        assert kinds == [*await topics.replay(one), *await topics.replay(other)]

    both = [*ids(one), *ids(other, 1)]
    assert topics.ids() == both[: kinds.count("published")]
    if final is OLD:
        topics.receive(its_stream, [*one.records, *other.records])
        assert both == topics.ids()


async def test_an_old_version_is_a_revision_of_the_version_before_it(topics: Topics) -> None:
    its_stream = stream(topics, SESSIONS, OLD)
    before = letter(topics.streams, SESSIONS, a=1)
    topics.receive(its_stream, before.records)
    topics.started(its_stream, SINCE, RECENT)
    found = letter(topics.streams, SESSIONS, SEEN_AT + HOUR, a=2)

    assert ["published"] == await topics.replay(found)
    assert ids(found, 1) == topics.ids()[len(ids(before)) :]


@FINALS
async def test_a_version_after_the_dead_letter_stays_the_newest(topics: Topics, final: datetime) -> None:
    its_stream = stream(topics, SESSIONS, OLD)
    topics.now = SEEN_AT + HOUR
    published = topics.receive(its_stream, letter(topics.streams, SESSIONS, a=1).records)
    topics.started(its_stream, SINCE, final)

    assert ["known"] == await topics.replay(letter(topics.streams, SESSIONS, a=2))
    assert published == len(topics.messages)


@FINALS
async def test_versions_that_were_all_dead_letters_are_revisions_in_their_order(
    topics: Topics, final: datetime
) -> None:
    stream(topics, SESSIONS, final)
    versions = [letter(topics.streams, SESSIONS, SEEN_AT + n * HOUR, a=n) for n in range(3)]

    assert ["published"] * 3 == await topics.replay(*versions)
    assert [each for number, version in enumerate(versions) for each in ids(version, number)] == topics.ids()


async def test_a_transaction_that_fails_is_repeated_in_halves(topics: Topics, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that does not end before its deadline under a quota must not be repeated for ever."""
    stream(topics, SESSIONS, OLD)
    found = [letter(topics.streams, SESSIONS, o=n) for n in range(30)]
    commit, limit = topics.commit, 100_000

    def limited(messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        if sum(each.size for each in messages) > limit:
            raise EpochEnded
        commit(messages, state)

    monkeypatch.setattr(topics, "commit", limited)

    assert ["published"] * 30 == await topics.replay(*found)
    assert sorted(each for several in found for each in ids(several)) == sorted(topics.ids())


@BOTH
async def test_a_row_before_since_is_not_published(topics: Topics, name: tuple[str, str]) -> None:
    found = letter(topics.streams, name)
    topics.started(found.stream, RECENT, RECENT)

    assert ["not_replayable"] == await topics.replay(found)
    assert not topics.messages


@BOTH
@pytest.mark.parametrize("is_complete", [True, False])
async def test_a_row_of_a_backfill_is_published_when_that_is_complete(
    topics: Topics,
    name: tuple[str, str],
    is_complete: bool,
) -> None:
    found, prefix = letter(topics.streams, name), whole_prefix(prefix_of(stream_of(topics.streams, *name)))
    topics.started(found.stream, RECENT, RECENT)
    request = Backfill(SINCE, RECENT, NOW, "ann@host")
    topics.pairs[backfill_key(prefix, SINCE)] = encode_backfill(request)

    assert ["not_replayable"] == await topics.replay(found)
    if is_complete:
        del topics.pairs[backfill_key(prefix, SINCE)]
        topics.pairs[history_key(prefix)] = encode_history([], Window(SINCE, RECENT))
        assert ["published"] == await topics.replay(found)
        assert ["known"] == await topics.replay(found)
    assert (ids(found) if is_complete else []) == topics.ids()


async def test_a_stream_without_state_is_not_published_to(topics: Topics) -> None:
    assert ["not_replayable"] == await topics.replay(letter(topics.streams, SESSIONS))
    assert not topics.messages


@pytest.mark.parametrize("limit", [1, 50_000, 1 << 22])
async def test_the_events_of_a_dead_letter_are_never_divided(
    topics: Topics, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(batch, "MAX_TRANSACTION_BYTES", limit)
    stream(topics, SESSIONS, OLD)
    found = [letter(topics.streams, SESSIONS, o=n) for n in range(30)]
    sizes: list[tuple[int, int]] = []
    commit = topics.commit

    def counted(messages: Sequence[Message], state: Mapping[bytes, bytes | None]) -> None:
        sizes.append((len(messages), sum(key.startswith(b"#replayed/") for key in state)))
        commit(messages, state)

    monkeypatch.setattr(topics, "commit", counted)

    assert ["published"] * 30 == await topics.replay(*found)
    assert all(messages == number * len(ids(found[0])) for messages, number in sizes)
    assert (len(sizes) == 30) == (limit == 1)
    assert (len(sizes) == 1) == (limit > 50_000)


@pytest.mark.parametrize(
    ("is_seen", "published_at", "is_stale"),
    [
        (False, NOW - 2 * HOUR, True),
        (True, NOW - 2 * HOUR, False),
        (False, NOW, False),  # its dead letter may have been published after the topic was read
    ],
)
async def test_marks_of_expired_dead_letters_are_removed(
    streams: Configured,
    is_seen: bool,
    published_at: datetime,
    is_stale: bool,
) -> None:
    letters = Letters(streams, Progress(None))
    found = letter(streams, SESSIONS)
    letters.oldest_ms = {streams.topic("mall"): to_ms(NOW - HOUR)}
    letters.seen = {found.stored.letter.digest.encode()} if is_seen else set()
    run = _Run(streams, letters, Progress(None), lambda *_: None, dry_run=False)
    mark = encode_mark(Mark(MARK_VERSION, NOW, published_at, published_at))
    pairs = {key_of(found): mark, b"#replayed/seemetrix/1/gone/sessions/00": mark, b"#header": b"{}"}

    assert ([key_of(found)] if is_stale else []) == run._stale(marks(pairs))


async def test_ten_thousand_large_dead_letters_are_listed_in_little_memory(
    streams: Configured, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream_ = stream_of(streams, *SESSIONS)
    filler = "x" * 50_000

    async def scan(*_: object, **__: object) -> AsyncIterator[list[StoredMessage]]:
        for n in range(5_000):
            reject = Reject(json.dumps({"d": n, "name": filler}).encode(), "malformed")
            message = dead_letter_message(
                reject, streams.origin(stream_), window=ALL_TIME, seen_at=SEEN_AT, reason="malformed"
            )
            headers = dict(message.headers)
            stored = StoredMessage("collector.dead_letters", 0, n, n, message.key, headers, message.value)
            yield [stored, stored]  # each twice, as after a rewind

    async def nothing(*_: object) -> dict[tuple[str, int], int]:
        return {}

    monkeypatch.setattr(dead_letters, "scan", scan)
    monkeypatch.setattr(dead_letters, "existing", nothing)
    monkeypatch.setattr(dead_letters, "committed_ends", nothing)
    found = 0
    tracemalloc.start()
    async for several in Letters(streams, Progress(None)).read(Selected("mall")):
        found += sum(listed(each, streams, NOW).replay == "not_understood" for each in several)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert 5_000 == found
    assert peak < 8 << 20


async def test_a_line_of_the_list_has_nothing_that_a_terminal_interprets(streams: Configured) -> None:
    its_stream = stream_of(streams, *SESSIONS)
    stored = letter_of(streams, its_stream, Reject(b"{}", "Expected a name, got \x1b[2J\n\x9b31m - at `$.n`"))

    line = str(listed(stored, streams, NOW))

    assert line.isprintable()
    assert stored.letter.digest in line
