"""Requests to VidiCenter: its paths, credentials and limits, and exports that are polled until they are finished."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from collector.errors import Park, RetryLater, Split, UserError
from collector.occurrences import beginning
from collector.secrets import redact
from collector.steps import Steps
from collector.telemetry.vendor import VendorTelemetry
from collector.turns import in_turns
from collector.vendors import backoff
from collector.vendors.http import Http, Limiter, Response
from collector.vendors.leniency import unexpected_response
from collector.vendors.quividi import wire
from collector.vendors.quividi.export import (
    MAX_RUNNING_EXPORTS,
    Export,
    ExportStatus,
    GaveUp,
    NextCall,
    UseRows,
    advance,
)
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.slots import Exports
from collector.vendors.raw_rows import MAX_ROWS, NO_ROWS, RawRows

DATA, WHOAMI, LOCATIONS = "/data/", "/whoami/", "/locations/"

HOST_CONNECTIONS = 2
"""The most connections that VidiCenter accepts from one address."""
THROTTLED_S = (2.0, 60.0)
"""The first and the longest wait while the vendor throttles: all slots are taken, or too many calls were made."""
MAX_TEXT_BYTES = 8 << 10
"""The longest text of the vendor that is used: some hundred characters of it are shown."""
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
        basic = self.settings.token.register(b64encode(f"{self.settings.username}:{token}".encode()).decode())
        return await self._http.get(
            self.settings.base_url + path,
            query,
            limits=self.settings,
            limiter=self._limiter,
            on_request=self._telemetry.request_completed,
            redact=self.settings.token.redacted,
            headers={"Authorization": f"Basic {basic}"},
        )

    async def export(
        self, query: Mapping[str, str], not_before: datetime, max_rows: int = MAX_ROWS
    ) -> "FinishedExport":
        """Have the vendor build an export of at most `max_rows`, and fetch it. `not_before` is the end of the window.

        Raises RetryLater, Park or Split. When the caller tries again, it continues with the same export.
        """
        name, started_at = urlencode(query), self.clock.now()
        async with self._exports.slot(name):
            self._telemetry.export_started()
            try:
                export = await self._poll(name, query, self._exports.get(name, not_before), max_rows)
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

    async def _poll(self, name: str, query: Mapping[str, str], export: Export, max_rows: int) -> "FinishedExport":
        """Call the vendor until the export is finished. Raises GaveUp, RetryLater, Park or Split."""
        call = NextCall()
        while True:
            if call.wait_s:
                await self.clock.until(self.clock.now() + timedelta(seconds=call.wait_s))
            called_at = self.clock.now()
            response = await self._get_unthrottled(DATA, {**query, "force_rebuild": "1"} if call.force else query)
            try:
                decoded = await in_turns(_decode_export(response.body, max_rows))
                raw = wire.rows(decoded) if decoded.state == "finished" else None
                status = ExportStatus(
                    state=self._without_user(decoded.state or ""),
                    called_at=min(called_at, response.vendor_now or called_at),
                    forced=call.force,
                    has_rows=raw is not None,
                    reason=self._without_user(decoded.reason),
                )
                export, step = advance(export, status)
            except BaseException:
                response.release()
                raise
            self._exports.put(name, export)
            if isinstance(step, UseRows):
                return FinishedExport(response.without_body(), raw or NO_ROWS, step.requested_at)
            response.release()
            call = step

    def _without_user(self, text: str) -> str:
        """The beginning of the vendor's text, without secrets and without the user's name, which it may contain."""
        found = beginning(text.encode("utf-8", "replace"), MAX_TEXT_BYTES, MAX_TEXT_BYTES, redact)
        return found.replace(self.settings.username, "…")

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
    rows: RawRows
    requested_at: datetime


def _decode_export(body: bytes, max_rows: int) -> Steps[wire.ExportResponse[RawRows]]:
    """The decoded response. Raises RetryLater if it is malformed or reports an error."""
    try:
        export = yield from wire.decode_export(body, max_rows)
    except msgspec.DecodeError as error:
        raise unexpected_response(body, error) from None
    if export.state is None:
        reason = "" if export.error_number is None else f" but error {export.error_number}"
        raise RetryLater(f"the response has no state{reason}", code="export_state_missing")
    return export
