"""The sockets of `http.listen`: on IPv6 and on IPv4, as far as the machine has them."""

import errno
import socket
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from anyio import to_thread

ALL_ADDRESSES = "::"
"""The host that stands for all addresses of the machine, those of IPv4 included. `0.0.0.0` is those of IPv4 only."""

BACKLOG = 128
"""Connections that may wait to be accepted, as in aiohttp."""

_Address = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]
_NOT_AVAILABLE = frozenset({errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT, errno.EADDRNOTAVAIL})
"""The kernel has no IPv6, or it is disabled in this container."""


async def listening_sockets(host: str, port: int) -> Sequence[socket.socket]:
    """A listening socket for each address of the host. The caller closes them.

    An address that the machine does not have is left out, unless it has none of them. Raises OSError when it has none,
    when one is in use, or when the host is unknown.
    """
    found = await to_thread.run_sync(_resolve, host, port)
    missing: OSError | None = None
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in found:
            try:
                sockets.append(stack.enter_context(_listening(family, address)))
            except OSError as error:
                if error.errno not in _NOT_AVAILABLE:
                    raise
                missing = error
        if missing is not None and not sockets:
            raise missing
        stack.pop_all()
        return sockets


def _resolve(host: str, port: int) -> Iterable[tuple[int, _Address]]:
    """Each address of the host, once, with its family. Raises OSError when the host is unknown."""
    name = None if host == ALL_ADDRESSES else host
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:
        raise OSError("not a valid host name") from None
    return dict.fromkeys((family, address) for family, _, _, _, address in found)


def _listening(family: int, address: _Address) -> socket.socket:
    """A socket that listens at this address only, even if connections at its port have just ended."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        listening.bind(address)
        listening.listen(BACKLOG)
        stack.pop_all()
        return listening
