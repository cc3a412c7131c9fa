"""Value types of settings. They are strict, and their errors say what is expected."""

import re
from datetime import date, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from socket import inet_aton
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from collector.raw_config import EnvironmentValue

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

KAFKA_NAME = r"^[a-zA-Z0-9._-]*$"
"""The characters of the names of topics and groups."""

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)")
_MAX_NUMBER = {"s": 999_999_999, "m": 9_999_999, "h": 999_999, "d": 99_999}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _parse_int(given: Any) -> Any:  # noqa: ANN401 - any type is possible before validation
    return int(given) if isinstance(given, EnvironmentValue) and re.fullmatch(r"-?[0-9]{1,18}", given) else given


def _parse_bool(given: Any) -> Any:  # noqa: ANN401
    return {"true": True, "false": False}.get(given.lower(), given) if isinstance(given, EnvironmentValue) else given


def _parse_datetime(given: Any) -> Any:  # noqa: ANN401
    if isinstance(given, EnvironmentValue):
        try:
            return datetime.fromisoformat(given)
        except ValueError:
            return given
    return given


def _parse_date(given: Any) -> Any:  # noqa: ANN401
    if isinstance(given, EnvironmentValue):
        try:
            return date.fromisoformat(given)
        except ValueError:
            pass
    elif isinstance(given, date) and not isinstance(given, datetime):
        return given
    raise PydanticCustomError("invalid_date", "expected a date such as 2018-01-01")


def parse_duration(given: object) -> timedelta:
    """The duration in a text such as `90s`, `15m`, `6h` or `3d`. Raises ValueError for anything else."""
    if isinstance(given, timedelta):
        return given
    match = _DURATION.fullmatch(given) if isinstance(given, str) else None
    if match is None or int(match[1]) > _MAX_NUMBER[match[2]]:
        raise PydanticCustomError("invalid_duration", 'expected a duration such as "90s", "15m", "6h" or "3d"')
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def duration_text(duration: timedelta) -> str:
    """The duration as a configuration has it, in its largest unit without a fraction: `3d`, `36h`."""
    seconds = duration // timedelta(seconds=1)
    for unit, name in reversed(_UNITS.items()):
        size = timedelta(**{name: 1}) // timedelta(seconds=1)
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's loopback. Names other than localhost are not resolved."""
    address = parse_address(host)
    if address is None:
        return host.lower().rstrip(".") == "localhost"
    return address.is_loopback


def can_carry_secrets(base_url: str, *, insecure_http: bool) -> bool:
    """Whether keys may be sent to the URL: over https, or over plain http to this machine or with `insecure_http`."""
    parts = urlsplit(base_url)
    if parts.scheme == "https":
        return True
    return parts.scheme == "http" and (insecure_http or is_loopback(parts.hostname or ""))


def parse_address(host: str) -> IPv4Address | IPv6Address | None:
    """The address, in any form that the system accepts, such as `127.1` and `::ffff:127.0.0.1`; None for a name."""
    try:
        address = ip_address(host)
    except ValueError:
        try:
            return IPv4Address(inet_aton(host))
        except (OSError, UnicodeError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


def is_host(name: str) -> bool:
    """Whether a name or an address has the form of one: none of its labels is empty or too long."""
    try:
        return bool(name.encode("idna"))
    except UnicodeError:
        return False


def check_printable(url: str) -> None:
    """Raise ValueError for a URL with spaces or control characters: parsers of URLs remove some of them silently."""
    if " " in url or not url.isprintable():
        raise ValueError("expected a URL without spaces and control characters")


def parse_base_url(given: str, example: str) -> str:
    """The URL without a trailing slash. Raises ValueError unless it is one of http or https, without user and query."""
    check_printable(given)
    try:
        parts = urlsplit(given)
        _ = parts.port  # raises ValueError for an invalid port
    except ValueError:
        raise ValueError(f"expected a URL such as {example}") from None
    if parts.scheme not in ("http", "https") or not is_host(parts.hostname or "") or parts.query or parts.fragment:
        raise ValueError(f"expected a URL such as {example}")
    if parts.username is not None or parts.password is not None:
        raise ValueError("expected a URL without a user or password")
    return given.rstrip("/")


def _validate_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise ValueError("expected a name of a-z, 0-9 and _ that starts with a letter")
    return text


def _require_whole_seconds(instant: datetime) -> datetime:
    if instant.microsecond:
        raise PydanticCustomError("not_whole_seconds", "expected whole seconds")
    return instant


def at_least(minimum: timedelta) -> AfterValidator:
    """A validator of durations, which rejects those below the minimum."""

    def check(given: timedelta) -> timedelta:
        if given < minimum:
            raise PydanticCustomError(
                "out_of_range", 'expected "{minimum_s}s" or more', {"minimum_s": minimum // timedelta(seconds=1)}
            )
        return given

    return AfterValidator(check)


Count = Annotated[int, BeforeValidator(_parse_int)]
Switch = Annotated[bool, BeforeValidator(_parse_bool)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""Whole seconds."""
Day = Annotated[date, BeforeValidator(_parse_date)]
Instant = Annotated[AwareDatetime, BeforeValidator(_parse_datetime), AfterValidator(_require_whole_seconds)]
"""With a UTC offset, on a whole second."""
TopicPrefix = Annotated[str, Field(max_length=100, pattern=KAFKA_NAME)]
Name = Annotated[str, AfterValidator(_validate_name)]
"""The name that an operator gives a source or a stream."""
