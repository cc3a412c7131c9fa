"""The table `[http]` of the configuration."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from collector.settings import STRICT, is_loopback
from collector.web.address import DEFAULT_LISTEN, parse_address
from collector.web.hosts import normalized


def _validate_address(text: str) -> str:
    parse_address(text)
    return text


def _validate_hosts(hosts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(normalized, hosts))


class HttpSettings(BaseModel):
    """The table `[http]`."""

    model_config = STRICT

    listen: Annotated[str, AfterValidator(_validate_address)] = DEFAULT_LISTEN
    hosts: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_validate_hosts)] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        return parse_address(self.listen)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect to the server."""
        return is_loopback(self.address[0])
