"""`collector state`: shows and changes the state. As in `cli.py`, commands are imported when they are called."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from collector.commands.arguments import CONFIG, MARKUP, Config, Source, Stream, parse_instant_with_offset
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
    from collector.commands.log_lines import log_to_stderr
    from collector.commands.state import init

    log_to_stderr("error")
    print_error(init(config))


@state.command("show")
def state_show(
    config: Config = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Show the checkpoint and the ledger size of every stream.

    Example: collector state show
    """
    import msgspec

    from collector.commands.log_lines import log_to_stderr
    from collector.commands.state import as_dict, columns, problems, show

    log_to_stderr("error")
    streams, now = show(config), datetime.now(UTC)
    in_json = [msgspec.json.encode(as_dict(each, now)).decode() for each in streams]
    for line in in_json if as_json else columns(streams, now):
        typer.echo(line)
    for problem in problems(streams):
        print_error(problem)
    if not streams:
        print_error("no stream has started yet")


@state.command("rewind")
def state_rewind(
    source: Source,
    stream: Stream,
    to: Annotated[
        str, typer.Option(metavar="TIME", help="The new watermark, with its offset, e.g. 2026-11-01T00:00:00Z.")
    ],
    config: Config = CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Move a stream back, so that it is fetched again.

    The question names the present watermark and the new one. If the stream is not after --to, nothing is changed.

    The collector may run meanwhile. Records that the ledger contains are not published twice. Damaged records of the
    state are removed. Of a stream in several time zones, only the named one is moved back: also rewind the others, such
    as `viewers@America/New_York`.

    Example: collector state rewind mall sessions --to 2026-11-01T00:00:00Z
    """
    from collector.commands.log_lines import log_to_stderr
    from collector.commands.state import confirmed, rewind
    from collector.commands.state_topic import WHEN
    from collector.instants import format_seconds

    log_to_stderr("error")

    def confirm(planned: "Rewind") -> bool:
        for warning in planned.warnings:
            print_error(warning)
        return yes or confirmed(planned.question(f"{source} {stream}"))

    if (done := rewind(config, source, stream, parse_instant_with_offset("--to", to), confirm)) is None:
        print_error("nothing was changed")
        raise typer.Exit(FAILED)
    continues_from = format_seconds(done.after.watermark)
    if done.changes_nothing:
        print_error(f"nothing to do: {source} {stream} is at {continues_from}, which is not after --to")
        return
    print_error(f"{source} {stream} continues from {continues_from}; {WHEN}")
