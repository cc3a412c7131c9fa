"""What stands behind a command: how it is read, and how the shell completes it."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from collector.errors import UserError
from collector.settings import parse_duration
from collector.web.settings import HttpSettings

if TYPE_CHECKING:
    from collector.config import Settings

CONFIG = Path("config.toml")


def _settings(context: typer.Context) -> "Settings | None":
    """The configuration that the command line names so far; None while it is none."""
    from collector.config import load

    try:
        return load(Path(context.params.get("config") or CONFIG))
    except UserError:
        return None


def _sources(context: typer.Context, incomplete: str) -> Iterable[str]:
    settings = _settings(context)
    return [name for name in (settings.sources if settings else ()) if name.startswith(incomplete)]


def _streams(context: typer.Context, incomplete: str) -> Iterable[str]:
    settings, source = _settings(context), context.params.get("source")
    chosen = settings.sources[source].streams.chosen if settings and source in settings.sources else ()
    return [name for name in chosen if name.startswith(incomplete)]


def _types(incomplete: str) -> Iterable[str]:
    from collector.commands.schema import event_types

    return [name for name in event_types() if name.startswith(incomplete)]


Config = Annotated[Path, typer.Option("--config", "-c", help="The configuration, in TOML.")]
Source = Annotated[str, typer.Argument(help="A source's name in the configuration.", autocompletion=_sources)]
Stream = Annotated[str, typer.Argument(help="One of its streams, e.g. `sessions`.", autocompletion=_streams)]
Type = Annotated[str | None, typer.Argument(metavar="TYPE", help="E.g. `seemetrix.session.v1`.", autocompletion=_types)]


def moment(option: str, text: str) -> datetime:
    """In UTC, also without an offset. Raises UserError."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option}: expected a date and time such as 2026-11-01T00:00:00Z") from None
    try:
        return given.replace(tzinfo=UTC) if given.tzinfo is None else given.astimezone(UTC)
    except OverflowError:
        raise UserError(f"{option}: is outside the years 1 to 9999") from None


def address(option: str, text: str) -> tuple[str, int]:
    """Host and port. Raises UserError."""
    try:
        return HttpSettings(listen=text).address
    except ValidationError:
        raise UserError(f"{option}: expected host:port, such as 127.0.0.1:8864") from None


def duration(option: str, text: str) -> timedelta:
    """Raises UserError."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"{option}: {error}") from None
