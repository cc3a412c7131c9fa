"""The configured sources and the handles of their streams. A reload replaces the handles of what has changed only."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

from msgspec import Struct

from collector.clock import Clock
from collector.config import Settings
from collector.kafka.epoch import partition_of
from collector.live_first import LiveFirst
from collector.model import Backfill, backfill_name, whole_name
from collector.registry.ids import SchemaIds
from collector.stream_handle import StreamHandle
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus, SourceStatus, StreamStatus
from collector.telemetry.stream import StreamTelemetry
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors import VENDORS
from collector.vendors.base import Stream
from collector.vendors.http import Http
from collector.vendors.proxy import proxy_name
from collector.vendors.source import SourceSettings


class Surroundings(Struct, frozen=True):
    """What the handles of all streams share."""

    metrics: Metrics
    process_status: ProcessStatus
    clock: Clock
    random: Random
    http: Http
    registry: SchemaIds | None
    on_commit: Callable[[], None]


class Changes(Struct, frozen=True):
    """The names of the sources that a reload has changed."""

    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]


class ConfiguredSources:
    """The sources of the present configuration."""

    def __init__(self, surroundings: Surroundings, state_partitions: int) -> None:
        self._surroundings = surroundings
        self._state_partitions = state_partitions
        self._sources: dict[str, _Source] = {}
        self._replaced: list[StreamHandle] = []
        """The handles that a reload has replaced, until they have ended."""

    def apply(self, settings: Settings) -> Changes:
        """Make the handles of these settings; what has not changed keeps its handles."""
        former, self._sources = self._sources, {}
        for name, source in settings.sources.items():
            self._sources[name] = self._make(name, source, settings, former.get(name))
        kept = {id(handle) for handle in self.handles()}
        self._replaced += [each for source in former.values() for each in source.handles if id(each) not in kept]
        process_status = self._surroundings.process_status
        process_status.sources[:] = [source.status for source in self._sources.values()]
        process_status.streams[:] = [handle.telemetry.status for handle in self.handles()]
        common = former.keys() & self._sources.keys()
        return Changes(
            added=[name for name in self._sources if name not in former],
            changed=[name for name in self._sources if name in common and self._sources[name] is not former[name]],
            removed=[name for name in former if name not in self._sources],
        )

    def by_partition(self) -> dict[int, list[StreamHandle]]:
        """The handles of each state partition. All streams of an account are in the same partition."""
        found: dict[int, list[StreamHandle]] = defaultdict(list)
        for handle in self.handles():
            found[partition_of(str(handle.stream.account), self._state_partitions)].append(handle)
        return dict(found)

    def release_replaced(self) -> None:
        """The replaced handles have ended: remove the metrics of streams and sources that are no longer configured."""
        streams = {(handle.stream.source, handle.stream.name) for handle in self.handles()}
        for handle in self._replaced:
            stream = handle.stream
            if (stream.source, stream.name) not in streams:
                self._surroundings.metrics.remove(source=stream.source, stream=stream.name)
            if stream.source not in self._sources:
                self._surroundings.metrics.remove(source=stream.source)
        self._replaced.clear()

    def handles(self) -> Iterator[StreamHandle]:
        """The handles of all streams."""
        return (handle for source in self._sources.values() for handle in source.handles)

    def _make(self, name: str, source: SourceSettings, settings: Settings, former: "_Source | None") -> "_Source":
        """The source. If nothing has changed, it is the former one."""
        if former is not None and former.settings.vendor != source.vendor:
            former = None
        if former is not None and is_equal(former.settings, source):
            return former
        kept = {} if former is None else {each.stream.name: each for each in _unchanged(former, source)}
        surroundings = self._surroundings
        vendor = VENDORS[source.vendor]
        status = SourceStatus(vendor.name, name) if former is None else former.status
        status.host, status.proxy, status.notices = source.host, proxy_name(source.base_url), []
        telemetry = VendorTelemetry(surroundings.metrics, name, status) if former is None else former.telemetry
        statuses = {} if former is None else {each.stream.name: each.telemetry.status for each in former.handles}
        handles = [
            kept.get(stream.name) or self._handle(stream, settings, telemetry, statuses.get(stream.name))
            for stream in vendor.load().streams(name, source, surroundings.http, telemetry)
        ]
        return _Source(source, status, telemetry, handles)

    def _handle(
        self, stream: Stream[Any], settings: Settings, vendor_telemetry: VendorTelemetry, former: StreamStatus | None
    ) -> StreamHandle:
        status = former or StreamStatus(stream.account.vendor, stream.source, stream.name)
        status.notices.clear()
        on_released = partial(vendor_telemetry.stream_released, stream.name)
        make_backfill = partial(self._backfill, stream, settings, vendor_telemetry, status)
        return self._made(stream, settings, status, on_released=on_released, make_backfill=make_backfill)

    def _backfill(
        self,
        stream: Stream[Any],
        settings: Settings,
        vendor_telemetry: VendorTelemetry,
        status: StreamStatus,
        requested: Backfill,
    ) -> StreamHandle:
        """A handle of the same stream with the interval of the backfill. `status` is that of the stream."""
        times = {"since": requested.start, "until": requested.end}
        source = settings.sources[stream.source].model_copy(update=times)
        vendor = VENDORS[source.vendor].load()
        streams = vendor.streams(stream.source, source, self._surroundings.http, vendor_telemetry)
        bounded = next(each for each in streams if each.name == stream.name)
        bounded.name = backfill_name(stream.name, requested.start)
        own = StreamStatus(status.vendor, status.source, f"{stream.name}~backfill", backfill=requested)
        sources = {**settings.sources, stream.source: source}
        view = _View(own, status, self._surroundings.metrics)
        return self._made(bounded, settings.model_copy(update={"sources": sources}), own, view=view)

    def _made(
        self,
        stream: Stream[Any],
        settings: Settings,
        status: StreamStatus,
        *,
        on_released: Callable[[], None] = lambda: None,
        make_backfill: Callable[[Backfill], StreamHandle] | None = None,
        view: "_View | None" = None,
    ) -> StreamHandle:
        surroundings = self._surroundings
        status.interruption = surroundings.process_status.interruption
        status.partition = partition_of(str(stream.account), self._state_partitions)
        types = [kind.name for kind in stream.event_types]
        telemetry = StreamTelemetry(surroundings.metrics, status, types, on_released)
        telemetry.configured(stream.policy)
        return StreamHandle(
            stream,
            settings,
            telemetry,
            surroundings.clock,
            surroundings.random,
            surroundings.on_commit,
            surroundings.registry,
            turns=surroundings.http.shared("turns", str(stream.account), LiveFirst),
            make_backfill=make_backfill,
            view=view,
        )


class _View(Struct):
    """Where a backfill is shown: below its stream, while this process runs it."""

    own: StreamStatus
    of_stream: StreamStatus
    metrics: Metrics

    def show(self) -> None:
        if self.own not in self.of_stream.backfills:
            self.of_stream.backfills.append(self.own)

    def hide(self) -> None:
        self.of_stream.backfills.remove(self.own)
        self.metrics.remove(source=self.own.source, stream=self.own.stream)


class _Source(Struct):
    """A configured source."""

    settings: SourceSettings
    status: SourceStatus
    telemetry: VendorTelemetry
    handles: Sequence[StreamHandle]


def _unchanged(former: _Source, source: SourceSettings) -> Iterator[StreamHandle]:
    """The handles of the streams whose tables are equal, if all else in the source's table is."""
    if not is_equal(former.settings, source, apart_from=source.stream_tables):
        return
    for handle in former.handles:
        name = whole_name(handle.stream.name)
        before, after = former.settings.chosen.get(name), source.chosen.get(name)
        if before is not None and after is not None and before == after:
            yield handle


def is_equal(one: SourceSettings, other: SourceSettings, *, apart_from: frozenset[str] = frozenset()) -> bool:
    """Whether two tables of sources are equal. What a secret's file or variable contains does not count."""
    return _dump(one, apart_from) == _dump(other, apart_from)


def _dump(source: SourceSettings, apart_from: frozenset[str]) -> Mapping[str, object]:
    return source.model_dump(exclude=set(apart_from))
