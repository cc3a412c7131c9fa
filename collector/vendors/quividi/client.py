"""Requests to VidiCenter: its paths, credentials and limits, and exports that are polled until they are finished."""

from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from collector.errors import Park, RetryLater, Split
from collector.occurrences import beginning
from collector.redaction import redact
from collector.steps import Steps
from collector.telemetry.vendor import VendorTelemetry
from collector.turns import in_turns
from collector.vendors import backoff
from collector.vendors.credentials import Credential
from collector.vendors.http import Http, Limiter, Response, clock_skew_s
from collector.vendors.leniency import unexpected_response
from collector.vendors.quividi import wire
from collector.vendors.quividi.export import (
    MAX_RUNNING_EXPORTS,
    STATES,
    Export,
    ExportStatus,
    GaveUp,
    NextCall,
    UseRows,
    advance,
    kind_of,
)
from collector.vendors.quividi.licences import REFUSALS, Licences, licensed_export, licensed_list, words_of
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
        self._credential = Credential(source, "token", "username", settings.token)
        self._http = http
        self._telemetry = telemetry
        self._limiter: Limiter = http.limiter(
            account, settings, http.host_semaphore(settings.base_url, HOST_CONNECTIONS)
        )
        self._exports = http.shared("exports", account, lambda: Exports(http.clock))
        self._licences = http.shared("licences", account, lambda: Licences(http.clock))
        self._random = Random()  # noqa: S311 - jitter is no secret
        telemetry.set_export_limit(MAX_RUNNING_EXPORTS)

    async def get(self, path: str, query: Mapping[str, str]) -> Response:
        """Send a request. Raises RetryLater, Park or Split, as `Http.get` does; Park also for an unreadable token.

        The Park of a refusal has the vendor's words as its body.
        """
        token = self._credential.reveal()
        basic = self.settings.token.register(b64encode(f"{self.settings.username}:{token}".encode()).decode())
        with self._credential.explained():
            return await self._http.get(
                self.settings.base_url + path,
                query,
                limits=self.settings,
                limiter=self._limiter,
                on_request=self._telemetry.request_completed,
                redact=self.settings.token.redacted,
                headers={"Authorization": f"Basic {basic}"},
                read_refusals=True,
            )

    async def get_list(self, path: str, query: Mapping[str, str], scope: str = "") -> Response:
        """Request a list of the account, or of the part of it that has this path. Raises RetryLater, Park or Split.

        Park is `not_licensed` if the account may not see the list, although its user and token are valid.
        """
        licensed = licensed_list(path)
        try:
            response = await self.get(scope + path, query)
        except Park as error:
            if error.code not in REFUSALS:
                raise
            refusal = error
        else:
            self._licences.received(licensed.key)
            return response
        words = self._without_user(words_of(refusal.body))
        raise await self._licences.explain(refusal, words, licensed, self._is_user_valid)

    async def export(
        self, query: Mapping[str, str], not_before: datetime, max_rows: int = MAX_ROWS
    ) -> "FinishedExport":
        """Have the vendor build an export of at most `max_rows`, and fetch it. `not_before` is the end of the window.

        Raises RetryLater, Park or Split. When the caller tries again, it continues with the same export.
        """
        started_at = self.clock.now()
        try:
            export = await self._build(query, not_before, max_rows)
        except Park as error:
            if error.code not in REFUSALS:
                raise
            refusal, words = error, self._without_user(words_of(error.body))
        except GaveUp as gave_up:
            if gave_up.failure is None or not isinstance(gave_up.error, Park):
                raise gave_up.error from None
            refusal, words = gave_up.error, gave_up.failure
        else:
            self._telemetry.export_completed((self.clock.now() - started_at).total_seconds())
            return export
        raise await self._licences.explain(refusal, words, licensed_export(query), self._is_user_valid)

    async def _build(self, query: Mapping[str, str], not_before: datetime, max_rows: int) -> "FinishedExport":
        """Call the vendor until the export is finished. Raises GaveUp, RetryLater, Park or Split."""
        name, call = urlencode(query), NextCall()
        while True:
            await self._wait(call.wait_s)  # without a slot: the vendor builds nothing now
            async with self._exports.slot(name):
                self._telemetry.export_started()
                try:
                    result = await self._poll(name, query, self._exports.get(name, not_before), call, max_rows)
                except GaveUp as gave_up:
                    self._exports.put(name, gave_up.export)
                    raise
                except Split:
                    self._exports.forget(name)  # the next request is for a smaller window, and so for another export
                    raise
                finally:
                    self._telemetry.export_ended()
            if isinstance(result, FinishedExport):
                return result
            call = result

    def forget(self, query: Mapping[str, str]) -> None:
        """Drop the state of an export, so that the next request rebuilds it: it may contain more rows by then."""
        self._exports.forget(urlencode(query))

    async def _poll(
        self, name: str, query: Mapping[str, str], export: Export, call: NextCall, max_rows: int
    ) -> "FinishedExport | NextCall":
        """Call the vendor until the export is finished, or until a rebuild that is due after a wait.

        The first call is made at once. Raises GaveUp, RetryLater, Park or Split.
        """
        kind = kind_of(query)
        first_wait_s = self._exports.expected_s(kind)
        while True:
            response, raw, status = await self._state(query, export, call, max_rows)
            try:
                export, step = advance(export, status, first_wait_s)
            except BaseException:
                response.release()
                raise
            self._exports.put(name, export)
            if isinstance(step, UseRows):
                self._exports.built(kind, step.took_s)
                self._licences.received(kind[:2])
                return FinishedExport(response.without_body(), raw or NO_ROWS, step.requested_at)
            response.release()
            if step.force and step.wait_s:
                return step
            await self._wait(step.wait_s)
            call = step

    async def _state(self, query: Mapping[str, str], export: Export, call: NextCall, max_rows: int) -> "_State":
        """Request the state of an export. One with `status_only` is repeated without it unless the export is running.

        Raises RetryLater, Park or Split.
        """
        alone = await self._state_alone(query, export, max_rows) if call.status_only else None
        if alone is not None and alone.status.state == "in_progress":
            return alone
        state = await self._call(query, max_rows, force=call.force)
        if alone is not None and state.status.state == "in_progress":
            self._exports.has_status_only = False  # the two calls disagree
        return state

    async def _call(self, query: Mapping[str, str], max_rows: int, *, force: bool) -> "_State":
        """Request the state of an export, and its rows if it is finished. Raises RetryLater, Park or Split."""
        called_at = self.clock.now()
        response, called_s = await self._get_unthrottled(DATA, {**query, "force_rebuild": "1"} if force else query)
        try:
            decoded = await in_turns(_decode_export(response.body, max_rows))
            raw = wire.rows(decoded) if decoded.state == "finished" else None
            status = ExportStatus(
                state=self._without_user(decoded.state or ""),
                called_at=min(called_at, response.vendor_now or called_at),
                called_s=called_s,
                forced=force,
                has_rows=raw is not None,
                reason=self._without_user(decoded.reason),
            )
        except BaseException:
            response.release()
            raise
        return _State(response, raw, status)

    async def _state_alone(self, query: Mapping[str, str], export: Export, max_rows: int) -> "_State | None":
        """Request the state of a running export with `status_only`; None if the vendor does not report it.

        It is documented that the response has no rows, but not that it concerns the same export. A call that starts
        another one, is refused or has rows is the last one with `status_only` of this account until a restart.
        """
        if not self._exports.has_status_only:
            return None
        query, state = {**query, "status_only": "1"}, None
        try:
            called_at, called_s = self.clock.now(), self.clock.monotonic_s()
            with await self.get(DATA, query) as response:
                decoded = await in_turns(_decode_export(response.body, max_rows))
                if decoded.state == "started":
                    # It takes a slot, for which only the vendor knows how long.
                    self._exports.put(urlencode(query), Export(export.not_before, is_running=True))
                elif decoded.state in STATES and not len(decoded.data):
                    state = _State(response, None, ExportStatus(decoded.state, called_at, called_s))
        except (RetryLater, Park, Split):
            pass  # the call without it shows whether the vendor can be reached
        if state is None:
            self._exports.has_status_only = False
        return state

    async def _wait(self, seconds: float) -> None:
        if seconds:
            await self.clock.until(self.clock.now() + timedelta(seconds=seconds))

    async def user(self) -> tuple[str, float | None]:
        """The token's user, and how far the vendor's clock is ahead, in seconds; None if it does not report its clock.

        Raises RetryLater, Park or Split.
        """
        with await self.get(WHOAMI, {}) as response:
            skew_s = clock_skew_s(response, self.clock.now())
            try:
                return await in_turns(wire.username(response.body)), skew_s
            except msgspec.DecodeError as error:
                raise unexpected_response(response.body, error, what="the response of /whoami/") from None

    async def _is_user_valid(self) -> bool:
        """Whether the vendor accepts the token, and it is one of this user. Raises RetryLater, Park or Split."""
        user, _ = await self.user()
        return user == self.settings.username

    def _without_user(self, text: str) -> str:
        """The beginning of the vendor's text, without secrets and without the user's name, which it may contain."""
        found = beginning(text.encode("utf-8", "replace"), MAX_TEXT_BYTES, MAX_TEXT_BYTES, redact)
        return found.replace(self.settings.username, "…")

    async def _get_unthrottled(self, path: str, query: Mapping[str, str]) -> tuple[Response, float]:
        """Send a request; repeat it while the vendor throttles. Also returns when it was sent, on the monotonic clock.

        All slots may be taken, for example by exports that the replica which owned the account before left running.
        """
        throttled = 0
        while True:
            sent_s = self.clock.monotonic_s()
            try:
                return await self.get(path, query), sent_s
            except RetryLater as error:
                throttled += 1
                if not error.throttled or throttled > MAX_THROTTLED:
                    raise
                wait_s = backoff.delay_s(throttled, THROTTLED_S, self._random.random(), at_least=error.after_s)
            await self._wait(wait_s)


class _State(NamedTuple):
    """A response to be released, its rows if it has some, and the state of the export."""

    response: Response
    rows: RawRows | None
    status: ExportStatus


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
