"""The part of `collector check` that needs neither vendors nor Kafka."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from collector.commands.finding import Finding, Report
from collector.config import Settings, load, reveal_secrets
from collector.errors import InvalidConfiguration
from collector.instants import format_seconds
from collector.plurals import counted
from collector.raw_config import included_files, load_file


def check_offline(path: Path, report: Report) -> None:
    """Check the configuration and its secrets. Nothing else is imported, so that it is fast.

    Secrets that cannot be read are warnings: this may not be the machine of the daemon. Raises UserError when the
    configuration is wrong.
    """
    settings = load(path)
    for finding in chain(check_configuration(path, settings), _check_secrets(settings)):
        report(finding)


def check_configuration(path: Path, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for the valid configuration, for each file that it includes, and for what lies ahead.

    Raises UserError when an included file can no longer be read.
    """
    yield Finding(str(path), ok=True, text=f"valid, {counted(len(settings.sources), 'source')}")
    if settings.include is not None:
        yield from _included(path, settings.include)
    for name, source in settings.sources.items():
        if source.since is not None and source.since > datetime.now(UTC):
            text = f"{format_seconds(source.since)} lies ahead: streams that have not started publish nothing before it"
            yield Finding(f"sources.{name}.since", ok=True, text=text, warning=True)


def _check_secrets(settings: Settings) -> Iterator[Finding]:
    """Yield a warning for each secret that cannot be read on this machine, which may not be that of the daemon.

    Raises Failed when too many files are open.
    """
    try:
        reveal_secrets(settings, settings.sources)
    except InvalidConfiguration as error:
        for problem in error.problems:
            text = f"{problem.text}; `collector run` does not start without it"
            yield Finding(problem.path, ok=True, text=text, warning=True)


def _included(path: Path, pattern: str) -> Iterator[Finding]:
    files = included_files(path, pattern)
    for file in files:
        names = load_file(file).get("sources", {})
        text = f"included, {counted(len(names), 'source')}" + (f": {', '.join(names)}" if names else "")
        yield Finding(str(file), ok=True, text=text, warning=not names)
    if not files:
        yield Finding("include", ok=True, text=f"no file matches {pattern}: nothing is included", warning=True)
