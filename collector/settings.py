"""The kinds of value that settings are made of: strict, with errors that a person can act on."""

import re
from datetime import date, datetime, timedelta
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, ConfigDict

STRICT = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

_DURATION = re.compile(r"(\d{1,9})(s|m|h|d)")
_MAX = {"s": 999_999_999, "m": 9_999_999, "h": 999_999, "d": 99_999}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class FromEnvironment(str):
    """A value of the environment: text, whatever the key asks for."""

    __slots__ = ()


def _number(given: Any) -> Any:  # noqa: ANN401 - anything may stand there
    return int(given) if isinstance(given, FromEnvironment) and re.fullmatch(r"-?\d+", given) else given


def _switch(given: Any) -> Any:  # noqa: ANN401
    return {"true": True, "false": False}.get(given.lower(), given) if isinstance(given, FromEnvironment) else given


def _moment(given: Any) -> Any:  # noqa: ANN401
    if isinstance(given, FromEnvironment):
        try:
            return datetime.fromisoformat(given)
        except ValueError:
            return given
    return given


def _day(given: Any) -> Any:  # noqa: ANN401
    if isinstance(given, FromEnvironment):
        try:
            return date.fromisoformat(given)
        except ValueError:
            pass
    elif isinstance(given, date) and not isinstance(given, datetime):
        return given
    raise ValueError("expected a date such as 2018-01-01")


def parse_duration(given: object) -> timedelta:
    """`"90s"`, `"15m"`, `"6h"`, `"3d"`. Raises ValueError that says so."""
    if isinstance(given, timedelta):
        return given
    found = _DURATION.fullmatch(given) if isinstance(given, str) else None
    if found is None or int(found[1]) > _MAX[found[2]]:
        raise ValueError('expected a duration such as "90s", "15m", "6h" or "3d"')
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own, as far as can be told without asking for it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _whole_seconds(moment: datetime) -> datetime:
    if moment.microsecond:
        raise ValueError("expected whole seconds")
    return moment


def at_least(shortest: timedelta) -> AfterValidator:
    def check(given: timedelta) -> timedelta:
        if given < shortest:
            raise ValueError(f'expected "{shortest // timedelta(seconds=1)}s" or more')
        return given

    return AfterValidator(check)


Count = Annotated[int, BeforeValidator(_number)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
"""Whole seconds."""
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment), AfterValidator(_whole_seconds)]
