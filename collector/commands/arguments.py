"""What stands on the command line, as values; each raises UserError that names the option."""

from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from collector.errors import UserError
from collector.settings import parse_duration
from collector.web.settings import HttpSettings


def moment(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option}: expected a date and time such as 2026-11-01T00:00:00Z") from None
    try:
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError:
        raise UserError(f"{option}: is outside the years 1 to 9999") from None


def address(option: str, text: str) -> tuple[str, int]:
    try:
        return HttpSettings(listen=text).address
    except ValidationError:
        raise UserError(f"{option}: expected host:port, such as 127.0.0.1:8864") from None


def duration(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"--last: {error}") from None
