"""Asking Seemetrix: its paths, its key, its limits."""

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

import msgspec

from collector.errors import Park, UserError
from collector.telemetry.vendor import VendorTelemetry
from collector.vendors.base import ProbeResult
from collector.vendors.http import Http, Limiter, Response, ahead_s
from collector.vendors.leniency import not_an_answer
from collector.vendors.seemetrix import wire
from collector.vendors.seemetrix.settings import SeemetrixSource

T = TypeVar("T")

# Each path with its exact slash: without one where it is due, the vendor answers 404.
RAW_DATA = "/statistics/user/{user_id}/raw/data/"
DEVICES = "/user/{user_id}/devices/"
COUNTERS = ("/user/{user_id}/counters", "/user/{user_id}/counters/")
"""As the document writes it, and as it writes all others."""
STATISTICS_OF_USER = "/statistics/user/{user_id}/"
STATISTICS_OF_DEVICE = "/statistics/device/{device_id}/"
BREAKDOWN = "/v2/statistics/user/{user_id}/"
"""With a level and a slash for each level."""
OBJECTS_A_PAGE = 100
"""The vendor's default of ten costs ten times the requests."""


class Client:
    """One source's way to its account."""

    def __init__(self, source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> None:
        self.source = source
        self.settings = settings
        self.telemetry = telemetry
        self._http = http
        self._limiter: Limiter = http.limiter(str(settings.account), settings)
        ids = settings.device_ids
        self.devices: tuple[int | None, ...] = (None,) if ids is None else tuple(sorted(set(ids)))
        """Of which each is asked for by itself; None is all of them together."""
        chosen = blake2b(",".join(map(str, self.devices)).encode(), digest_size=8).hexdigest()
        self.selection = "every device" if ids is None else f"devices {chosen}"

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
            asked=self.telemetry.asked,
            redact=self.settings.user_key.redact,
        )


def decoded(response: Response, decode: Callable[[bytes], T]) -> T:
    """What the body says. Raises RetryLater when it is not what the vendor's document says."""
    try:
        return decode(response.body)
    except msgspec.DecodeError as error:
        raise not_an_answer(response.body, error) from None


async def probe(source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> ProbeResult:
    """List the account's devices. Raises RetryLater, or Park, also for device_ids that the account does not own."""
    with await Client(source, settings, http, telemetry).get(DEVICES, {}) as response:
        ahead = ahead_s(response, http.clock.now())
        owned = decoded(response, wire.device_ids)
    if foreign := sorted(set(settings.device_ids or ()) - owned):
        raise Park(
            f"the account has no device {', '.join(map(str, foreign))}",
            advice=f"correct sources.{source}.device_ids: the whole stream waits, so that nothing is lost silently",
        )
    return ProbeResult(f"{len(owned)} device{'' if len(owned) == 1 else 's'}", ahead)
