"""Requests to VidiCenter, and the streams. The only module of this folder with I/O."""

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
from collector.vendors.http import Http, Limiter, Response, clock_skew_s
from collector.vendors.leniency import unexpected_response
from collector.vendors.quividi import events, wire
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.contents import read_viewer_apc
from collector.vendors.quividi.export import (
    MAX_RUNNING_EXPORTS,
    Export,
    ExportStatus,
    GaveUp,
    NextCall,
    UseRows,
    advance,
)
from collector.vendors.quividi.export_types import GROUP_BY_DEMOGRAPHICS
from collector.vendors.quividi.rows import FinestRows, Rows
from collector.vendors.quividi.settings import AggregatedSettings, ExportSettings, QuividiSource, ViewersApcSettings
from collector.vendors.quividi.slots import Exports
from collector.vendors.quividi.zones import earliest

P = TypeVar("P")

DATA, WHOAMI, LOCATIONS = "/data/", "/whoami/", "/locations/"

HOST_CONNECTIONS = 2
"""The most connections that VidiCenter accepts from one address."""
MAX_IDS_BYTES = 6000
"""The longest list of ids in one request: keeps the URL below 8 KiB."""
THROTTLED_S = (2.0, 60.0)
"""The first and the longest wait while the vendor throttles: all slots are taken, or too many calls were made."""
MAX_THROTTLED = 30
"""After more consecutive throttled calls, about half an hour, the failure is reported to the caller."""


