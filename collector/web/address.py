"""Addresses at which a server listens, as `host:port`."""

DEFAULT_LISTEN = "127.0.0.1:9464"
"""The default of `http.listen`."""


def parse_address(text: str) -> tuple[str, int]:
    """Host and port, without the brackets of an IPv6 address. Raises ValueError for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not text.isprintable() or not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= 65535:  # noqa: PLR2004 - ports
        raise ValueError("expected host:port, such as 127.0.0.1:9464")
    return host.strip("[]"), int(port)
