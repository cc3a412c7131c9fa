"""Arguments and options of commands: how they are parsed, and how the shell completes them."""

import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer.core import TyperCommand

from collector.errors import UserError
from collector.registry.compatibility import Compatibility
from collector.web import address

if TYPE_CHECKING:
    from collector.config import Settings

CONFIG = Path("config.toml")
# Boxes and colours of help and usage errors are for terminals; files and pipes contain plain text.
_has_boxes = sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
MARKUP: Literal["markdown"] | None = "markdown" if _has_boxes else None


def _settings(context: typer.Context) -> "Settings | None":
    """The configuration that the incomplete command line selects; None if it is not valid."""
    from collector.config import load

    try:
        return load(Path(context.params.get("config") or CONFIG))
    except UserError:
        return None


def complete_source(context: typer.Context, incomplete: str) -> Iterable[str]:
    """The sources of the configuration whose names begin so."""
    settings = _settings(context)
    return [name for name in (settings.sources if settings else ()) if name.startswith(incomplete)]


def _complete_stream(context: typer.Context, incomplete: str) -> Iterable[str]:
    settings, source = _settings(context), context.params.get("source")
    chosen = settings.sources[source].chosen if settings and source in settings.sources else ()
    return [name for name in chosen if name.startswith(incomplete)]


def _complete_type(incomplete: str) -> Iterable[str]:
    from collector.schemas import event_types

    return [name for name in event_types() if name.startswith(incomplete)]


class RegisterCommand(TyperCommand):
    """A command whose option `--register` may have a value: Typer has no such options."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        following = [*args, "-"][1:]
        has_none = [each == REGISTER and after.startswith("-") for each, after in zip(args, following, strict=True)]
        given = [f"{each}=" if is_empty else each for each, is_empty in zip(args, has_none, strict=True)]
        return super().parse_args(ctx, given)


REGISTER = "--register"
Config = Annotated[Path, typer.Option("--config", "-c", help="Path of the configuration file, in TOML.")]
OptionalConfig = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Path of the configuration file. Default: config.toml for --register, else none."
    ),
]
Source = Annotated[str, typer.Argument(help="Name of a source in the configuration.", autocompletion=complete_source)]
Stream = Annotated[
    str, typer.Argument(help="Name of one of its streams, e.g. `sessions`.", autocompletion=_complete_stream)
]
OptionalStream = Annotated[
    str | None, typer.Argument(help="Name of one of its streams. Default: all.", autocompletion=_complete_stream)
]
Type = Annotated[
    str | None,
    typer.Argument(metavar="TYPE", help="Event type, e.g. `seemetrix.session.v1`.", autocompletion=_complete_type),
]
RegistryUrl = Annotated[
    str | None,
    typer.Option(
        REGISTER,
        metavar="[URL]",
        help="Register the schemas in the schema registry at this URL. Default: kafka.schema_registry.",
    ),
]
CompatibilityOption = Annotated[
    Compatibility | None,
    typer.Option("--compatibility", help="Compatibility to set for each subject. Default: FORWARD."),
]
Username = Annotated[str | None, typer.Option("--username", metavar="NAME", help="User of the schema registry.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", metavar="FILE", help="File that contains the user's password.")
]


class Engine(StrEnum):
    """An SQL engine for which `collector schema --sql` prints tables."""

    DUCKDB = "duckdb"
    CLICKHOUSE = "clickhouse"
    POSTGRES = "postgres"
    FLINK = "flink"


SqlEngine = Annotated[
    Engine | None,
    typer.Option("--sql", help="Print a table for each type, and the statement that keeps the newest revision."),
]


class Form(StrEnum):
    """How `collector topics` prints topics and rights."""

    TABLE = "table"
    KAFKA = "kafka"
    STRIMZI = "strimzi"
    TERRAFORM = "terraform"


TopicsForm = Annotated[
    Form,
    typer.Option(
        "--as",
        help="`table` for people, `kafka` for Kafka's own tools, `strimzi` for its operators, or `terraform`.",
    ),
]


def parse_instant(option: str, text: str) -> datetime:
    """The instant in UTC. A text without an offset is treated as UTC. Raises UserError that names the option."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        expected = "expected a date and time such as 2026-11-01T00:00:00Z"
        raise UserError(f"{option}: {expected}", code="invalid_instant") from None
    try:
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except OverflowError:
        raise UserError(f"{option}: expected a time within the years 1 to 9999", code="invalid_instant") from None


def parse_instant_with_offset(option: str, text: str) -> datetime:
    """The instant in UTC, for a command that changes something. Raises UserError also for a text without an offset."""
    instant = parse_instant(option, text)
    if datetime.fromisoformat(text).tzinfo is None:
        expected = "expected a time with its offset from UTC, such as 2026-11-01T00:00:00Z or 2026-11-01T00:00:00+01:00"
        raise UserError(f"{option}: {expected}", code="missing_offset")
    return instant


def parse_address(option: str, text: str) -> tuple[str, int]:
    """Host and port. Raises UserError that names the option."""
    try:
        return address.parse_address(text)
    except ValueError:
        text = f"{option}: expected host:port, such as 127.0.0.1:8864"
        raise UserError(text, code="invalid_address") from None


def parse_timespan(option: str, text: str) -> timedelta:
    """A duration. Raises UserError that names the option."""
    from collector.settings import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise UserError(f"{option}: {error}", code="invalid_duration") from None
