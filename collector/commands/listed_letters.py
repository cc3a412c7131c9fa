"""`collector dead-letters list` and `show`: the rows that could not be published, and which are understood now."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, structs

from collector.clock import SystemClock
from collector.commands.dead_letters import (
    Configured,
    Letters,
    Selected,
    configured,
    in_words,
    named,
    status_of,
    validate,
)
from collector.commands.progress import Progress
from collector.commands.replay_plan import prefix_of
from collector.commands.state_topic import read_state, with_kafka
from collector.config import Settings, load
from collector.errors import NotReplayable
from collector.instants import format_ms
from collector.kafka.epoch import partition_of
from collector.kafka.scan import existing
from collector.pipeline.dead_letters import StoredLetter, mark_key, marks
from collector.pipeline.shards import whole_prefix
from collector.vendors.plain_session import one_line


class Listed(Struct, frozen=True):
    """A dead letter as it is listed; the fields of `--json`."""

    id: str
    published_at: str
    source: str
    stream: str
    reason: str
    error: str
    replay: str
    """`published`, `understood`, `not_understood` or `not_replayable`."""
    why: str | None
    """What is still wrong, or why it cannot be replayed."""

    @property
    def digest(self) -> str:
        """What identifies the dead letter: the first part of its id."""
        return self.id.partition("/")[0]

    def __str__(self) -> str:
        why = f": {self.why}" if self.why and self.why != self.error else ""
        where = f"{self.source} {self.stream}"
        verdict = one_line(f"{in_words(self.replay)}{why}")
        return f"{self.digest}  {self.published_at}  {where}  {self.reason}  {verdict}  {one_line(self.error)}"


def listed(stored: StoredLetter, configured: Configured, now: datetime) -> Listed:
    """The dead letter, and whether this version can replay it."""
    letter, replay, why = stored.letter, "understood", None
    try:
        configured.understood(stored, now)
    except NotReplayable as error:
        replay, why = status_of(error), str(error)
    at = format_ms(stored.published_ms)
    return Listed(letter.event_id, at, letter.source, letter.stream, letter.reason, letter.error, replay, why)


def list_letters(path: Path, selected: Selected, report: Callable[[Listed], None]) -> int:
    """Report the selected dead letters in the order of their publication. Returns the number of messages that are none.

    Raises UserError for a wrong configuration or an unknown source or stream, and Failed when Kafka cannot be used.
    """
    settings = load(path)
    validate(settings, selected)
    return with_kafka(partial(_list, selected=selected, report=report), settings)


async def _list(
    settings: Settings, progress_line: Progress, *, selected: Selected, report: Callable[[Listed], None]
) -> int:
    now = SystemClock().now()
    async with configured(settings) as streams:
        letters, found = Letters(streams, progress_line), list[Listed]()
        async for several in letters.read(selected):
            found += (listed(each, streams, now) for each in several)
        found = await with_replayed(found, streams, progress_line)
    with progress_line.paused():
        for each in sorted(found, key=lambda each: (each.published_at, each.id)):
            report(each)
    return letters.unreadable


async def with_replayed(found: Sequence[Listed], streams: Configured, progress_line: Progress) -> list[Listed]:
    """The same dead letters; those that a replay has published, as their marks say, are `published`."""
    kafka = streams.settings.kafka
    of_streams = {(each.source, each.stream) for each in found} & streams.shards.keys()
    accounts = {streams.shards[each][0].account for each in of_streams}
    replayed: set[bytes] = set()
    if accounts and await existing(kafka, [kafka.state_topic]):
        with suppress(TimeoutError):  # an owner that was killed has left a transaction open
            partitions = {partition_of(str(each), kafka.state_partitions) for each in accounts}
            replayed = set(marks(await read_state(kafka, progress_line, sorted(partitions))))

    def is_replayed(letter: Listed) -> bool:
        if (letter.source, letter.stream) not in of_streams:
            return False
        prefix = whole_prefix(prefix_of(streams.shards[letter.source, letter.stream][0]))
        return mark_key(prefix, letter.digest) in replayed

    return [structs.replace(each, replay="published", why=None) if is_replayed(each) else each for each in found]


def show(path: Path, name: str) -> str:
    """The fields of a dead letter, as JSON with its row taken apart.

    Raises UserError for a wrong configuration, and a name of no or of several dead letters; Failed when Kafka cannot be
    used.
    """
    return with_kafka(partial(_show, name=name), load(path))


async def _show(settings: Settings, progress_line: Progress, *, name: str) -> str:
    now = SystemClock().now()
    async with configured(settings) as streams:
        (stored,) = await named(Letters(streams, progress_line), [name])
        (found,) = await with_replayed([listed(stored, streams, now)], streams, progress_line)
    fields: dict[str, Any] = {"published_at": found.published_at, "key": stored.key, **structs.asdict(stored.letter)}
    with suppress(msgspec.DecodeError):  # then it is shown as the text that it is
        fields["payload"] = msgspec.json.decode(stored.letter.payload)
    fields |= {"replay": found.replay, "why": found.why}
    return msgspec.json.format(msgspec.json.encode(fields), indent=2).decode()
