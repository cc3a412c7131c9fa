"""Asking VidiCenter. The only I/O of this folder."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from collector.errors import Park, RetryLater, Split, UserError
from collector.model import Event, FetchResult, Record, Window
from collector.secrets import redact
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors import backoff
from collector.vendors.base import ProbeResult, Stream
from collector.vendors.http import Http, Limiter, Response, ahead_s
from collector.vendors.leniency import not_an_answer
from collector.vendors.quividi import events, wire
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.contents import read_viewer_apc
from collector.vendors.quividi.export import MAX_RUNNING_EXPORTS, Call, Export, ExportStatus, GaveUp, Take, advance
from collector.vendors.quividi.export_types import GROUP_BY_DEMOGRAPHICS, TABLE
from collector.vendors.quividi.places import Exports
from collector.vendors.quividi.rows import Finest, Rows
from collector.vendors.quividi.settings import AggregatedSettings, ExportSettings, QuividiSource, ViewersApcSettings
from collector.vendors.quividi.zones import earliest

P = TypeVar("P")

DATA, WHOAMI, LOCATIONS = "/data/", "/whoami/", "/locations/"

HOST_CONNECTIONS = 2
"""What VidiCenter takes from one address at a time."""
MAX_IDS_BYTES = 6000
"""Of ids in one request: with all that surrounds them, no URL grows past 8 KiB."""
THROTTLED = (2.0, 60.0)
"""First and longest wait in seconds for a place at the vendor, or for calls that it allows again."""
MAX_THROTTLED = 30
"""Half an hour of that is trouble to be shown."""


class Client:
    """One source's way to its account."""

    def __init__(self, source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> None:
        account = str(settings.account)
        self.source = source
        self.settings = settings
        self.clock = http.clock
        self._http = http
        self._telemetry = telemetry
        self._limiter: Limiter = http.limiter(account, settings, http.host(settings.base_url, HOST_CONNECTIONS))
        self._exports = http.shared("exports", account, lambda: Exports(http.clock))
        self._random = Random()  # noqa: S311 - jitter is no secret
        telemetry.may_export(MAX_RUNNING_EXPORTS)

    async def get(self, path: str, query: Mapping[str, str]) -> Response:
        try:
            token = self.settings.token.reveal()
        except UserError as error:
            raise Park(f"no token: {error}", advice=f"provide sources.{self.source}.token") from error
        basic = self.settings.token.learn(b64encode(f"{self.settings.username}:{token}".encode()).decode())
        return await self._http.get(
            self.settings.base_url + path,
            query,
            limits=self.settings,
            limiter=self._limiter,
            asked=self._telemetry.asked,
            redact=self.settings.token.redact,
            headers={"Authorization": f"Basic {basic}"},
        )

    async def export(self, query: Mapping[str, str], not_before: datetime) -> "Built":
        """Have an export built, and fetch it; asked again, go on where it was. Raises RetryLater, Park or Split."""
        name, began = urlencode(query), self.clock.now()
        async with self._exports.place(name):
            self._telemetry.exporting(+1)
            try:
                built = await self._follow(name, query, self._exports.get(name, not_before))
            except GaveUp as gave_up:
                self._exports.note(name, gave_up.export)
                raise gave_up.error from None
            except Split:
                self._exports.forget(name)  # it is finished, and nobody will ask for it again
                raise
            finally:
                self._telemetry.exporting(-1)
        self._telemetry.exported((self.clock.now() - began).total_seconds())
        return built

    def forget(self, query: Mapping[str, str]) -> None:
        """What was taken is published: the next time, there may be more."""
        self._exports.forget(urlencode(query))

    async def _follow(self, name: str, query: Mapping[str, str], export: Export) -> "Built":
        call = Call()
        while True:
            if call.wait_s:
                await self.clock.until(self.clock.now() + timedelta(seconds=call.wait_s))
            called_at = self.clock.now()
            response = await self._patiently(DATA, {**query, "force_rebuild": "1"} if call.force else query)
            try:
                told = _answer(response.body)
                raw = wire.rows(told) if told.state == "finished" else None
                requested_at = min(called_at, response.vendor_now or called_at)
                reason = self._without_user(told.fail_reason or "")
                said = ExportStatus(
                    self._without_user(told.state or ""), requested_at, call.force, raw is not None, reason
                )
                export, step = advance(export, said)
            except BaseException:
                response.release()
                raise
            self._exports.note(name, export)
            if isinstance(step, Take):
                return Built(response, raw or (), step.requested_at)
            response.release()
            call = step

    def _without_user(self, words: str) -> str:
        """What the vendor says in its own words may name whom it says it to."""
        return redact(words).replace(self.settings.username, "…")

    async def _patiently(self, path: str, query: Mapping[str, str]) -> Response:
        """The answer, once the vendor lets us.

        Somebody's exports may still be running, such as those of the replica that had the account before.
        """
        throttled = 0
        while True:
            try:
                return await self.get(path, query)
            except RetryLater as trouble:
                throttled += 1
                if not trouble.throttled or throttled > MAX_THROTTLED:
                    raise
                wait_s = backoff.delay_s(throttled, THROTTLED, self._random.random(), at_least=trouble.after_s)
            await self.clock.until(self.clock.now() + timedelta(seconds=wait_s))


class Built(NamedTuple):
    """A finished export: the rows, what they were read from, and the instant up to which the vendor's data is in it."""

    response: Response
    rows: Sequence[msgspec.Raw]
    requested_at: datetime


class ExportStream(Stream[P]):
    """The exports of one type."""

    max_clock_offset = timedelta(days=1)
    oversize_advice = "raise max_response_bytes, or split the source into several with fewer locations each"

    def __init__(self, client: Client, settings: ExportSettings, rows: Rows[P]) -> None:
        kind = TABLE[settings.stream]
        selectors = client.settings.selectors
        self._client = client
        self._rows = rows
        self._max_rows = kind.max_rows
        self.zone = self._zone = ZoneInfo(client.settings.timezone)
        self._parts = tuple(_parts(selectors))
        self._asked = {"data_type": kind.data_type, "time_resolution": settings.resolution}
        self._options = settings.options
        self.source = client.source
        self.name = settings.stream
        self.account = client.settings.account
        self.policy = settings.policy(client.settings.until, rows.alignment)
        self.dedup_mode = rows.dedup_mode
        self.fields_version = rows.fields_version
        self.former = rows.former
        self.event_types = kind.events
        special = {settings.resolution: "", **self._options} if kind.is_aggregated else self._options
        said = repr(selectors) + (repr(special) if special else "")
        self.selection = f"{', '.join([*selectors, *special])} {blake2b(said.encode(), digest_size=8).hexdigest()}"

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[P], None]:
        """An export for each part of the selection. A place that two parts select comes twice, and is recognised."""
        first, last = self._rows.bounds(window)
        times = {"start": first.isoformat(), "end": last.isoformat()}
        taken: list[dict[str, str]] = []
        for selector, ids in self._parts:
            if (rows := self._rows.at_least(ids.count(",") + 1, first, last)) > self._max_rows:
                raise Split(f"an export of {rows} rows, of {self._max_rows} at most")
            query = {**self._asked, **times, selector: ids, **self._options}
            taken.append(query)
            response, raw, requested_at = await self._client.export(query, earliest(last, self._zone))
            with response:
                if len(raw) >= self._max_rows:
                    self._client.forget(query)
                    raise Split(f"an export of {len(raw)} rows, which is as many as the vendor sends")
                yield FetchResult(
                    records=self._rows.read(raw, first, last),
                    rows=len(raw),
                    size=len(response.body),
                    took=response.took,
                    vendor_now=requested_at,
                )
        for query in taken:  # and not before: asked again after a failure, a part that was taken is not built anew
            self._client.forget(query)

    def explode(self, record: Record[P], digest: str, number: int) -> Iterator[Event]:
        return self._rows.explode(record, digest, number, self.source)


