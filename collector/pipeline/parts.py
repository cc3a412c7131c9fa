"""The parts of a stream whose source has several time zones: one part for each zone.

A part has windows, a checkpoint and a ledger of its own, under the name `<stream>@<zone>`; that of the source's own
zone has the name of the stream. Consumers only know the stream: ids, dead letters and progress do not name the part.

A place belongs to one part at a time. When the configuration moves it to another one, its records must neither be lost
nor doubled:

- The ledgers of all parts are compared, also of parts that are no longer configured: what one part has published,
  another does not publish again. Keys and pages depend on the vendor's local time alone: they are equal in all parts.
- A part whose places have changed continues where the others are final, on its own clock: it fetches again all that
  another part may not have fetched, or not for the last time.

Both need that no ledger has dropped a page that another part fetches again. Ledgers keep pages `max_clock_offset`
longer. If parts are further apart, the part waits until an operator has let them catch up.
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
from collector.model import Checkpoint, Policy
from collector.pipeline.message import Origin
from collector.pipeline.progress import Progress
from collector.pipeline.state import State, StateFormat, load

SEPARATOR = "@"
"""Between the name of a stream and the zone of its part."""


def part_name(stream: str, zone: str) -> str:
    """The name of the part of a zone that is not the source's own."""
    return f"{stream}{SEPARATOR}{zone}"


def whole_name(part: str) -> str:
    """The name of the stream that a part belongs to."""
    return part.partition(SEPARATOR)[0]


def whole_prefix(prefix: str) -> str:
    """The prefix of the state of the part that has the name of the stream: equal for all parts of a stream."""
    path, _, part = prefix.rpartition("/")
    return f"{path}/{quote(whole_name(unquote(part)), safe='')}"


class Parts:
    """The parts of one stream in one epoch: a single one for a stream whose source has one zone."""

    def __init__(
        self,
        state_format: StateFormat,
        zones: Mapping[str, tzinfo],
        progress: Progress,
        lock: AbstractAsyncContextManager[object],
    ) -> None:
        """`zones` are those of the configured parts, by the prefix of their state."""
        self._format = state_format
        self._zones = zones
        self.progress = progress
        self.lock = lock
        """Held from the moment at which a progress message is made until it is committed: no later one precedes it."""
        self.pairs: dict[str, Mapping[str, bytes]] = {}
        """The stored states that are not loaded yet, by prefix; also those of parts that are no longer configured."""
        self._states: dict[str, State] = {}

    @classmethod
    def only(cls, state: State, zone: tzinfo, origin: Origin, policy: Policy) -> Self:
        """For a stream with a single part, whose state is loaded."""
        parts = cls(state.format, {state.prefix: zone}, Progress(origin, policy, [state.prefix]), nullcontext())
        parts._states[state.prefix] = state
        return parts

    def load(self, prefix: str) -> State:
        """The state of a part, whose ledger knows all others. Raises UnreadableState, also for the state of another."""
        for each in {prefix, *self._zones, *self.pairs} - self._states.keys():
            self._states[each] = load(each, self._format, self.pairs.get(each, {}))
            self.pairs.pop(each, None)
        state = self._states[prefix]
        state.ledger.others = [other.ledger for each, other in self._states.items() if each != prefix]
        return state

    def first_checkpoint(self, prefix: str, selection: str) -> Checkpoint | None:
        """Where a new part starts: where the others are final. None for a new stream, and for one without other parts.

        Raises Park as `rejoined` does.
        """
        others = self._others(prefix)
        if not others:
            return None
        since = min(each.checkpoint.since for each in others)
        start = max(since, self._final_of(others, prefix))
        self._check_ledgers(others, prefix, start)
        span = min(each.checkpoint.span for each in others)
        return Checkpoint(since, start, start, span=span, swept_at=start, selection=selection)

    def rejoined(self, prefix: str, checkpoint: Checkpoint) -> Checkpoint:
        """The checkpoint of a part whose places have changed, moved back to where all others are final.

        Raises Park if a configured part is so far behind or ahead that ledgers have dropped pages in between.
        """
        others = self._others(prefix)
        start = min(checkpoint.final, self._final_of(others, prefix, default=checkpoint.final))
        self._check_ledgers([*others, _Part(prefix, checkpoint, self._zones[prefix])], prefix, start)
        start = max(start, checkpoint.since)
        return structs.replace(checkpoint, watermark=start, final=start) if start < checkpoint.final else checkpoint

    def _others(self, prefix: str) -> Sequence["_Part"]:
        """The other parts: those that are configured, and those that were when the others were last about as far."""
        found = [
            _Part(each, state.checkpoint, zone)
            for each, state in self._states.items()
            if each != prefix and state.checkpoint is not None
            if (zone := self._zones.get(each) or _zone_of(each)) is not None
        ]
        oldest = max((each.checkpoint.final for each in found), default=datetime.max.replace(tzinfo=UTC))
        oldest -= self._format.max_clock_offset
        return [each for each in found if each.prefix in self._zones or each.checkpoint.final >= oldest]

    def _final_of(self, parts: Iterable["_Part"], prefix: str, default: datetime | None = None) -> datetime:
        """Where all of these parts are final, on the clock of the part with this prefix."""
        zone = self._zones[prefix]
        instants = [_same_local(each.checkpoint.final, each.zone, zone) for each in parts]
        return min(instants) if default is None else min(instants, default=default)

    def _check_ledgers(self, parts: Iterable["_Part"], prefix: str, start: datetime) -> None:
        """Raise Park if the ledger of a part has dropped what the part with this prefix fetches from `start` on."""
        for each in parts:
            if _local(start, self._zones[prefix]) < each.checkpoint.final - self._format.max_clock_offset:
                name = unquote(each.prefix.rpartition("/")[2])
                raise Park(
                    f"the part {name} is final until {format_seconds(each.checkpoint.final)}, too far from the others "
                    "to move places between them",
                    code="parts_apart",
                    advice="configure the zones as they were until all parts have caught up, then change them again",
                )


class _Part(NamedTuple):
    """A part that has a checkpoint."""

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
    """The zone in the name of a part that is not configured; None if there is none."""
    _, _, name = unquote(prefix.rpartition("/")[2]).partition(SEPARATOR)
    try:
        return ZoneInfo(name) if name else None
    except (ValueError, OSError, KeyError):
        return None
