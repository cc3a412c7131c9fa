"""HTTP sessions for servers that are no vendors: registries of schemas, authorization servers. Responses are small."""

import json
from collections.abc import Mapping
from typing import Any

import aiohttp

from collector import __version__
from collector.vendors.budget import BoundedConnector
from collector.vendors.failures import CONNECT_TIMEOUT_S
from collector.vendors.http import tracing


def plain_session(headers: Mapping[str, str]) -> aiohttp.ClientSession:
    """A session without cookies and compression. Its requests need an `Attempt` as their context, and a deadline."""
    return aiohttp.ClientSession(
        connector=BoundedConnector(),
        headers={"User-Agent": f"collector/{__version__}", "Accept-Encoding": "identity", **headers},
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=[tracing()],
    )


async def read_body(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    """The body; None as soon as it has more than `limit` bytes."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > limit:
            return None
    return bytes(body)


def json_of(text: str | bytes) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a text; None if it is not JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def one_line(text: str) -> str:
    """The text without line breaks and other control characters, which a terminal would interpret."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
