"""The shards of a stream whose source has several time zones: one shard for each zone.

A shard has windows, a checkpoint and a ledger of its own, under the name `<stream>@<zone>`; that of the source's own
zone has the name of the stream. Consumers only know the stream: ids, dead letters and progress do not name the shard.

A place belongs to one shard at a time. When the configuration moves it to another one, its records must neither be lost
nor doubled:

- The ledgers of all shards are compared, also of shards that are no longer configured: what one shard has published,
  another does not publish again. Keys and pages depend on the vendor's local time alone: they are equal in all shards.
- A shard whose places have changed continues where the others are final, on its own clock: it fetches again all that
  another shard may not have fetched, or not for the last time.

Both need that no ledger has dropped a page that another shard fetches again. Ledgers keep pages until all configured
shards are final past them, for up to MAX_APART. If shards are further apart, they wait until an operator has let them
catch up.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple, Self
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

from msgspec import structs

from collector.errors import Park
from collector.instants import format_seconds
from collector.model import Checkpoint, Policy, whole_name
from collector.pipeline.message import Origin
from collector.pipeline.progress import Progress
from collector.pipeline.state import MAX_APART, State, StateFormat, load


def whole_prefix(prefix: str) -> str:
    """The prefix of the state of the shard that has the name of the stream: equal for all shards of a stream."""
    path, _, shard = prefix.rpartition("/")
    return f"{path}/{quote(whole_name(unquote(shard)), safe='')}"


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
        self._states: dict[str, State] = {}

    @classmethod
    def only(cls, state: State, zone: tzinfo, origin: Origin, policy: Policy) -> Self:
        """For a stream with a single shard, whose state is loaded."""
        shards = cls(state.format, {state.prefix: zone}, Progress(origin, policy, [state.prefix]), nullcontext())
        shards._states[state.prefix] = state
        return shards

    def load(self, prefix: str) -> State:
        """The state of a shard, whose ledger knows all others. Raises UnreadableState, also for another's state."""
        for each in sorted({prefix, *self._zones, *self.pairs} - self._states.keys()):
            self._states[each] = load(each, self._format, self.pairs.get(each, {}))
            self.pairs.pop(each, None)
        state = self._states[prefix]
        state.ledger.others = [other.ledger for each, other in self._states.items() if each != prefix]
        state.others = [other for each, other in self._states.items() if each != prefix and each in self._zones]
        return state

    def joined(self, prefix: str, selection: str) -> Checkpoint | None:
        """Where a shard continues with the present selection of its source; None if its stream is new.

        The caller must commit it before it fetches, and not fetch before `have_joined`.

        It is moved back to where all shards of the former selection are final. A shard that did not exist then starts
        there: whatever it has published earlier is long final. Raises Park if these shards are so far apart that a
        ledger has dropped what the shard would fetch again.
        """
        own = self._states[prefix].checkpoint
        stored = self._stored()
        latest = max((each.checkpoint for each in stored), key=lambda checkpoint: checkpoint.joined, default=None)
        if latest is None or (own is None and latest.joined == 0 and latest.selection == selection):
            return None  # other shards may have begun, but not fetched anything: see `have_joined`
        number = latest.joined if latest.selection == selection else latest.joined + 1
        if own is not None and own.joined == number:
            return own
        shards = [each for each in stored if each.checkpoint.joined >= number - 1]
        if own is not None and [prefix] == [each.prefix for each in shards]:
            return structs.replace(own, selection=selection, joined=number)
        zone = self._zones[prefix]
        start = min(_same_local(each.checkpoint.final, each.zone, zone) for each in shards)
        self._check_ledgers(shards, _local(start, zone))
        since = min(each.checkpoint.since for each in shards) if own is None else own.since
        start = max(start, since)
        if own is not None and own.joined == number - 1:
            return structs.replace(own, watermark=start, final=start, selection=selection, joined=number)
        span = min(each.checkpoint.span for each in shards)
        return Checkpoint(since, start, start, span=span, swept_at=start, selection=selection, joined=number)

    @property
    def have_joined(self) -> bool:
        """Whether all configured shards have durably joined. Until then none may advance.

        After a crash, those that have not joined continue where the others are final. That must still be where these
        have joined.
        """
        if len(self._zones) == 1:
            return True
        durable = (self._states[each].durable for each in self._zones)
        numbers = {None if checkpoint is None else checkpoint.joined for checkpoint in durable}
        return len(numbers) == 1 and None not in numbers

    def _stored(self) -> Sequence["_Shard"]:
        """All shards that have a checkpoint, configured or not."""
        return [
            _Shard(each, state.checkpoint, zone)
            for each, state in self._states.items()
            if state.checkpoint is not None
            if (zone := self._zones.get(each) or _zone_of(each)) is not None
        ]

    def _check_ledgers(self, shards: Iterable["_Shard"], start: datetime) -> None:
        """Raise Park if the ledger of one of the shards has dropped what starts at `start`, on the vendor's clock."""
        for each in shards:
            if start < each.checkpoint.final - self._format.max_clock_offset - MAX_APART:
                name = unquote(each.prefix.rpartition("/")[2])
                raise Park(
                    f"the shard {name} is final until {format_seconds(each.checkpoint.final)}, too far from the others "
                    "to move places between them",
                    code="shards_apart",
                    advice="configure the zones as they were until all shards have caught up, then change them again",
                )


class _Shard(NamedTuple):
    """A shard that has a checkpoint."""

    prefix: str
    checkpoint: Checkpoint
    zone: tzinfo


def _local(instant: datetime, zone: tzinfo) -> datetime:
    """What clocks in the zone show, as an instant in UTC: so the ledger counts time."""
    return instant.astimezone(zone).replace(tzinfo=UTC)


def _same_local(instant: datetime, zone: tzinfo, other: tzinfo) -> datetime:
    """The earliest instant at which clocks in the other zone show what clocks in the zone show at the instant."""
    return instant.astimezone(zone).replace(tzinfo=other, fold=0).astimezone(UTC)


def _zone_of(prefix: str) -> tzinfo | None:
    """The zone in the name of a shard that is not configured; None if there is none."""
    _, _, name = unquote(prefix.rpartition("/")[2]).partition("@")
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError):
        return None
