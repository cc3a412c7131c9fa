"""The command line. Exit codes: 0 done, 1 failed, 2 the input is wrong.

A command imports what it needs when it is called: `health` is called every few seconds, and needs little.
"""

import logging
import os
import signal
import sys
from datetime import UTC, datetime
from traceback import format_exception
from typing import TYPE_CHECKING, Annotated, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.markup import escape

from collector import __version__
from collector.commands.arguments import CONFIG, Config, Source, Stream, Type, address, duration, moment
from collector.errors import Failed, UserError, leaves
from collector.secrets import redact

if TYPE_CHECKING:
    from collector.commands.check import Finding
    from collector.commands.state import Rewind

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
TERMINATED = 128 + signal.SIGTERM
"""As a shell tells of a process that a signal ended."""

_is_drawn = sys.stdout.isatty() and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
"""Help and usage errors in boxes are for terminals; in a file or a pipe they are text."""
app = typer.Typer(
    name="collector",
    help="Streams audience data from signage vendors to Kafka, exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown" if _is_drawn else None,
)
state = typer.Typer(
    no_args_is_help=True,
    help="Look at what is known to be published, and change it.\n\nExample: collector state show",
    rich_markup_mode="markdown" if _is_drawn else None,
)
app.add_typer(state, name="state")
_errors = Console(stderr=True, highlight=False)


def main() -> None:
    """Run a command, and end the process with its exit code."""
    if sys.flags.optimize:
        _fail("python -O is refused: a guard of the Kafka client is an assert. Run without -O.", WRONG_INPUT)
    if os.getpid() == 1:  # a container's only process: signals that nobody handles do not reach it
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    logging.getLogger().addHandler(logging.NullHandler())  # what matters of libraries is told; `run` sets up its logs
    try:
        app(prog_name="collector")  # also as python -m collector
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - each kind has its end
        _end(next(leaves(error)))


def _end(error: BaseException) -> NoReturn:
    match error:
        case UserError():
            _fail(str(error), WRONG_INPUT)
        case Failed():
            _fail(str(error), FAILED)
        case KeyboardInterrupt():
            sys.exit(INTERRUPTED)
        case BrokenPipeError():  # whoever read it has enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(FAILED)
        case _:  # a fault of our own is shown whole, but for the secrets in it
            sys.stderr.write(redact("".join(format_exception(error))))
            sys.exit(FAILED)


def _fail(text: str, code: int) -> NoReturn:
    _errors.print(f"[red]{escape(redact(text))}[/red]", soft_wrap=True)
    sys.exit(code)


def _confirmed(question: str) -> bool:
    """No is the answer of whoever says nothing, or cannot be asked."""
    try:
        return _errors.input(f"{question} (y/N) ").strip().lower() in ("y", "yes")
    except EOFError:
        _errors.print("nobody to ask: say --yes")
        return False


def _version(wanted: bool) -> None:  # noqa: FBT001 - as Typer calls it
    if wanted:
        typer.echo(f"collector {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")] = False,
) -> None:
    """Streams audience data from signage vendors to Kafka, exactly once."""


@app.command()
def run(config: Config = CONFIG) -> None:
    """Run the daemon.

    Example: collector run --config config.toml
    """
    from collector.commands.run import run as run_

    run_(config)


