"""`collector health`: a liveness check for containers. They run it every few seconds, so it imports little."""

import http.client
from collections.abc import Sequence
from pathlib import Path

from collector.errors import Failed, UserError
from collector.raw_config import load_environment, load_file
from collector.web.address import DEFAULT_LISTEN, parse_address

PATH = "/healthz"
TIMEOUT_S = 3.0
"""A running event loop responds within milliseconds. Containers commonly stop a health check after five seconds."""
_LOOPBACK = {"0.0.0.0": ("127.0.0.1",), "::": ("127.0.0.1", "::1")}  # noqa: S104 - nothing listens here
"""Where a server on all addresses is reachable. One on `::` also listens on IPv4, and only there without IPv6."""


def health(path: Path) -> None:
    """Return when the daemon of this machine responds.

    Raises Failed when it does not, and UserError when `http.listen` is invalid or the configuration cannot be read.
    """
    failures = []
    for host, port in addresses(path):
        try:
            return _request(host, port)
        except Failed as error:
            if error.code != "no_response":
                raise
            failures.append(error)
    raise failures[0]


def _request(host: str, port: int) -> None:
    """Return when the server at this address responds with the status 200. Raises Failed when it does not."""
    url = f"{base_url(host, port)}{PATH}"
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)  # does not use proxies
    try:
        connection.request("GET", PATH)
        status = connection.getresponse().status
    except TimeoutError as error:
        text = f"{url} does not respond within {TIMEOUT_S:g} s: restart the process"
        raise Failed(text, code="timeout") from error
    except (OSError, http.client.HTTPException) as error:
        text = f"{url} does not respond ({reason_of(error)}): check that `collector run` runs with this http.listen"
        raise Failed(text, code="no_response") from error
    finally:
        connection.close()
    if status != http.client.OK:
        text = f"{url} responds with HTTP {status}: check whether another program uses this http.listen"
        raise Failed(text, code="wrong_status")


def base_url(host: str, port: int) -> str:
    """The URL of the server at this address, without a path."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def addresses(path: Path) -> Sequence[tuple[str, int]]:
    """The hosts and ports at which the daemon of this machine may respond, by `http.listen`. At least one.

    Raises UserError for an invalid `http.listen` and for a file that cannot be read.
    """
    host, port = _address(path)
    return [(each, port) for each in _LOOPBACK.get(host, (host,))]


def reason_of(error: Exception) -> str:
    """Why a request received no response, as part of a sentence."""
    if isinstance(error, http.client.RemoteDisconnected):
        return "closed without a response"
    if isinstance(error, http.client.HTTPException):
        return "not HTTP"
    return getattr(error, "strerror", None) or type(error).__name__


def _address(path: Path) -> tuple[str, int]:
    """Host and port of `http.listen`: from the environment, else from the file, else the default.

    No other key has to be valid. Raises UserError for an invalid `http.listen` and for a file that cannot be read.
    """
    for read in (load_environment, lambda: load_file(path)):
        section = read().get("http")
        listen = section.get("listen") if isinstance(section, dict) else None
        if listen is not None:
            try:
                return parse_address(listen if isinstance(listen, str) else "")
            except ValueError as error:
                raise UserError(f"http.listen: {error}", code="invalid_address") from None
    return parse_address(DEFAULT_LISTEN)
