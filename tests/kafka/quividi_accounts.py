"""Quividi's accounts as sources of a configuration, and what they have published compared with what the vendor has."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from collector.simulator.rules import Rules
from collector.simulator.server import Simulated
from collector.simulator.vidicenter import TOKEN, VidiCenter
from collector.vendors import VENDORS
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests import quividi_truth as truth
from tests.kafka.daemon import Received, TopicReader, until
from tests.kafka.scenario import MAX_CALLS

HOUR = timedelta(hours=1)
TIMES = ("started_at", "period_start", "utc_offset_s", "ambiguous", "footfall_started_at", "watcher_started_at")
"""The fields of events that follow from the zone."""
LISTS = ("locations", "sites", "boxes", "zones", "tags", "contents", "alerts", "monitoring")
"""The streams that are no exports."""
TIMING = 'interval = "1h"\nsettle = "2s"\nallowed_lateness = "3d"\nsweep_every = "2h"\nspan = "2d"\n'


def source(
    name: str,
    vendors: Simulated,
    rules: Rules,
    since: datetime,
    selection: str,
    streams: Sequence[str],
    zones: str = "",
) -> str:
    """The configuration of a source."""
    return f"""
[sources.{name}]
vendor = "quividi"
base_url = "{vendors.url("quividi")}"
username = "{rules.username}"
token = "{TOKEN}"
since = {since.isoformat()}
timeout = "20s"
max_requests_per_minute = {MAX_CALLS}
{selection}
{zones}
{"".join(_table(name, each) for each in streams)}"""


def _table(source: str, stream: str) -> str:
    table = f"[sources.{source}.streams.{stream}]\n"
    if stream in LISTS:
        return f'{table}interval = "2s"\n'
    is_extrapolated = EXPORT_TYPES[stream].place is None
    return table + TIMING + ('extrapolation_amount = ""\n' if is_extrapolated else "")


def topics() -> Iterator[str]:
    """All topics of Quividi's streams."""
    for types in VENDORS["quividi"].event_types.values():
        for each in types:
            yield each.topic


class Account:
    """What a source has published, and the rows that its vendor has in the end."""

    def __init__(
        self, name: str, vendor: VidiCenter, streams: Sequence[str], zone_of: Callable[[truth.Row], ZoneInfo]
    ) -> None:
        """`vendor` has the places that the source selects, and no others."""
        self.streams = streams
        """The streams of exports that the account has a right to."""
        self._name = name
        self._vendor = vendor
        self._zone_of = zone_of
        self._known: dict[tuple[str, datetime, datetime], list[truth.Row]] = {}

    def rows(self, stream: str, first: datetime, last: datetime) -> list[truth.Row]:
        """The rows that start in a span."""
        kind, key = EXPORT_TYPES[stream], (stream, first, last)
        if key not in self._known:
            # A span that cuts a period would have the numbers of a part of it.
            first_ms, last_ms = (int(each.timestamp()) * 1000 for each in (first - HOUR, last + 2 * HOUR))
            resolution = "1h" if kind.is_aggregated else "finest"
            found = self._vendor.expected_rows(kind.data_type, resolution, first_ms, last_ms)
            self._known[key] = [row for row in found if first <= self.start_of(row) < last]
        return self._known[key]

    def start_of(self, row: truth.Row) -> datetime:
        return truth.local_start(row).replace(tzinfo=self._zone_of(row)).astimezone(UTC)

    def values(self, messages: Sequence[Received], stream: str) -> list[truth.Value]:
        """The values of the main events of a stream."""
        kind = EXPORT_TYPES[stream].events[0].name
        return [each.value for each in messages if each.value["type"] == kind and each.value["source"] == self._name]

    def lacking(
        self, messages: Sequence[Received], stream: str, rows: Sequence[truth.Row], ignoring: Sequence[str] = ()
    ) -> list[object]:
        """The rows that are not published with their numbers and times, and how they differ."""
        values = self.values(messages, stream)
        if EXPORT_TYPES[stream].is_aggregated:
            expected = truth.aggregated_rows(rows, stream, self._zone_of)
            return truth.differences(expected, truth.aggregated_events(values), ignoring)
        finest = truth.finest_rows(rows, stream, self._zone_of, ignoring)
        return [*(finest - truth.finest_events(values, finest)).items()]

    def doubled(self, messages: Sequence[Received], stream: str, rows: Sequence[truth.Row]) -> list[object]:
        """The finest events that are more than the rows of a wide span. Periods cannot be doubled: they have a key."""
        if EXPORT_TYPES[stream].is_aggregated:
            return []
        finest = truth.finest_rows(rows, stream, self._zone_of, TIMES)
        return [*(truth.finest_events(self.values(messages, stream), finest) - finest).items()]


class Comparison:
    """Waits until all accounts have published what starts in a span. Completed streams are not compared again."""

    def __init__(self, reader: TopicReader, accounts: Sequence[Account], first: datetime, last: datetime) -> None:
        self._reader = reader
        self._span = first, last
        self._pending = [(account, stream) for account in accounts for stream in account.streams]

    async def wait(self, within_s: float) -> None:
        """Return when everything is published. Fails with the first difference if that takes longer."""
        try:
            await until(self._is_complete, "all rows are published", within_s)
        except AssertionError as error:
            account, stream = self._pending[0]
            rows = account.rows(stream, *self._span)
            lacking = account.lacking(await self._reader.poll(), stream, rows, TIMES)
            raise AssertionError(
                f"{error}: of {len(rows)} rows of {stream}, {len(lacking)} differ: {lacking[:3]}"
            ) from None

    async def _is_complete(self) -> bool:
        messages = await self._reader.poll()
        while self._pending:
            account, stream = self._pending[0]
            if account.lacking(messages, stream, account.rows(stream, *self._span), TIMES):
                return False
            self._pending.pop(0)
        return True


def newest_states(messages: Sequence[Received]) -> Mapping[tuple[str, str], truth.Value]:
    """The last progress of each stream, by source and stream."""
    progress = [each.value for each in messages if each.topic.endswith("collector.progress")]
    return {(each["source"], each["stream"]): each for each in progress}


def revisions_with(values: Sequence[truth.Value], place: int, *qualities: str) -> int:
    """How many records of a place have had these qualities, one after the other."""
    found = Counter[str]()
    history: dict[str, list[str]] = {}
    for each in sorted(values, key=lambda value: int(value["revision"])):
        history.setdefault(each["record_id"], []).append(each["quality"])
        found[each["record_id"]] = each["location_id"]
    return sum(found[name] == place and each[: len(qualities)] == [*qualities] for name, each in history.items())
