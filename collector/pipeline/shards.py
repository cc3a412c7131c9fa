"""The shards of a stream whose source has several time zones: one shard for each zone.

A shard has windows, a checkpoint and a ledger of its own, under the name `<stream>@<zone>`; that of the source's own
zone has the name of the stream. Consumers only know the stream: ids, dead letters and progress do not name the shard.

A place belongs to one shard at a time. When the configuration moves it to another one, its records must neither be lost
nor doubled:

- The ledgers of all shards are compared, also of shards that are no longer configured: what one shard has published,
  another does not publish again. Keys and pages depend on the vendor's local time alone: they are equal in all shards.
- When the selection of the source changes, a shard continues where all shards are final: it fetches again all that
  another shard may not have fetched, or not for the last time. Once all shards have joined the selection, those that
  are no longer configured lose their checkpoints.

So no ledger may drop a page that another shard will fetch again: pages are kept until all shards are final.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple, Self
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from msgspec import structs

from collector.instants import UNIX_EPOCH_LOCAL
from collector.model import Checkpoint, Policy, published_name, whole_name
from collector.pipeline.ledger import PAGE_S
from collector.pipeline.message import Origin
from collector.pipeline.progress import Progress
from collector.pipeline.state import State, StateFormat, load_in_steps
from collector.steps import Steps, at_once


def whole_prefix(prefix: str) -> str:
    """The prefix of the state of the shard that has the name of the stream: equal for all shards of a stream."""
    path, _, _ = prefix.rpartition("/")
    return f"{path}/{quote(whole_name(_name_of(prefix)), safe='')}"


def published_prefix(prefix: str) -> str:
    """The prefix of the stream as consumers know it, given that of a shard or of a backfill."""
    path, _, _ = prefix.rpartition("/")
    return f"{path}/{quote(published_name(_name_of(prefix)), safe='')}"


def _name_of(prefix: str) -> str:
    """The name of the shard with this prefix."""
    return unquote(prefix.rpartition("/")[2])


class Shards:
    """The shards of one stream in one epoch: a single one for a stream whose source has one zone."""

    def __init__(
        self,
        state_format: StateFormat,
        zones: Mapping[str, tzinfo],
        progress: Progress,
        lock: AbstractAsyncContextManager[object],
    ) -> None:
        """`zones` are those of the configured shards, by the prefix of their state."""
        self._format = state_format
        self._zones = zones
        self.progress = progress
        self.lock = lock
        """Held while it is determined what is new, until that is committed: no other shard publishes it too. Likewise
        for progress messages: no later one precedes them."""
        self.pairs: dict[str, Mapping[str, bytes]] = {}
        """The stored states that are not loaded yet, by prefix; also those of shards that are no longer configured."""
        self.neighbour_start: datetime | None = None
        """Of a backfill: from here on, the stream itself or a completed backfill publishes what is malformed."""
        self.elsewhere: Sequence[tuple[int, int]] = ()
        """Which local starts, in seconds on the vendor's clock, backfills with another time zone publish: see
        `in_other_zones`. The stream does not publish them."""
        self._states: dict[str, State] = {}

    @classmethod
    def only(cls, state: State, zone: tzinfo, origin: Origin, policy: Policy) -> Self:
        """For a stream with a single shard, whose state is loaded."""
        shards = cls(state.format, {state.prefix: zone}, Progress(origin, policy, [state.prefix]), nullcontext())
        shards._states[state.prefix] = state
        return shards

    def load(self, prefix: str) -> State:
        """As `load_in_steps`, at once."""
        return at_once(self.load_in_steps(prefix))

    def load_in_steps(self, prefix: str) -> Steps[State]:
        """The state of a shard, whose ledger knows all others. Raises UnreadableState, also for another's state.

        Shards load one after the other: each loads what is not loaded yet.
        """
        for each in sorted({prefix, *self._zones, *self.pairs} - self._states.keys()):
            self._states[each] = yield from load_in_steps(each, self._format, self.pairs.get(each, {}))
            self.pairs.pop(each, None)
        state = self._states[prefix]
        state.ledger.others = [other.ledger for each, other in self._states.items() if each != prefix]
        state.others = [self._states[each] for each in self._zones if each != prefix]
        state.inherited = [self._states[each].ledger for each in self._states if self._heir(each) == prefix]
        return state

    def _heir(self, retired: str) -> str | None:
        """The configured shard whose timeline has the records of one that is no longer configured: one of equal offset.

        So the timeline of a zone that gets another name goes on. Of several, it is the one that has the fewest records,
        because it may be new. None for a configured shard, and if no zone has the same offset from UTC.
        """
        ledger = self._states[retired].ledger
        newest = max(ledger.pages(), default=-1)
        zone = _zone_of(retired)
        if retired in self._zones or zone is None or newest < 0:
            return None
        local = UNIX_EPOCH_LOCAL + timedelta(seconds=newest * PAGE_S)
        offset = local.replace(tzinfo=zone).utcoffset()
        heirs = [each for each, own in self._zones.items() if local.replace(tzinfo=own).utcoffset() == offset]
        return min(heirs, key=lambda each: len(self._states[each].ledger), default=None)

    def joined(self, prefix: str, selection: str) -> Checkpoint | None:
        """Where a shard continues with the present selection of its source; None if its stream is new.

        If the selection or the shard's zone has changed, that is where all shards are final, in UTC and on its own
        clock: a place may have come from any of them.
        """
        own, zone = self._states[prefix].checkpoint, self._zones[prefix]
        is_in_zone = own is not None and own.zone in {"", str(zone)}
        if own is not None and is_in_zone and own.selection == selection:
            return structs.replace(own, zone=str(zone))
        stored = self._stored()
        if is_in_zone and len(stored) == 1:
            return own and structs.replace(own, selection=selection, zone=str(zone))
        if not stored:
            return None
        finals = [each.checkpoint.final for each in stored]
        local_finals = [_same_local(each.checkpoint.final, each.zone, zone) for each in stored]
        since = min(each.checkpoint.since for each in stored) if own is None else own.since
        start = max(since, min(*finals, *local_finals))
        if own is not None:
            return structs.replace(own, watermark=start, final=start, selection=selection, zone=str(zone))
        span = min(each.checkpoint.span for each in stored)
        return Checkpoint(since, start, start, span=span, swept_at=start, selection=selection, zone=str(zone))

    def not_joined(self, selection: str) -> Sequence[str]:
        """The names of the configured shards that have not durably joined the selection. Until then none may advance.

        After a crash, those that have not joined continue where the others are final. That must still be where these
        have joined.
        """
        if len(self._zones) == 1:
            return ()
        durable = {each: self._states[each].durable for each in self._zones}
        return [_name_of(each) for each, found in durable.items() if found is None or found.selection != selection]

    def retired(self, selection: str) -> Sequence[str]:
        """The prefixes of the shards that are no longer configured, once all others have joined the selection.

        Their places belong to other shards now. Without their checkpoints, they are new if they are configured again;
        their ledgers are still compared.
        """
        durable = (self._states[each].durable for each in self._zones)
        if any(each is None or each.selection != selection for each in durable):
            return ()
        return [each.prefix for each in self._stored() if each.prefix not in self._zones]

    def retire(self, prefix: str) -> None:
        """The checkpoint of a shard has been deleted."""
        self._states[prefix].checkpoint = self._states[prefix].durable = None

    def contains(self, prefix: str) -> bool:
        """Whether a stored state is that of one of the shards, configured or not."""
        return whole_prefix(prefix) == whole_prefix(next(iter(self._zones)))

    def stored_keys(self) -> Sequence[bytes]:
        """The keys of the durable states of all shards."""
        return [key for state in self._states.values() for key in state.stored_keys()]

    def _stored(self) -> Sequence["_Shard"]:
        """All shards that have a checkpoint, configured or not."""
        return [
            _Shard(each, state.checkpoint, zone)
            for each, state in self._states.items()
            if state.checkpoint is not None
            if (zone := zone_named(state.checkpoint.zone) or self._zones.get(each) or _zone_of(each)) is not None
        ]


class _Shard(NamedTuple):
    """A shard that has a checkpoint."""

    prefix: str
    checkpoint: Checkpoint
    zone: tzinfo


def _same_local(instant: datetime, zone: tzinfo, other: tzinfo) -> datetime:
    """The earliest instant at which clocks in the other zone show what clocks in the zone show at the instant."""
    return instant.astimezone(zone).replace(tzinfo=other, fold=0).astimezone(UTC)


def _zone_of(prefix: str) -> tzinfo | None:
    """The zone in the name of a shard that is not configured; None if there is none."""
    _, _, name = _name_of(prefix).partition("@")
    return zone_named(name)


def zone_named(name: str) -> tzinfo | None:
    """The zone with this name; None if there is none."""
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError):
        return None
