"""`collector check`: whether everything that the daemon needs is there; one line each, as it is found."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import anyio
from msgspec import Struct

from collector.clock import SystemClock
from collector.commands.progress import Waiting, waiting
from collector.config import Settings, load
from collector.errors import KafkaMisconfigured, Park, RetryLater, Split
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.diagnosis.probe import probe
from collector.kafka.epoch import partition_of
from collector.secrets import redact
from collector.telemetry.vendor import unreported
from collector.vendors import VENDORS
from collector.vendors.http import Http, http
from collector.vendors.source import HistorySettings, SourceSettings

DEADLINE_S = 30.0
"""For each account and for Kafka: one that is silent does not hold up the rest, nor the end."""
CLOCK = timedelta(seconds=10)
"""Clocks that somebody sets (NTP) agree to within a second, and the vendors tell whole seconds."""


class Finding(Struct, frozen=True):
    """One line."""

    what: str
    ok: bool
    text: str


Tell = Callable[[Finding], None]


def check(path: Path, report: Tell, *, offline: bool) -> bool:
    """Read the configuration, then ask every vendor account and the brokers; whether all is right.

    Changes nothing. Raises UserError for the configuration.
    """
    settings = load(path)
    all_right = True
    count = len(settings.sources)
    report(Finding(str(path), ok=True, text=f"is right: {count} source{'s' if count > 1 else ''}"))
    if offline:
        return True
    with waiting("") as shown:

        def found(finding: Finding) -> None:
            nonlocal all_right
            all_right &= finding.ok
            with shown.aside():
                report(Finding(finding.what, finding.ok, redact(finding.text)))

        anyio.run(_look_at_all, settings, found, shown)
    return all_right


async def _look_at_all(settings: Settings, report: Tell, shown: Waiting) -> None:
    async with http(SystemClock()) as client, anyio.create_task_group() as tasks:
        pieces = {f"sources.{name}": _account(settings, name, client) for name in settings.sources}
        pieces["kafka"] = _kafka(settings)
        left = list(pieces)
        told: set[Finding] = set()

        async def look(what: str) -> None:
            try:
                with anyio.fail_after(DEADLINE_S):
                    async with aclosing(pieces[what]) as findings:
                        async for finding in findings:
                            if finding not in told:  # two accounts at one vendor have one clock
                                told.add(finding)
                                report(finding)
            except TimeoutError:
                report(Finding(what, ok=False, text=f"not done within {DEADLINE_S:g} s: try again later"))
            left.remove(what)
            _say(shown, left, len(pieces))

        _say(shown, left, len(pieces))
        for what in pieces:
            tasks.start_soon(look, what)


def _say(shown: Waiting, left: list[str], total: int) -> None:
    if not left:
        return
    others = f" and {len(left) - 3} more" if len(left) > 3 else ""  # noqa: PLR2004 - what a line has room for
    shown.say(f"waiting for {', '.join(left[:3])}{others}")
    shown.count(total - len(left), total)


async def _account(settings: Settings, name: str, client: Http) -> AsyncGenerator[Finding, None]:
    what, source = f"sources.{name}", settings.sources[name]
    try:
        found = await VENDORS[source.vendor].probe(name, source, client, unreported())
    except (Park, RetryLater) as error:
        yield Finding(what, ok=False, text=f"{error}: {error.advice}")
    except Split as error:
        yield Finding(what, ok=False, text=f"{error}: raise {what}.max_response_bytes")
    else:
        yield Finding(what, ok=True, text=found.text)
        yield clock(source, found.ahead_s)


def clock(source: SourceSettings, ahead_s: float | None) -> Finding:
    """How the vendor's clock stands to ours, and whom that harms."""
    what = f"clock of {urlsplit(source.base_url).netloc}"
    if ahead_s is None:
        return Finding(what, ok=True, text="not told: keep this machine's clock right, by NTP")
    off = timedelta(seconds=round(abs(ahead_s)))
    if off <= CLOCK:
        return Finding(what, ok=True, text="agrees with this machine's")
    if ahead_s > 0:
        text = f"{off} ahead of this machine's, and events come that much later: set this machine's clock right, by NTP"
        return Finding(what, ok=False, text=text)
    settles = [each.settle for each in source.streams.chosen.values() if isinstance(each, HistorySettings)]
    beyond = f" and more than settle ({min(settles)})" if settles and off > min(settles) else ""
    harm = "ahead of the vendor's, new streams begin in the future, and what comes until then is left out"
    text = f"{off} behind this machine's{beyond}: set this machine's clock right, by NTP; {harm}"
    return Finding(what, ok=False, text=text)


async def _kafka(settings: Settings) -> AsyncGenerator[Finding, None]:
    kafka = settings.kafka
    partitions = {partition_of(str(each.account), kafka.state_partitions) for each in settings.sources.values()}
    try:
        async with aclosing(probe(kafka, settings.topics(), settings.compacted_topics(), partitions)) as lines:
            async for what, said in lines:
                if isinstance(said, KafkaMisconfigured):
                    yield Finding(what, ok=False, text=f"{said}: {said.advice}")
                else:
                    yield Finding(what, ok=True, text=said)
    except KafkaMisconfigured as error:
        yield Finding("kafka", ok=False, text=f"{error}: {error.advice}")
    except UNAVAILABLE:
        cause = (await diagnose(kafka)).cause
        yield Finding("kafka", ok=False, text=f"{cause}: {cause.advice}")