@app.command()
def check(
    config: Config = CONFIG,
    offline: Annotated[bool, typer.Option("--offline", help="Only read the configuration.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Check the configuration, every vendor account, the brokers, the topics and the permissions; changes nothing.

    Example: collector check --config config.toml
    """
    from collector.commands.check import check as check_

    out = Console(highlight=False)

    def report(finding: "Finding") -> None:
        if as_json:
            typer.echo(msgspec.json.encode(finding))
        else:
            mark = "[green]ok    [/green]" if finding.ok else "[red]failed[/red]"
            out.print(f"{mark} {escape(finding.what)}: {escape(finding.text)}", soft_wrap=True)
        sys.stdout.flush()  # each when it is known, also to a pipe

    if not check_(config, report, offline=offline):
        raise typer.Exit(FAILED)


@app.command()
def preview(
    source: Source,
    stream: Stream,
    config: Config = CONFIG,
    last: Annotated[str, typer.Option(help="How far back to look from the end.")] = "1h",
    start: Annotated[str | None, typer.Option(help="E.g. 2026-11-01T00:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option(help="Now, unless given.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Print so many events at most.")] = 1000,
) -> None:
    """Ask the vendor and print the events that would be published, as JSON lines; touches no Kafka.

    Example: collector preview mall sessions --last 15m --limit 10
    """
    from collector.commands.preview import preview as preview_

    shown = preview_(
        config,
        source,
        stream,
        start=None if start is None else moment("--start", start),
        end=None if end is None else moment("--end", end),
        last=duration("--last", last),
        limit=limit,
    )
    sys.stdout.flush()
    rejected = f", {shown.rejected} of them dead letters" if shown.rejected else ""
    _errors.print(f"{shown.events} events{rejected}")


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="Another seed is another world.")] = 1,
    devices: Annotated[int, typer.Option(min=1, max=10_000, help="Devices, and VidiCenter's locations.")] = 3,
    rate: Annotated[float, typer.Option(min=0, help="Visits an hour at a device, on average.")] = 60.0,
    listen: Annotated[str, typer.Option(help="Where to serve.")] = "127.0.0.1:8864",
    fast: Annotated[bool, typer.Option("--fast", help="Uploads and exports within a second or two.")] = False,
    fault: Annotated[list[str] | None, typer.Option(help="KIND=RATE; more than once for more kinds.")] = None,
) -> None:
    """Simulate both vendors, on loopback unless told otherwise.

    Kinds of faults: 429, 500, timeout, truncated, failed_export.

    Example: collector simulate --devices 10 --fault 429=0.05
    """
    from collector.commands.simulate import parse_faults, world
    from collector.commands.simulate import simulate as simulate_

    simulate_(
        world(seed=seed, devices=devices, rate=rate, fast=fast),
        address("--listen", listen),
        parse_faults(fault or []),
        fast=fast,
    )


@app.command()
def health(config: Config = CONFIG) -> None:
    """Ask the process of this machine whether it lives, at `/healthz` of `http.listen`: a container's health check.

    Where COLLECTOR__HTTP__LISTEN is set, as it is in the image, the configuration is not read.

    Example: collector health --config config.toml
    """
    from collector.commands.health import health as health_

    health_(config)


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End by itself after so long.")] = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Your own broker.")] = None,
) -> None:
    """Show everything: simulated vendors, a broker, the daemon, and a reader that knows the truth.

    At the end it says what was simulated and published over what is final; exit code 1 unless nothing is missing or
    duplicated.

    Example: collector demo --seconds 20
    """
    from collector.commands.demo import demo as demo_

    if not demo_(seconds=seconds, kafka=kafka):
        raise typer.Exit(FAILED)


@state.command("init")
def state_init(config: Config = CONFIG) -> None:
    """Accept that state is lost: partitions of the state topic without a header, or truncated.

    Example: collector state init --config config.toml
    """
    from collector.commands.state import init

    _errors.print(init(config))


@state.command("show")
def state_show(
    config: Config = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Show every stream in the state topic: how far it is, and what is remembered of it.

    Example: collector state show
    """
    from collector.commands.state import columns, show, told

    found, now = show(config), datetime.now(UTC)
    in_json = [msgspec.json.encode(told(each, now)).decode() for each in found]
    for line in in_json if as_json else columns(found, now):
        typer.echo(line)
    if not found:
        _errors.print("no stream has begun yet")


@state.command("rewind")
def state_rewind(
    source: Source,
    stream: Stream,
    to: Annotated[str, typer.Option(help="E.g. 2026-11-01T00:00:00Z.")],
    config: Config = CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Move a stream back, also while the group runs. What the ledger still knows is not published twice.

    Example: collector state rewind mall sessions --to 2026-11-01T00:00:00Z
    """
    from collector.commands.state import rewind

    def agreed(planned: "Rewind") -> bool:
        if planned.again:
            _errors.print(f"The ledger has forgotten {planned.again}: that will be published again, with equal ids.")
        return yes or _confirmed("Move it back?")

    if (done := rewind(config, source, stream, moment("--to", to), agreed)) is None:
        _errors.print("nothing was changed")
        raise typer.Exit(FAILED)
    _errors.print(
        f"{source} {stream} is polled from {done.after.watermark:%Y-%m-%dT%H:%M:%SZ} on; a running collector goes back "
        "there when it commits next, within two minutes or its interval"
    )


@app.command()
def schema(
    name: Type = None,
    as_asyncapi: Annotated[bool, typer.Option("--asyncapi", help="All topics, as an AsyncAPI document.")] = False,
) -> None:
    """Print the JSON Schemas of the event types, or the whole contract as an AsyncAPI 3.0 document.

    Example: collector schema seemetrix.session.v1
    """
    from collector.commands.asyncapi import asyncapi
    from collector.commands.schema import schema as schema_

    if as_asyncapi and name is not None:
        raise UserError("--asyncapi is of all types: leave the type out")
    typer.echo(asyncapi() if as_asyncapi else schema_(name))
