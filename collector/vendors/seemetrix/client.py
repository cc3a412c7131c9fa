"""Asking Seemetrix. The only I/O of this folder."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from collector.errors import Park, RetryLater, UserError
from collector.model import Account, Answer, Event, EventType, Memory, Policy, Record, Window
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import Stream
from collector.vendors.http import Http, Limiter, Response
from collector.vendors.leniency import not_an_answer
from collector.vendors.seemetrix import events, wire
from collector.vendors.seemetrix.settings import SeemetrixSource, SessionsSettings

# Each path with its exact slash: without one where it is due, the vendor answers 404.
RAW_DATA = "/statistics/user/{user_id}/raw/data/"
DEVICES = "/user/{user_id}/devices/"


class Client:
    """One source's way to its account."""

    def __init__(self, source: str, settings: SeemetrixSource, http: Http, tell: VendorTelemetry) -> None:
        self.source = source
        self.settings = settings
        self._http = http
        self._tell = tell
        self._limiter: Limiter = http.limiter(str(settings.account), settings)

    async def get(self, path: str, query: dict[str, str]) -> Response:
        try:
            key = self.settings.user_key.reveal()
        except UserError as error:
            raise Park(f"no user_key: {error}", advice=f"provide sources.{self.source}.user_key") from error
        return await self._http.get(
            self.settings.base_url + path.format(user_id=self.settings.user_id),
            {"key": key, **query},
            limits=self.settings,
            limiter=self._limiter,
            asked=self._tell.asked,
        )


class Sessions:
    """The stream `sessions`: raw data, a request for each of the device_ids or one for all devices."""

    name = "sessions"
    memory = Memory.VERSIONS
    fields_version = wire.FIELDS_VERSION
    reach = timedelta(0)
    event_types: Sequence[EventType] = events.TYPES

    def __init__(self, client: Client, settings: SessionsSettings) -> None:
        self._client = client
        self.source = client.source
        self.account: Account = client.settings.account
        self.policy: Policy = settings.policy(client.settings.until)
        devices = client.settings.device_ids
        self._devices: tuple[int | None, ...] = (None,) if devices is None else tuple(sorted(set(devices)))
        chosen = ",".join(map(str, self._devices)).encode()
        self.selection = "every device" if devices is None else f"devices {blake2b(chosen, digest_size=8).hexdigest()}"

    async def ask(self, window: Window) -> AsyncGenerator[Answer[wire.Session], None]:
        """An answer for each device. Which sessions a window selects is unstated, so whatever comes is passed on."""
        for device in self._devices:
            query = {"b": _written(window.start), "e": _written(window.end), "tzo": "0"}
            if device is not None:
                query["device_id"] = str(device)
            with await self._client.get(RAW_DATA, query) as response:
                try:
                    raw = wire.rows(response.body)
                except msgspec.DecodeError as error:
                    raise RetryLater(not_an_answer(response.body, error)) from None
                yield Answer(
                    records=wire.read(raw),
                    rows=len(raw),
                    size=len(response.body),
                    took=response.took,
                    vendor_now=response.vendor_now,
                )

    def explode(self, record: Record[wire.Session], digest: str, number: int) -> Iterator[Event]:
        return events.explode_session(record, digest, number, self.source)


KINDS: Mapping[str, Callable[[Client, Any], Stream[Any]]] = {"sessions": Sessions}


def streams(source: str, settings: SeemetrixSource, http: Http, tell: VendorTelemetry) -> Sequence[Stream[Any]]:
    client = Client(source, settings, http, tell)
    return [KINDS[name](client, chosen) for name, chosen in settings.streams.chosen.items()]


async def probe(source: str, settings: SeemetrixSource, http: Http, tell: VendorTelemetry) -> str:
    """List the account's devices. Raises RetryLater, or Park, also for device_ids that the account does not own."""
    with await Client(source, settings, http, tell).get(DEVICES, {}) as response:
        try:
            owned = wire.device_ids(response.body)
        except msgspec.DecodeError as error:
            raise RetryLater(f"the list of devices is not the document's: {error}") from None
    if foreign := sorted(set(settings.device_ids or ()) - owned):
        raise Park(
            f"the account has no device {', '.join(map(str, foreign))}",
            advice=f"correct sources.{source}.device_ids: the whole stream waits, so that nothing is lost silently",
        )
    return f"{len(owned)} device{'' if len(owned) == 1 else 's'}"


def _written(instant: datetime) -> str:
    """As the vendor's document wants it; UTC, since every request says `tzo=0`."""
    return instant.strftime("%Y/%m/%d %H:%M:%S")
