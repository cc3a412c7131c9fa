"""Which names a request may address the server by (the header `Host`).

A page in a browser can let its own name resolve to this machine's loopback (DNS rebinding), and then read the
responses of the server. The browser still sends the name of the page.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from msgspec import Struct

from collector.settings import is_loopback

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


class AcceptedHosts(Struct, frozen=True):
    """The hosts that requests may name."""

    names: frozenset[str]
    """Normalized."""
    any_address: bool
    """Whether every IP address is accepted: a page cannot let an address resolve to another one."""

    def accepts(self, header: str) -> bool:
        """Whether a request with this header `Host` is accepted. The port does not matter."""
        try:
            host = normalized(urlsplit(f"//{header}").hostname or "")
        except ValueError:
            return False
        return is_loopback(host) or host in self.names or (self.any_address and _is_address(host))


def accepted_hosts(listen: str, addresses: Iterable[str], configured: Iterable[str]) -> AcceptedHosts | None:
    """The hosts that a server accepts; None if it accepts all.

    `listen` is the host of http.listen, `addresses` those at which the server listens, and `configured` is http.hosts.
    A server beyond loopback accepts all unless some are configured: its clients use names that it cannot know.
    """
    on_loopback = all(is_loopback(each) for each in addresses)
    names = frozenset(map(normalized, configured))
    if not on_loopback and not names:
        return None
    return AcceptedHosts(names | {normalized(listen)}, any_address=not on_loopback)


def normalized(host: str) -> str:
    """A host name or an IP address without brackets, in lower case and without a final dot.

    Raises ValueError for anything else, such as a URL or a host with a port.
    """
    name = host.removeprefix("[").removesuffix("]").lower()
    if _is_address(name):
        return str(ip_address(name))
    name = name.removesuffix(".")
    if not _NAME.fullmatch(name):
        raise ValueError("expected a host name or an IP address, without scheme and port")
    return name


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
