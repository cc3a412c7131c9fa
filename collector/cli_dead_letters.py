"""`collector dead-letters`: shows dead letters, and publishes them again. Commands are imported late."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collector.commands.arguments import CONFIG, MARKUP, Config, OptionalStream, complete_source
from collector.commands.ending import FAILED, print_error, print_result
from collector.errors import UserError

if TYPE_CHECKING:
    from collector.commands.dead_letters import Selected
    from collector.commands.listed_letters import Listed
    from collector.commands.replay_plan import Outcome
    from collector.pipeline.dead_letters import StoredLetter

dead_letters = typer.Typer(
    no_args_is_help=True,
    help="Show what could not be published, and publish it again.\n\nExample: collector dead-letters list",
    rich_markup_mode=MARKUP,
)
OptionalSource = Annotated[
    str | None, typer.Argument(help="Name of a source. Default: all.", autocompletion=complete_source)
]


@dead_letters.command("list")
def list_(
    source: OptionalSource = None,
    stream: OptionalStream = None,
    config: Config = CONFIG,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")] = False,
) -> None:
    """List the dead letters, and whether this version understands them.

    Each line has the id, when it was published, source, stream and reason; its status, which is understood, not
    understood, not replayable or published, by a replay; and the error. The oldest is first.

    Example: collector dead-letters list mall sessions
    """
    import msgspec

    from collector.commands.dead_letters import Selected
    from collector.commands.listed_letters import list_letters
    from collector.commands.log_lines import log_to_stderr

    log_to_stderr("warning")
    number = 0

    def report(each: "Listed") -> None:
        nonlocal number
        number += 1
        print_result(msgspec.json.encode(each) if as_json else str(each))

    unreadable = list_letters(config, Selected(source, stream), report)
    if unreadable:
        print_error(f"{unreadable} of the messages in these topics are not from the collector")
    if not number:
        print_error("no dead letters")


@dead_letters.command("show")
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of a dead letter, or the beginning of it.")],
    config: Config = CONFIG,
) -> None:
    """Show a dead letter with its row, as JSON.

    Example: collector dead-letters show 5f0c6a1e
    """
    from collector.commands.listed_letters import show as show_
    from collector.commands.log_lines import log_to_stderr

    log_to_stderr("warning")
    typer.echo(show_(config, id_))


@dead_letters.command("replay")
def replay(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Ids, or beginnings of ids. With --all: a source, and its stream."),
    ] = None,
    config: Config = CONFIG,
    everything: Annotated[bool, typer.Option("--all", help="All dead letters, or all of a source or stream.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be published.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Publish dead letters that this version understands.

    The collector may run meanwhile. Each dead letter is published once, however often the command runs. Records that
    are published already, also by the running collector, are not published again. The exit code is 1 if one of the
    named dead letters could not be published, or if a topic is missing.

    Example: collector dead-letters replay 5f0c6a1e

    Example: collector dead-letters replay --all mall sessions
    """
    from collector.commands.log_lines import log_to_stderr
    from collector.commands.replay import replay as replay_
    from collector.vendors.plain_session import one_line

    log_to_stderr("warning")
    selected = _selected(names or [], everything=everything)
    if everything and not (dry_run or yes) and not _is_confirmed(config, selected):
        print_error("nothing was changed")
        raise typer.Exit(FAILED)

    def report(stored: "StoredLetter", outcome: "Outcome") -> None:
        letter = stored.letter
        print_result(f"{letter.digest}  {letter.source} {letter.stream}: {one_line(outcome.text)}")

    done = replay_(config, None if everything else names, selected, report, dry_run=dry_run)
    print_error(f"without --dry-run: {done}" if dry_run else str(done))
    if done.missing_topics:
        print_error(f"missing: {', '.join(done.missing_topics)}. Create what is missing, and repeat the command")
    if done.missing_topics or (not everything and done.has_failures):
        raise typer.Exit(FAILED)


def _selected(names: list[str], *, everything: bool) -> "Selected":
    """What is selected with --all. Raises UserError if the arguments do not fit."""
    from collector.commands.dead_letters import Selected

    if not everything:
        if not names:
            raise UserError("name the dead letters by their ids, or pass --all", code="nothing_named")
        return Selected()
    if len(names) > 2:  # noqa: PLR2004 - a source and its stream
        raise UserError("with --all, the arguments are a source and one of its streams", code="too_many_arguments")
    return Selected(*names)


def _is_confirmed(config: Path, selected: "Selected") -> bool:
    """Whether the user confirms that all selected dead letters are published; without a question if there are none."""
    from collector.commands.replay import count
    from collector.commands.state import confirmed

    total, understood = count(config, selected)
    if not understood:
        return True
    are = "dead letter is" if total == 1 else "dead letters are"
    return confirmed(f"{understood} of {total} {are} understood. Publish what is not published yet?")
