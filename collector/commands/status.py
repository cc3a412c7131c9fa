"""`collector status`: the status page of one replica for a terminal."""

import http.client
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from collector.commands.health import addresses, base_url, reason_of
from collector.commands.status_text import is_well, lines
from collector.errors import Failed, UserError

PATH = "/api/status"
TIMEOUT_S = 5.0
"""The status of hundreds of streams takes less than a second; its owners, at most one more."""
WATCH_S = 2.0
"""How often the status is requested again. The server computes it at most once a second."""
MAX_BYTES = 64 << 20
"""The most bytes of a response: two hundred streams have less than one million."""


class Received:
    """A response: the status, or why there is none."""

    def __init__(self, body: bytes = b"", status: dict[str, Any] | None = None, failure: str = "") -> None:
        self.body = body
        """The JSON, as it was received."""
        self.status = status
        self.failure = failure

    @property
    def is_well(self) -> bool:
        """Whether the replica is ready, no stream of it is parked, and no changed configuration was refused."""
        return self.status is not None and is_well(self.status)


def status(path: Path, url: str | None, *, watch: bool, as_json: bool) -> bool:
    """Print the status of a replica; with `watch`, again and again until Ctrl-C. Returns whether all is well.

    Without `url`, the replica is that of this machine, at `http.listen` of the configuration. Raises UserError for a
    wrong URL or configuration, and Failed if the replica does not respond and is not watched.
    """
    urls = [base_url(*each) for each in addresses(path)] if url is None else [_checked(url)]
    if watch:
        _watch(urls, as_json=as_json)
    received = _request(urls)
    if received.status is None:
        raise Failed(received.failure, code="no_status")
    console = Console(highlight=False, soft_wrap=True)
    if as_json:
        sys.stdout.buffer.write(received.body + b"\n")
    else:
        console.print(_text(received))
    return received.is_well


def _watch(urls: Sequence[str], *, as_json: bool) -> None:
    """Print the status until Ctrl-C: as a screen at a terminal, otherwise as one text or JSON object after another."""
    if as_json or not sys.stdout.isatty():
        for received in _repeated(urls):
            if as_json:
                sys.stdout.buffer.write((received.body or orjson.dumps({"failure": received.failure})) + b"\n")
            else:
                Console(highlight=False, soft_wrap=True).print(_text(received), end="\n\n")
            sys.stdout.flush()
    with Live(console=Console(highlight=False), screen=True, auto_refresh=False) as live:
        for received in _repeated(urls):
            live.update(_text(received, is_watched=True), refresh=True)


def _repeated(urls: Sequence[str], sleep: Callable[[float], None] = time.sleep) -> Iterator[Received]:
    while True:
        yield _request(urls)
        sleep(WATCH_S)


def _text(received: Received, *, is_watched: bool = False) -> Group:
    shown = [Text(received.failure, style="red")] if received.status is None else list(lines(received.status))
    if is_watched:
        shown.insert(1, Text(f"refreshed every {WATCH_S:g} s; Ctrl-C ends", style="dim"))
    return Group(*shown)


def _request(urls: Sequence[str]) -> Received:
    """The status from the first of the servers that responds."""
    failures = []
    for url in urls:
        received = _request_one(url)
        if received.status is not None:
            return received
        failures.append(received)
    return failures[0]


def _request_one(base: str) -> Received:
    url = f"{base}{PATH}"
    parts = urlsplit(base)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_S)  # does not use proxies
    try:
        connection.request("GET", f"{parts.path}{PATH}", headers={"Accept": "application/json"})
        response = connection.getresponse()
        body = response.read(MAX_BYTES)
    except TimeoutError:
        return Received(failure=f"{url} does not respond within {TIMEOUT_S:g} s: restart the process")
    except (OSError, http.client.HTTPException) as error:
        advice = "check that `collector run` runs with this http.listen, or pass --url"
        return Received(failure=f"{url} does not respond ({reason_of(error)}): {advice}")
    finally:
        connection.close()
    if response.status == http.client.MISDIRECTED_REQUEST:
        return Received(failure=f"{url} does not accept this host name: add it to http.hosts of the replica")
    wrong = Received(failure=f"{url} is not the status of a collector (HTTP {response.status}): check the address")
    if response.status != http.client.OK:
        return wrong
    try:
        decoded = orjson.loads(body)
    except orjson.JSONDecodeError:
        return wrong
    return Received(body, decoded) if isinstance(decoded, dict) and "streams" in decoded else wrong


def _checked(url: str) -> str:
    """The base of a replica's URL, without the path of the status. Raises UserError for anything else."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_valid = is_address and "@" not in parts.netloc and not parts.query and not parts.fragment
    except ValueError:
        is_valid = False
    if not is_valid:
        text = "--url: expected the address of a replica, such as http://127.0.0.1:9464, without user and query"
        raise UserError(text, code="invalid_url")
    return url.rstrip("/").removesuffix(PATH)