class Client:
    """Sends the requests of one source, within the limits of its account and of the vendor's host."""

    def __init__(self, source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> None:
        account = str(settings.account)
        self.source = source
        self.settings = settings
        self.clock = http.clock
        self._http = http
        self._telemetry = telemetry
        self._limiter: Limiter = http.limiter(
            account, settings, http.host_semaphore(settings.base_url, HOST_CONNECTIONS)
        )
        self._exports = http.shared("exports", account, lambda: Exports(http.clock))
        self._random = Random()  # noqa: S311 - jitter is no secret
        telemetry.set_export_limit(MAX_RUNNING_EXPORTS)

    async def get(self, path: str, query: Mapping[str, str]) -> Response:
        """Send a request. Raises RetryLater, Park or Split, as `Http.get` does; Park also for an unreadable token."""
        try:
            token = self.settings.token.reveal()
        except UserError as error:
            advice = f"provide sources.{self.source}.token"
            raise Park(f"the token is not available: {error}", code="secret_unavailable", advice=advice) from error
        basic = self.settings.token.learn(b64encode(f"{self.settings.username}:{token}".encode()).decode())
        return await self._http.get(
            self.settings.base_url + path,
            query,
            limits=self.settings,
            limiter=self._limiter,
            on_request=self._telemetry.request_completed,
            redact=self.settings.token.redact,
            headers={"Authorization": f"Basic {basic}"},
        )

    async def export(self, query: Mapping[str, str], not_before: datetime) -> "FinishedExport":
        """Have the vendor build an export, and fetch it. `not_before` is the end of the window.

        Raises RetryLater, Park or Split. When the caller tries again, it continues with the same export.
        """
        name, started_at = urlencode(query), self.clock.now()
        async with self._exports.slot(name):
            self._telemetry.export_started()
            try:
                export = await self._poll(name, query, self._exports.get(name, not_before))
            except GaveUp as gave_up:
                self._exports.put(name, gave_up.export)
                raise gave_up.error from None
            except Split:
                self._exports.forget(name)  # the next request is for a smaller window, and so for another export
                raise
            finally:
                self._telemetry.export_ended()
        self._telemetry.export_completed((self.clock.now() - started_at).total_seconds())
        return export

    def forget(self, query: Mapping[str, str]) -> None:
        """Drop the state of an export, so that the next request rebuilds it: it may contain more rows by then."""
        self._exports.forget(urlencode(query))

    async def _poll(self, name: str, query: Mapping[str, str], export: Export) -> "FinishedExport":
        """Call the vendor until the export is finished. Raises GaveUp, RetryLater, Park or Split."""
        call = NextCall()
        while True:
            if call.wait_s:
                await self.clock.until(self.clock.now() + timedelta(seconds=call.wait_s))
            called_at = self.clock.now()
            response = await self._get_unthrottled(DATA, {**query, "force_rebuild": "1"} if call.force else query)
            try:
                decoded = _decode_export(response.body)
                raw = wire.rows(decoded) if decoded.state == "finished" else None
                status = ExportStatus(
                    state=self._without_user(decoded.state or ""),
                    called_at=min(called_at, response.vendor_now or called_at),
                    forced=call.force,
                    has_rows=raw is not None,
                    reason=self._without_user(decoded.fail_reason or ""),
                )
                export, step = advance(export, status)
            except BaseException:
                response.release()
                raise
            self._exports.put(name, export)
            if isinstance(step, UseRows):
                return FinishedExport(response, raw or (), step.requested_at)
            response.release()
            call = step

    def _without_user(self, text: str) -> str:
        """The vendor's text without secrets and without the user's name, which it may contain."""
        return redact(text).replace(self.settings.username, "…")

    async def _get_unthrottled(self, path: str, query: Mapping[str, str]) -> Response:
        """Send a request; repeat it while the vendor throttles.

        All slots may be taken, for example by exports that the replica which owned the account before left running.
        """
        throttled = 0
        while True:
            try:
                return await self.get(path, query)
            except RetryLater as error:
                throttled += 1
                if not error.throttled or throttled > MAX_THROTTLED:
                    raise
                wait_s = backoff.delay_s(throttled, THROTTLED_S, self._random.random(), at_least=error.after_s)
            await self.clock.until(self.clock.now() + timedelta(seconds=wait_s))


class FinishedExport(NamedTuple):
    """The response, its rows, and the time of the request: the rows contain all data that the vendor had then."""

    response: Response
    rows: Sequence[msgspec.Raw]
    requested_at: datetime


class ExportStream(Stream[P]):
    """The exports of one type."""

    max_clock_offset = timedelta(days=1)
    oversize_advice = "raise max_response_bytes, or split the source into several with fewer locations each"

    def __init__(self, client: Client, settings: ExportSettings, rows: Rows[P]) -> None:
        export_type = settings.export_type
        selectors = client.settings.selectors
        self._client = client
        self._rows = rows
        self._max_rows = export_type.max_rows
        self.zone = self._zone = ZoneInfo(client.settings.timezone)
        self._id_lists = tuple(_id_lists(selectors))
        self._type_arguments = {"data_type": export_type.data_type, "time_resolution": settings.resolution}
        self._options = settings.options
        self.source = client.source
        self.name = export_type.stream
        self.account = client.settings.account
        self.policy = settings.policy(client.settings.until, rows.alignment)
        self.dedup_mode = rows.dedup_mode
        self.fields_version = rows.fields_version
        self.former = rows.former
        self.event_types = export_type.events
        options = {settings.resolution: "", **self._options} if export_type.is_aggregated else self._options
        digest = blake2b((repr(selectors) + (repr(options) if options else "")).encode(), digest_size=8).hexdigest()
        self.selection = f"{', '.join([*selectors, *options])} {digest}"

    async def fetch(self, window: Window) -> AsyncGenerator[FetchResult[P], None]:
        """Yield an export for each list of ids. The rows of a place repeat if two selectors select it."""
        first, last = self._rows.bounds(window)
        times = {"start": first.isoformat(), "end": last.isoformat()}
        fetched_queries: list[dict[str, str]] = []
        for selector, ids in self._id_lists:
            if (rows := self._rows.min_rows(ids.count(",") + 1, first, last)) > self._max_rows:
                raise Split(
                    f"the export has {rows} rows; the vendor sends at most {self._max_rows}", code="too_many_rows"
                )
            query = {**self._type_arguments, **times, selector: ids, **self._options}
            fetched_queries.append(query)
            response, raw, requested_at = await self._client.export(query, earliest(last, self._zone))
            with response:
                if len(raw) >= self._max_rows:
                    self._client.forget(query)
                    raise Split(f"the export has {len(raw)} rows, the most that the vendor sends", code="too_many_rows")
                yield FetchResult(
                    records=self._rows.read(raw, first, last),
                    rows=len(raw),
                    size=len(response.body),
                    took=response.took,
                    vendor_now=requested_at,
                )
        # Only after all of them: when one export fails, the next attempt need not rebuild those before it.
        for query in fetched_queries:
            self._client.forget(query)

    def explode(self, record: Record[P], digest: str, number: int) -> Iterator[Event]:
        return self._rows.explode(record, digest, number, self.source)


def _rows(settings: ExportSettings, zone: ZoneInfo) -> Rows[Any]:
    """The decoder of the rows of a stream's exports."""
    match settings:
        case AggregatedSettings():
            is_grouped = GROUP_BY_DEMOGRAPHICS in settings.options
            return Aggregates(settings.export_type, settings.resolution, settings.anchor, zone, is_grouped=is_grouped)
        case ViewersApcSettings():
            return FinestRows(zone, read_viewer_apc, events.explode_viewer_apc)
        case _:
            return FinestRows(zone, wire.read_viewer, events.explode_viewer)


def streams(source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> Sequence[Stream[Any]]:
    """The configured streams of a source."""
    client = Client(source, settings, http, telemetry)
    zone = ZoneInfo(settings.timezone)
    return [ExportStream(client, chosen, _rows(chosen, zone)) for chosen in settings.streams.exports]


async def probe(source: str, settings: QuividiSource, http: Http, telemetry: VendorTelemetry) -> ProbeResult:
    """Request the token's user and the account's locations.

    Raises RetryLater, Split, or Park: also for a token of another user, and for ids that the account does not own.
    """
    client = Client(source, settings, http, telemetry)
    with await client.get(WHOAMI, {}) as response:
        skew_s = clock_skew_s(response, http.clock.now())
        try:
            username = wire.username(response.body)
        except msgspec.DecodeError as error:
            raise unexpected_response(response.body, error, what="the response of /whoami/") from None
    if username != settings.username:
        advice = f"correct sources.{source}.username or .token: the state is stored under the name of the user"
        raise Park("the token belongs to another user", code="wrong_user", advice=advice)
    with await client.get(LOCATIONS, {}) as response:
        try:
            owned = wire.locations(response.body)
        except msgspec.DecodeError as error:
            raise unexpected_response(response.body, error, what="the response of /locations/") from None
    _check_owned(f"sources.{source}", "location", settings.locations, {each.id for each in owned})
    sites = {each.site_id for each in owned if each.site_id is not None}
    if sites:  # otherwise the vendor does not report sites, and only the first export shows unknown ones
        _check_owned(f"sources.{source}", "site", settings.sites, sites)
    tags = ", ".join(name for name in ("location_tags", "site_tags") if getattr(settings, name))
    unchecked = f"; {tags} cannot be checked" if tags else ""
    return ProbeResult(f"{len(owned)} location{'' if len(owned) == 1 else 's'}{unchecked}", skew_s)


def _check_owned(path: str, kind: str, ids: Sequence[int] | None, owned: Collection[int]) -> None:
    """Raises Park for ids that the account does not own."""
    if foreign := sorted(set(ids or ()).difference(owned)):
        advice = f"correct {path}.{kind}s: the stream waits until then, so that no data is lost"
        raise Park(f"the account has no {kind} {', '.join(map(str, foreign))}", code="unknown_ids", advice=advice)


def _id_lists(selectors: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, str]]:
    """Yield the selector and the ids of each request. There are as few requests as the length of a URL allows.

    Each request has one selector: the vendor's document does not state how it combines two.
    """
    for selector, ids in selectors.items():
        joined = ""
        for number in map(str, ids):
            if joined and len(joined) + 1 + len(number) > MAX_IDS_BYTES:
                yield selector, joined
                joined = ""
            joined = f"{joined},{number}" if joined else number
        yield selector, joined


def _decode_export(body: bytes) -> wire.ExportResponse:
    """The decoded response. Raises RetryLater if it is malformed or reports an error."""
    try:
        export = wire.decode_export(body)
    except msgspec.DecodeError as error:
        raise unexpected_response(body, error) from None
    if export.state is None:
        reason = f" but error {export.error}" if isinstance(export.error, int) else ""
        raise RetryLater(f"the response has no state{reason}", code="export_state_missing")
    return export
