"""`collector state`: shows and changes the state. As in `cli.py`, commands are imported when they are called."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.markup import escape

from collector.commands.arguments import CONFIG, MARKUP, Config, Source, Stream, parse_instant
from collector.commands.ending import FAILED, print_error

if TYPE_CHECKING:
    from collector.commands.state import Rewind

state = typer.Typer(
    no_args_is_help=True,
    help="Show and change the state: how far each stream is published.\n\nExample: collector state show",
    rich_markup_mode=MARKUP,
)


@state.command("init")
def state_init(config: Config = CONFIG) -> None:
    """Accept that state is lost.

    Use it after partitions of the state topic were deleted or truncated.

    Example: collector state init --config config.toml
    """
    from collector.commands.state import init
    from collector.telemetry.log import log_to_stderr

    log_to_stderr()
    print_error(escape(init(config)))


@state.command("show")
def state_show(
    config: Config = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show the checkpoint and the ledger size of every stream.

    Example: collector state show
    """
    from collector.commands.state import as_dict, columns, problems, show
    from collector.telemetry.log import log_to_stderr

    log_to_stderr()
    streams, now = show(config), datetime.now(UTC)
    in_json = [msgspec.json.encode(as_dict(each, now)).decode() for each in streams]
    for line in in_json if as_json else columns(streams, now):
        typer.echo(line)
    for problem in problems(streams):
        print_error(escape(problem))
    if not streams:
        print_error("no stream has started yet")


@state.command("rewind")
def state_rewind(
    source: Source,
    stream: Stream,
    to: Annotated[str, typer.Option(help="The new watermark, e.g. 2026-11-01T00:00:00Z; in UTC if it has no offset.")],
    config: Config = CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Move a stream back, so that it is fetched again.

    The collector may run meanwhile. Records that the ledger contains are not published twice. Damaged records of the
    state are removed. Of a stream in several time zones, only the named one is moved back: also rewind the others, such
    as `viewers@America/New_York`.

    Example: collector state rewind mall sessions --to 2026-11-01T00:00:00Z
    """
    from collector.commands.state import confirmed, rewind
    from collector.telemetry.log import log_to_stderr

    log_to_stderr()

    def confirm(planned: "Rewind") -> bool:
        for warning in planned.warnings:
            print_error(warning)
        return yes or confirmed(f"Move {source} {stream} back to {planned.after.watermark:%Y-%m-%dT%H:%M:%SZ}?")

    if (done := rewind(config, source, stream, parse_instant("--to", to), confirm)) is None:
        print_error("nothing was changed")
        raise typer.Exit(FAILED)
    print_error(
        f"{source} {stream} continues from {done.after.watermark:%Y-%m-%dT%H:%M:%SZ}; a running collector follows at "
        "its next commit, within two minutes or the stream's interval"
    )
