"""The table `[http]` of the configuration."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from collector.settings import STRICT, is_loopback
from collector.web.hosts import normalized


def _validate_address(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not text.isprintable() or not port.isascii() or not port.isdecimal() or not 1 <= int(port) <= 65535:  # noqa: PLR2004 - ports
        raise ValueError("expected host:port, such as 127.0.0.1:9464")
    return text


def _validate_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(normalized, hosts))


class HttpSettings(BaseModel):
    """The table `[http]`."""

    model_config = STRICT

    listen: Annotated[str, AfterValidator(_validate_address)] = "127.0.0.1:9464"
    hosts: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_validate_hosts)] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to the server."""
        return is_loopback(self.address[0])
