"""Commands that control streams while the daemon runs. As in `cli.py`, they are imported when they are called."""

from functools import partial
from typing import Annotated

import typer

from collector.commands.arguments import (
    CONFIG,
    Config,
    OptionalStream,
    Source,
    Stream,
    parse_instant_with_offset,
    parse_timespan,
)
from collector.commands.ending import print_error
from collector.errors import UserError, both

control = typer.Typer()


@control.command()
def pause(
    source: Source,
    stream: OptionalStream = None,
    *,
    reason: Annotated[str, typer.Option(help="Why, in one line; the status page shows it.")],
    length: Annotated[
        str | None,
        typer.Option("--for", metavar="DURATION", help="Continue by itself after this time, e.g. 2h. Default: never."),
    ] = None,
    config: Config = CONFIG,
) -> None:
    """Pause a source, or one of its streams.

    No replica polls it until the time is over or `collector resume` is run. Replicas may run meanwhile, or not. A
    stream that has never started can be paused too. Pausing again replaces the reason and the time.

    Example: collector pause mall sessions --for 2h --reason "maintenance at the vendor"
    """
    from collector.commands.log_lines import log_to_stderr
    from collector.commands.pause import pause as pause_

    log_to_stderr("error")
    timespan = None if length is None else parse_timespan("--for", length)
    print_error(pause_(config, source, stream, reason=reason, length=timespan))


@control.command()
def resume(source: Source, stream: OptionalStream = None, config: Config = CONFIG) -> None:
    """Resume a source with all its streams, or one stream.

    Each stream continues from its watermark.

    Example: collector resume mall sessions
    """
    from collector.commands.log_lines import log_to_stderr
    from collector.commands.pause import resume as resume_

    log_to_stderr("error")
    print_error(resume_(config, source, stream))


@control.command()
def backfill(
    source: Source,
    stream: Stream,
    *,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="The earliest start of records, with its offset, e.g. 2026-08-01T00:00:00Z."
        ),
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", metavar="TIME", help="The end, exclusive. Default: where the next published data starts."),
    ] = None,
    cancel: Annotated[bool, typer.Option("--cancel", help="Cancel the backfill that runs.")] = False,
    config: Config = CONFIG,
) -> None:
    """Publish data that is older than a stream, beside its live data.

    The replica that runs the stream fetches what starts in [--from, --to), within the limits of the account, whenever
    no live stream of the account fetches. It survives restarts, and is complete when nothing more is expected.

    Example: collector backfill mall sessions --from 2026-08-01T00:00:00Z
    """
    from collector.commands.backfill import backfill as backfill_
    from collector.commands.backfill import cancel as cancel_
    from collector.commands.log_lines import log_to_stderr

    log_to_stderr("error")
    if cancel:
        if start or end:
            raise UserError("--cancel cancels the backfill that runs: omit --from and --to", code="cancel_with_times")
        print_error(cancel_(config, source, stream))
        return
    if start is None:
        raise UserError("--from is missing: pass where the data should start", code="from_missing")
    since, until = both(
        partial(parse_instant_with_offset, "--from", start),
        lambda: None if end is None else parse_instant_with_offset("--to", end),
    )
    print_error(backfill_(config, source, stream, since, until))
