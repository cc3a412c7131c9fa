"""Asking VidiCenter. The only I/O of this folder."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import msgspec

from collector.errors import Park, RetryLater, Split, UserError
from collector.model import Account, Answer, Event, EventType, Memory, Policy, Record, Window
from collector.secrets import conceal, learn
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors import backoff
from collector.vendors.base import Stream
from collector.vendors.http import Http, Limiter, Response
from collector.vendors.leniency import not_an_answer
from collector.vendors.quividi import events, wire
from collector.vendors.quividi.export import Call, Export, GaveUp, Said, Take, heard
from collector.vendors.quividi.places import Exports
from collector.vendors.quividi.settings import QuividiSource, ViewersSettings
from collector.vendors.quividi.zones import bounds, earliest

DATA, WHOAMI, LOCATIONS = "/data/", "/whoami/", "/locations/"

HOST_CONNECTIONS = 2
"""What VidiCenter takes from one address at a time."""
IDS_BYTES = 6000
"""Of ids in one request: with all that surrounds them, no URL grows past 8 KiB."""
THROTTLED = (2.0, 60.0)
"""First and longest wait in seconds for a place at the vendor, or for calls that it allows again."""
MOST_THROTTLED = 30
"""Half an hour of that is trouble to be shown."""


class Client:
    """One source's way to its account."""

    def __init__(self, source: str, settings: QuividiSource, http: Http, tell: VendorTelemetry) -> None:
        account = str(settings.account)
        self.source = source
        self.settings = settings
        self.clock = http.clock
        self._http = http
        self._tell = tell
        self._limiter: Limiter = http.limiter(account, settings, http.host(settings.base_url, HOST_CONNECTIONS))
        self._exports = http.shared("exports", account, lambda: Exports(http.clock))
        self._random = Random()  # noqa: S311 - jitter is no secret

    async def get(self, path: str, query: Mapping[str, str]) -> Response:
        try:
            token = self.settings.token.reveal()
        except UserError as error:
            raise Park(f"no token: {error}", advice=f"provide sources.{self.source}.token") from error
        basic = learn(b64encode(f"{self.settings.username}:{token}".encode()).decode())
        return await self._http.get(
            self.settings.base_url + path,
            query,
            limits=self.settings,
            limiter=self._limiter,
            asked=self._tell.asked,
            headers={"Authorization": f"Basic {basic}"},
        )

    async def export(self, query: Mapping[str, str], not_before: datetime) -> "Built":
        """Have an export built, and fetch it; asked again, go on where it was. Raises RetryLater, Park or Split."""
        name, began = urlencode(query), self.clock.now()
        async with self._exports.place(name):
            self._tell.exporting(+1)
            try:
                built = await self._follow(name, query, self._exports.get(name, not_before))
            except GaveUp as gave_up:
                self._exports.note(name, gave_up.export)
                raise gave_up.error from None
            except Split:
                self._exports.forget(name)  # it is finished, and nobody will ask for it again
                raise
            finally:
                self._tell.exporting(-1)
        self._tell.exported((self.clock.now() - began).total_seconds())
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
                asked_at = min(called_at, response.vendor_now or called_at)
                reason = self._without_user(told.fail_reason or "")
                said = Said(self._without_user(told.state or ""), asked_at, call.force, raw is not None, reason)
                export, step = heard(export, said)
            except BaseException:
                response.release()
                raise
            self._exports.note(name, export)
            if isinstance(step, Take):
                return Built(response, raw or (), step.asked_at)
            response.release()
            call = step

    def _without_user(self, words: str) -> str:
        """What the vendor says in its own words may name whom it says it to."""
        return conceal(words).replace(self.settings.username, "…")

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
                if not trouble.throttled or throttled > MOST_THROTTLED:
                    raise
                wait_s = backoff.delay_s(throttled, THROTTLED, self._random.random(), at_least=trouble.after_s)
            await self.clock.until(self.clock.now() + timedelta(seconds=wait_s))


class Built(NamedTuple):
    """A finished export: the rows, what they were read from, and the instant up to which the vendor's data is in it."""

    response: Response
    rows: Sequence[msgspec.Raw]
    asked_at: datetime