def _rows(settings: ExportSettings, zone: ZoneInfo) -> Rows[Any]:
    match settings:
        case AggregatedSettings():
            grouped = GROUP_BY_DEMOGRAPHICS in settings.options
            return Aggregates(settings.stream, settings.resolution, settings.anchor, zone, grouped=grouped)
        case ViewersApcSettings():
            return Finest(zone, read_viewer_apc, events.explode_viewer_apc)
        case _:
            return Finest(zone, wire.read_viewer, events.explode_viewer)


def streams(source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> Sequence[Stream[Any]]:
    client = Client(source, settings, http, telemetry)
    zone = ZoneInfo(settings.timezone)
    return [ExportStream(client, chosen, _rows(chosen, zone)) for chosen in settings.streams.exports]


async def probe(source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> ProbeResult:
    """Ask who we are, and for the locations. Raises RetryLater, or Park, also for ids that the account does not own."""
    client = Client(source, settings, http, telemetry)
    with await client.get(WHOAMI, {}) as response:
        ahead = ahead_s(response, http.clock.now())
        try:
            username = wire.username(response.body)
        except msgspec.DecodeError as error:
            raise not_an_answer(response.body, error, what="the answer to whoami") from None
    if username != settings.username:
        advice = f"correct sources.{source}.username: the state is kept under it"
        raise Park("the token is of another user", advice=advice)
    with await client.get(LOCATIONS, {}) as response:
        try:
            owned = wire.locations(response.body)
        except msgspec.DecodeError as error:
            raise not_an_answer(response.body, error, what="the list of locations") from None
    _refuse_foreign(f"sources.{source}", "location", settings.locations, {each.id for each in owned})
    sites = {each.site_id for each in owned if each.site_id is not None}
    if sites:  # VidiCenters that do not say them leave it to the first export
        _refuse_foreign(f"sources.{source}", "site", settings.sites, sites)
    tags = ", ".join(name for name in ("location_tags", "site_tags") if getattr(settings, name))
    unseen = f"; {tags} cannot be looked up" if tags else ""
    return ProbeResult(f"{len(owned)} location{'' if len(owned) == 1 else 's'}{unseen}", ahead)


def _refuse_foreign(path: str, kind: str, ids: Sequence[int] | None, owned: Collection[int]) -> None:
    if foreign := sorted(set(ids or ()).difference(owned)):
        advice = f"correct {path}.{kind}s: the whole stream waits, so that nothing is lost silently"
        raise Park(f"the account has no {kind} {', '.join(map(str, foreign))}", advice=advice)


def _parts(selectors: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, str]]:
    """The ids in as few requests as their URLs allow. One argument in each: how the vendor joins two is unstated."""
    for selector, ids in selectors.items():
        part = ""
        for number in map(str, ids):
            if part and len(part) + 1 + len(number) > MAX_IDS_BYTES:
                yield selector, part
                part = ""
            part = f"{part},{number}" if part else number
        yield selector, part


def _answer(body: bytes) -> wire.ExportAnswer:
    try:
        told = wire.answer(body)
    except msgspec.DecodeError as error:
        raise not_an_answer(body, error) from None
    if told.state is None:
        raise RetryLater(
            "the answer has no state" + (f", and says error {told.error}" if isinstance(told.error, int) else "")
        )
    return told
