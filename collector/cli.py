"""The command line. Exit codes: 0 success, 1 failure, 2 wrong input, 130 interrupted.

Commands are imported when they are called: `health` runs every few seconds, and must start fast.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from collector.cli_control import control
from collector.cli_dead_letters import dead_letters
from collector.cli_state import state
from collector.commands.arguments import (
    CONFIG,
    MARKUP,
    CompatibilityOption,
    Config,
    Form,
    OptionalConfig,
    PasswordFile,
    RegisterCommand,
    RegistryUrl,
    Source,
    SqlEngine,
    Stream,
    TopicsForm,
    Type,
    Username,
    parse_address,
    parse_instant,
    parse_timespan,
)
from collector.commands.ending import FAILED, TERMINATED, WRONG_INPUT, end, fail, print_error
from collector.errors import UserError, both, leaves
from collector.plurals import counted
from collector.registry.compatibility import Compatibility

if TYPE_CHECKING:
    from collector.commands.finding import Finding

app = typer.Typer(
    name="collector",
    help="Streams audience data from signage vendors to Kafka, exactly once.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=MARKUP,
)
app.add_typer(control)
app.add_typer(state, name="state")
app.add_typer(dead_letters, name="dead-letters")


def main() -> NoReturn:
    """Run a command and end the process with its exit code."""
    if sys.flags.optimize:
        fail("python -O is not supported: a check of the Kafka client is an assert. Run without -O.", WRONG_INPUT)
    if os.getpid() == 1:  # the kernel does not deliver signals without a handler to the init process of a container
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    logging.getLogger().addHandler(logging.NullHandler())  # hides the lines of libraries; `run` configures logging
    try:
        app(prog_name="collector")  # the same name for `python -m collector`
    except BaseException as error:  # noqa: BLE001 - each kind has an exit code
        end(next(leaves(error)))
    sys.exit()


def _print_version(is_requested: bool) -> None:  # noqa: FBT001 - called by Typer
    if is_requested:
        from collector import __version__

        typer.echo(f"collector {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
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
    offline: Annotated[bool, typer.Option("--offline", help="Use neither vendors nor Kafka.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """Check the configuration, the vendor accounts and Kafka.

    Checks of Kafka include the topics and the permissions. Nothing is changed. With --offline, only the configuration
    is checked: its keys, the files that it includes, its times, and whether its secrets can be read on this machine.

    Example: collector check --config config.toml
    """
    import msgspec

    from collector.commands.finding import print_finding

    def report(finding: "Finding") -> None:
        if as_json:
            typer.echo(msgspec.json.encode(finding))
        else:
            print_finding(finding)
        sys.stdout.flush()  # each finding as soon as it is known, also to a pipe

    if offline:
        from collector.commands.check_configuration import check_offline

        check_offline(config, report)
        return
    from collector.commands.check import check as check_
    from collector.commands.log_lines import log_to_stderr

    log_to_stderr("error")  # findings report what would be logged as a warning
    if not check_(config, report):
        raise typer.Exit(FAILED)


@app.command()
def topics(form: TopicsForm = Form.TABLE, config: Config = CONFIG) -> None:
    """Print the topics and rights that the configuration needs.

    With --as, print them for tools: as a shell script, as KafkaTopic and KafkaUser resources, or as Terraform
    resources. Kafka is not used.

    Example: collector topics --as kafka --config config.toml
    """
    from collector.commands.topics import topics as topics_

    typer.echo(topics_(config, form))


@app.command()
def preview(
    source: Source,
    stream: Stream,
    config: Config = CONFIG,
    last: Annotated[str, typer.Option(help="Length of the window, unless --start is given.")] = "1h",
    start: Annotated[
        str | None, typer.Option(help="Start of the window, e.g. 2026-11-01T00:00:00Z; in UTC if it has no offset.")
    ] = None,
    end: Annotated[str | None, typer.Option(help="End of the window. Default: now.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of events to print.")] = 20,
) -> None:
    """Print the events that would be published, without Kafka.

    Fetches a window from the vendor and prints its events as JSON lines.

    Example: collector preview mall sessions --last 15m --limit 10
    """
    from collector.commands.log_lines import log_to_stderr
    from collector.commands.preview import preview as preview_

    log_to_stderr("warning")
    (since, until), length = both(
        lambda: both(
            lambda: None if start is None else parse_instant("--start", start),
            lambda: None if end is None else parse_instant("--end", end),
        ),
        lambda: parse_timespan("--last", last),
    )
    printed = preview_(config, source, stream, start=since, end=until, last=length, limit=limit)
    sys.stdout.flush()
    dead_letters = f"; {counted(printed.dead_letters, 'dead letter')} among them" if printed.dead_letters else ""
    cut = ", the most that --limit allows" if printed.is_cut else ""
    print_error(f"{counted(printed.events, 'event')}{cut}{dead_letters}")


@app.command()
def simulate(
    seed: Annotated[int, typer.Option(help="Selects the simulated history.")] = 1,
    devices: Annotated[
        int, typer.Option(min=1, max=10_000, help="Number of simulated devices or locations of each vendor.")
    ] = 3,
    rate: Annotated[float, typer.Option(min=0, help="Average number of visits per hour and device.")] = 60.0,
    listen: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1:8864",
    fast: Annotated[bool, typer.Option("--fast", help="Uploads and exports take a second or two.")] = False,
    fault: Annotated[list[str] | None, typer.Option(help="KIND=RATE; repeat it for several kinds.")] = None,
) -> None:
    """Simulate the vendors, on loopback by default.

    Kinds of faults: 429, 500, timeout, truncated, failed_export.

    Example: collector simulate --devices 10 --fault 429=0.05
    """
    from collector.commands.simulate import make_world, parse_faults
    from collector.commands.simulate import simulate as simulate_

    simulate_(
        make_world(seed=seed, devices=devices, rate=rate, fast=fast),
        parse_address("--listen", listen),
        parse_faults(fault or []),
        fast=fast,
    )


@app.command()
def health(config: Config = CONFIG) -> None:
    """Check that the daemon of this machine responds.

    A health check for containers: it requests `/healthz` at `http.listen`. If COLLECTOR__HTTP__LISTEN is set, as in
    the image, the configuration file is not read.

    Example: collector health --config config.toml
    """
    from collector.commands.health import health as health_

    health_(config)


@app.command()
def status(
    config: Config = CONFIG,
    url: Annotated[
        str | None,
        typer.Option(
            help="Address of a replica, e.g. http://127.0.0.1:9464. Default: http.listen of the configuration."
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every two seconds, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response of /api/status.")] = False,
) -> None:
    """Show the status of a replica: what needs an operator, and who owns each stream.

    The exit code is 1 if the replica does not respond or is not ready, a stream of it is parked, or a changed
    configuration was refused.

    Example: collector status --watch
    """
    from collector.commands.status import status as status_

    if not status_(config, url, watch=watch, as_json=as_json):
        raise typer.Exit(FAILED)


@app.command()
def demo(
    seconds: Annotated[float | None, typer.Option(min=1, help="End after this time. Default: at Ctrl-C.")] = None,
    kafka: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Use this broker instead of the embedded one.")
    ] = None,
) -> None:
    """Run the daemon with simulated vendors and an embedded broker.

    A reader prints some of the events and checks all of them. At the end the demo prints the numbers of simulated
    records and published events. The exit code is 1 if any are missing or duplicated.

    Example: collector demo --seconds 20
    """
    from collector.commands.demo import demo as demo_

    if not demo_(seconds=seconds, kafka=kafka):
        raise typer.Exit(FAILED)


@app.command(cls=RegisterCommand)
def schema(
    name: Type = None,
    draft_07: Annotated[
        bool, typer.Option("--draft-07", help="Print JSON Schema draft-07 instead of 2020-12.")
    ] = False,
    as_asyncapi: Annotated[bool, typer.Option("--asyncapi", help="Print an AsyncAPI document of all topics.")] = False,
    engine: SqlEngine = None,
    url: RegistryUrl = None,
    compatibility: CompatibilityOption = None,
    username: Username = None,
    password_file: PasswordFile = None,
    config: OptionalConfig = None,
) -> None:
    """Print the JSON Schemas of the event types, or register them.

    With --asyncapi, print the whole contract as an AsyncAPI 3.0 document; with --config, only the topics that the
    configuration uses, with their prefix and settings, and the servers.

    With --register, put the schemas of the topics that the configuration uses into a Confluent-compatible schema
    registry, with one subject for each topic. Without a URL, it is that of the configuration. The exit code is 1 if the
    registry refuses a schema.

    With --sql, print tables for an SQL engine, and the statements that keep the newest revision.

    Example: collector schema seemetrix.session.v1

    Example: collector schema seemetrix.session.v1 --sql duckdb

    Example: collector schema --register --config config.toml

    Example: collector schema --register https://registry.example --config config.toml
    """
    if url is not None:
        if name is not None or as_asyncapi or engine:
            text = (
                "--register registers the schemas of all configured topics: name no type, and omit --asyncapi and --sql"
            )
            raise UserError(text, code="register_with_type")
        _register(config or CONFIG, url, compatibility or Compatibility.FORWARD, username, password_file)
        return
    if compatibility or username or password_file:
        text = "--compatibility, --username and --password-file are options of --register: add it"
        raise UserError(text, code="register_missing")
    from collector.commands.asyncapi import asyncapi
    from collector.commands.schema import schema as schema_

    if engine is not None:
        from collector.commands.sql import sql

        if as_asyncapi or draft_07:
            raise UserError("--sql prints SQL only: omit --asyncapi and --draft-07", code="sql_with_schema")
        typer.echo(sql(name, engine))
        return
    if as_asyncapi and name is not None:
        raise UserError("--asyncapi contains all types: do not name one", code="type_with_asyncapi")
    typer.echo(asyncapi(config) if as_asyncapi else schema_(name, draft_07=draft_07))


def _register(
    config: Path, url: str, compatibility: Compatibility, username: str | None, password_file: Path | None
) -> None:
    from collector.commands.register import Outcome, register

    def report(outcome: Outcome) -> None:
        typer.echo(str(outcome))
        sys.stdout.flush()  # each subject as soon as it is registered, also to a pipe

    if not register(config, url, compatibility, username, password_file, report):
        raise typer.Exit(FAILED)