class Viewers:
    """The stream `viewers`: finest viewers exports."""

    name = "viewers"
    memory = Memory.ROWS
    fields_version = wire.FIELDS_VERSION
    reach = timedelta(days=1)
    numbered = None
    event_types: Sequence[EventType] = events.TYPES

    def __init__(self, client: Client, settings: ViewersSettings) -> None:
        self._client = client
        self._zone = ZoneInfo(client.settings.timezone)
        self._parts = tuple(_parts(client.settings.selectors))
        self.source = client.source
        self.account: Account = client.settings.account
        self.policy: Policy = settings.policy(client.settings.until)
        chosen = blake2b(repr(client.settings.selectors).encode(), digest_size=8).hexdigest()
        self.selection = f"{', '.join(client.settings.selectors)} {chosen}"

    async def ask(self, window: Window) -> AsyncGenerator[Answer[wire.Seen], None]:
        """An export for each part of the selection. A location that two parts select comes twice, and is recognised."""
        first, last = bounds(window, self._zone)
        taken: list[dict[str, str]] = []
        for selector, ids in self._parts:
            query = {
                "data_type": "viewers",
                "time_resolution": "finest",
                "start": first.isoformat(),
                "end": last.isoformat(),
                selector: ids,
            }
            taken.append(query)
            response, raw, asked_at = await self._client.export(query, earliest(last, self._zone))
            with response:
                yield Answer(
                    records=wire.read(raw, self._zone),
                    rows=len(raw),
                    size=len(response.body),
                    took=response.took,
                    vendor_now=asked_at,
                )
        for query in taken:  # and not before: asked again after a failure, a part that was taken is not built anew
            self._client.forget(query)

    def explode(self, record: Record[wire.Seen], digest: str, number: int) -> Iterator[Event]:
        return events.explode_viewer(record, digest, number, self.source)


KINDS: Mapping[str, Callable[[Client, Any], Stream[Any]]] = {"viewers": Viewers}


def streams(source: str, settings: QuividiSource, http: Http, tell: VendorTelemetry) -> Sequence[Stream[Any]]:
    client = Client(source, settings, http, tell)
    return [KINDS[name](client, chosen) for name, chosen in settings.streams.chosen.items()]


async def probe(source: str, settings: QuividiSource, http: Http, tell: VendorTelemetry) -> str:
    """Ask who we are, and for the locations. Raises RetryLater, or Park, also for ids that the account does not own."""
    client = Client(source, settings, http, tell)
    with await client.get(WHOAMI, {}) as response:
        try:
            if wire.username(response.body) != settings.username:
                advice = f"correct sources.{source}.username: the state is kept under it"
                raise Park("the token is of another user", advice=advice)
        except msgspec.DecodeError as error:
            raise RetryLater(f"the answer to whoami is not the vendor's: {error}") from None
    with await client.get(LOCATIONS, {}) as response:
        try:
            owned = wire.locations(response.body)
        except msgspec.DecodeError as error:
            raise RetryLater(f"the list of locations is not the vendor's: {error}") from None
    if foreign := sorted(set(settings.locations or ()) - owned):
        raise Park(
            f"the account has no location {', '.join(map(str, foreign))}",
            advice=f"correct sources.{source}.locations: the whole stream waits, so that nothing is lost silently",
        )
    return f"{len(owned)} location{'' if len(owned) == 1 else 's'}"


def _parts(selectors: Mapping[str, Sequence[int]]) -> Iterator[tuple[str, str]]:
    """The ids in as few requests as their URLs allow. One argument in each: how the vendor joins two is unstated."""
    for selector, ids in selectors.items():
        part = ""
        for number in map(str, ids):
            if part and len(part) + 1 + len(number) > IDS_BYTES:
                yield selector, part
                part = ""
            part = f"{part},{number}" if part else number
        yield selector, part


def _answer(body: bytes) -> wire.ExportAnswer:
    try:
        told = wire.answer(body)
    except msgspec.DecodeError as error:
        raise RetryLater(not_an_answer(body, error)) from None
    if told.state is None:
        raise RetryLater(
            "the answer has no state" + (f", and says error {told.error}" if isinstance(told.error, int) else "")
        )
    return told
