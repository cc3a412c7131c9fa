"""What `collector dead-letters list` and `show` print of several dead letters, and of those that a replay published."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from collector.commands import dead_letters, listed_letters
from collector.commands.dead_letters import Configured, Selected, configured
from collector.commands.listed_letters import Listed, _list, _show
from collector.commands.progress import Progress
from collector.commands.replay_commit import key_of
from collector.instants import to_ms
from collector.kafka.scan import StoredMessage
from collector.model import Reject
from collector.pipeline.dead_letters import MARK_VERSION, Mark, encode_mark, stored_letter
from collector.pipeline.message import dead_letter_message
from tests.commands.dead_letters import ALL_TIME, NOW, SEEN_AT, settings_of, stream_of
from tests.pipeline.stream_cases import STREAM_CASES

pytestmark = pytest.mark.anyio

MALL = {"vendor": "seemetrix", "user_id": 864, "user_key": "42208b8df38b4e97878ce00aa765bc38"}
SETTINGS = settings_of(mall=MALL)
ROW = STREAM_CASES["seemetrix.sessions"].rows[0]
MARK = encode_mark(Mark(MARK_VERSION, SEEN_AT, SEEN_AT, SEEN_AT))


def message(streams: Configured, partition: int, minute: int) -> StoredMessage:
    """A dead letter of that minute, with a row of its own."""
    published_at = SEEN_AT + timedelta(minutes=minute)
    sent = dead_letter_message(
        Reject(json.dumps({**ROW, "of_minute": minute}).encode(), "former"),
        streams.origin(stream_of(streams, "mall", "sessions")),
        window=ALL_TIME,
        seen_at=published_at,
        reason="malformed",
    )
    key = (partition, minute, to_ms(published_at), sent.key, dict(sent.headers), sent.value)
    return StoredMessage("collector.dead_letters", *key)


class Cluster:
    """Topics of dead letters and of state."""

    def __init__(self) -> None:
        self.polls: list[list[StoredMessage]] = []
        self.pairs: dict[bytes, bytes] = {}
        self.has_state_topic = True
        self.has_open_transaction = False

    async def scan(self, *_: object, **__: object) -> AsyncIterator[list[StoredMessage]]:
        for each in self.polls:
            yield each

    async def existing(self, _: object, topics: Sequence[str]) -> list[str]:
        return list(topics) if self.has_state_topic else []

    async def committed_ends(self, *_: object) -> dict[tuple[str, int], int]:
        return {}

    async def read_state(self, *_: object) -> dict[bytes, bytes]:
        assert self.has_state_topic
        if self.has_open_transaction:
            raise TimeoutError
        return self.pairs

    async def listed(self) -> list[Listed]:
        found: list[Listed] = []
        await _list(SETTINGS, Progress(None), selected=Selected(), report=found.append)
        return found


@pytest.fixture
async def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Three dead letters in two partitions. A replay has published that of minute 2."""
    found = Cluster()
    for name in ("scan", "existing", "committed_ends"):
        monkeypatch.setattr(dead_letters, name, getattr(found, name))
    for name in ("existing", "read_state"):
        monkeypatch.setattr(listed_letters, name, getattr(found, name))
    async with configured(SETTINGS) as streams:
        found.polls = [[message(streams, 0, 1), message(streams, 0, 3)], [message(streams, 1, 2)]]
        replayed = found.polls[1][0]
        stored = stored_letter(replayed.key, replayed.value, replayed.timestamp_ms)
        assert stored is not None
        found.pairs[key_of(streams.understood(stored, NOW))] = MARK
    return found


async def test_dead_letters_are_listed_in_the_order_of_their_publication(cluster: Cluster) -> None:
    assert ["12:01", "12:02", "12:03"] == [each.published_at[11:16] for each in await cluster.listed()]


async def test_what_a_replay_has_published_is_shown_as_published(cluster: Cluster) -> None:
    found = await cluster.listed()
    assert ["understood", "published", "understood"] == [each.replay for each in found]
    assert "  published  " in str(found[1])
    assert "published" == json.loads(await _show(SETTINGS, Progress(None), name=found[1].id))["replay"]


async def test_without_a_readable_state_a_dead_letter_is_shown_as_it_would_be_decoded(cluster: Cluster) -> None:
    cluster.has_open_transaction = True
    assert {"understood"} == {each.replay for each in await cluster.listed()}
    cluster.has_state_topic = False
    assert {"understood"} == {each.replay for each in await cluster.listed()}
