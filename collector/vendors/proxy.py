"""Selects the HTTP proxy of a request, from environment variables, which are read as curl reads them.

`https_proxy` or `HTTPS_PROXY` for https URLs, `http_proxy` or `HTTP_PROXY` for http URLs, `all_proxy` or `ALL_PROXY`
for both, `no_proxy` or `NO_PROXY` for exceptions. The lower-case name takes precedence. Requests to this machine never
use a proxy.
"""

import os
from base64 import b64encode
from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import ip_network
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from collector.errors import Park
from collector.redaction import learn_secret
from collector.settings import is_host, is_loopback, parse_address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_VARIABLES = {"http": ("http_proxy", "HTTP_PROXY"), "https": ("https_proxy", "HTTPS_PROXY")}
"""By scheme. curl does not read `HTTP_PROXY`, because it is a request's header in a CGI program, which this is not."""
_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - nothing listens here
"""Connections to these addresses are connections to this machine."""


class Proxy(Struct, frozen=True):
    """A proxy, and the variable that names it."""

    variable: str
    scheme: str
    address: str
    """Host and port."""
    authorization: str | None = None
    """The value of the header Proxy-Authorization, which is a secret."""

    @property
    def url(self) -> str:
        """The proxy's URL, without credentials."""
        return f"{self.scheme}://{self.address}"

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that the proxy requires."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}

    @property
    def name(self) -> str:
        """Address and variable, without credentials: `proxy.example:3128 (HTTPS_PROXY)`."""
        return f"{self.address} ({self.variable})"

    def __str__(self) -> str:
        return f"the proxy {self.name}"


def proxy_for(url: str, environment: Mapping[str, str] = os.environ) -> Proxy | None:
    """The proxy for a request to this URL; None if it is sent directly.

    Raises Park for a variable that is not the URL of an HTTP proxy. Its text names the variable, but not its value.
    """
    target = urlsplit(url)
    host = (target.hostname or "").rstrip(".")
    if is_loopback(host) or host in _ANY_ADDRESS or _is_excluded(host, environment):
        return None
    for variable in (*_VARIABLES[target.scheme], "all_proxy", "ALL_PROXY"):
        if value := environment.get(variable, "").strip():
            return _parse(variable, value)
    return None


def request_arguments(proxy: Proxy | None, url: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The arguments with which aiohttp sends a request with these headers, through the proxy if there is one."""
    if proxy is None:
        return {"headers": headers}
    if urlsplit(url).scheme == "http":  # the proxy receives the request itself, and of https the request CONNECT
        headers = {**headers, **proxy.headers}
    return {"headers": headers, "proxy": proxy.url, "proxy_headers": proxy.headers}


def proxy_name(url: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """The name of the proxy for this URL, which contains no credentials; None if requests are sent directly.

    Also None for a variable that is not the URL of a proxy: nothing is sent then, and each request raises the reason.
    """
    try:
        proxy = proxy_for(url, environment)
    except Park:
        return None
    return proxy.name if proxy else None


@lru_cache(maxsize=8)  # once, not for each request: learning a secret computes all its encodings
def _parse(variable: str, value: str) -> Proxy:
    """The proxy in a variable. Its credentials become secrets of this process. Raises Park."""
    try:
        parts = urlsplit(value if "://" in value else f"http://{value}")
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    is_cut = "@" in f"{parts.path}{parts.query}{parts.fragment}"  # by a "/", "?" or "#" in the password
    is_text = value.isprintable() and " " not in value
    if parts.scheme not in _DEFAULT_PORTS or not is_host(parts.hostname or "") or port == 0 or is_cut or not is_text:
        raise invalid(variable)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    address = f"{host}:{port or _DEFAULT_PORTS[parts.scheme]}"
    if parts.username is None:
        return Proxy(variable, parts.scheme, address)
    password = learn_secret(unquote(parts.password or ""))
    basic = learn_secret(b64encode(f"{unquote(parts.username)}:{password}".encode()).decode())
    return Proxy(variable, parts.scheme, address, f"Basic {basic}")


def invalid(variable: str) -> Park:
    """The error for a variable that is not the URL of a proxy. Its text does not contain the value."""
    return Park(
        f"the environment variable {variable} is not the URL of an HTTP proxy",
        code="proxy_invalid",
        advice=f"set {variable} to a URL such as http://proxy.example:3128, or unset it; SOCKS is not supported, "
        "and special characters of a password must be percent-encoded",
    )


def _is_excluded(host: str, environment: Mapping[str, str]) -> bool:
    """Whether NO_PROXY contains the host."""
    names = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    return any(entry == "*" or _matches(host.lower(), entry) for entry in _entries(names))


def _entries(names: str) -> Iterator[str]:
    """Yield the entries of NO_PROXY, which are separated by commas or blanks."""
    for entry in names.replace(",", " ").split():
        yield entry.lower().strip(".")


def _matches(host: str, entry: str) -> bool:
    """Whether the entry is the host, a domain above it, or a network that contains it."""
    address = parse_address(host)
    if address is None:
        return host == entry or host.endswith(f".{entry}")
    try:
        return address in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
