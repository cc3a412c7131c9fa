"""`collector pause` and `collector resume`. As in `cli.py`, commands are imported when they are called."""

from typing import Annotated

import typer
from rich.markup import escape

from collector.commands.arguments import CONFIG, Config, OptionalStream, Source, parse_timespan
from collector.commands.ending import print_error

pausing = typer.Typer()


@pausing.command()
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
    from collector.commands.pause import pause as pause_

    timespan = None if length is None else parse_timespan("--for", length)
    print_error(escape(pause_(config, source, stream, reason=reason, length=timespan)))


@pausing.command()
def resume(source: Source, stream: OptionalStream = None, config: Config = CONFIG) -> None:
    """Resume a source with all its streams, or one stream.

    Each stream continues from its watermark.

    Example: collector resume mall sessions
    """
    from collector.commands.pause import resume as resume_

    print_error(escape(resume_(config, source, stream)))
