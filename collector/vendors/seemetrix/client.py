"""Requests to Seemetrix: its paths, its key, its limits."""

from collections.abc import Callable
from hashlib import blake2b
from typing import TypeVar

import msgspec

from collector.errors import Park, RetryLater
from collector.plurals import counted
from collector.steps import Steps
from collector.telemetry.vendor import VendorTelemetry
from collector.turns import in_turns
from collector.vendors.base import ProbeResult
from collector.vendors.credentials import Credential
from collector.vendors.http import Http, Limiter, Response, clock_skew_s
from collector.vendors.leniency import unexpected_response
from collector.vendors.seemetrix import devices
from collector.vendors.seemetrix.settings import SeemetrixSource

T = TypeVar("T")

# With or without a trailing slash, exactly as the document writes it: otherwise, the vendor responds with 404.
RAW_DATA = "/statistics/user/{user_id}/raw/data/"
DEVICES = "/user/{user_id}/devices/"
COUNTERS = ("/user/{user_id}/counters", "/user/{user_id}/counters/")
"""The path as the document writes it, and with the slash that all other paths have."""
STATISTICS_OF_USER = "/statistics/user/{user_id}/"
STATISTICS_OF_DEVICE = "/statistics/device/{device_id}/"
BREAKDOWN = "/v2/statistics/user/{user_id}/"
"""Each level is appended, with a slash."""
ACCEPTED = 202
OBJECTS_PER_PAGE = 100
"""The vendor's default of ten would take ten times as many requests."""


class Client:
    """Sends the requests of one source, within the limits of its account."""

    def __init__(self, source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> None:
        self.source = source
        self.settings = settings
        self.telemetry = telemetry
        self._credential = Credential(source, "user_key", "user_id", settings.user_key)
        self._http = http
        self._limiter: Limiter = http.limiter(str(settings.account), settings)
        ids = settings.device_ids
        self.devices: tuple[int | None, ...] = (None,) if ids is None else tuple(sorted(set(ids)))
        """Each is requested separately; None requests all devices at once."""
        digest = blake2b(",".join(map(str, self.devices)).encode(), digest_size=8).hexdigest()
        self.selection = "every device" if ids is None else f"devices {digest}"

    async def get(self, path: str, query: dict[str, str]) -> Response:
        """Send a request. Raises RetryLater, Park or Split, as `Http.get` does; Park also for an unreadable key."""
        key = self._credential.reveal()
        with self._credential.explained():
            response = await self._http.get(
                self.settings.base_url + path.format(user_id=self.settings.user_id),
                {"key": key, **query},
                limits=self.settings,
                limiter=self._limiter,
                on_request=self.telemetry.request_completed,
                redact=self.settings.user_key.redacted,
            )
        if response.status == ACCEPTED:
            response.release()
            raise RetryLater("HTTP 202: the vendor has not finished the response", code="http_202")
        return response


async def decode_body(response: Response, decode: Callable[[bytes], Steps[T]]) -> T:
    """Decode a body in turns with other tasks. Raises RetryLater if it is not as the vendor's document describes it."""
    try:
        return await in_turns(decode(response.body))
    except msgspec.DecodeError as error:
        raise unexpected_response(response.body, error) from None


async def probe(source: str, settings: SeemetrixSource, http: Http, telemetry: VendorTelemetry) -> ProbeResult:
    """List the account's devices. Raises RetryLater, Split, or Park: also for device_ids that it does not own."""
    with await Client(source, settings, http, telemetry).get(DEVICES, {}) as response:
        skew_s = clock_skew_s(response, http.clock.now())
        owned, are_all = await decode_body(response, devices.decode_ids)
    if are_all and (foreign := sorted(set(settings.device_ids or ()) - owned)):
        raise Park(
            f"the account has no device {', '.join(map(str, foreign))}",
            code="unknown_ids",
            advice=f"correct sources.{source}.device_ids: the stream waits until then, so that no data is lost",
        )
    return ProbeResult(counted(len(owned), "device"), skew_s)
