"""`collector check`: verifies what the daemon needs, and reports each finding as soon as it is known."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import anyio
from msgspec import structs

from collector.clock import SystemClock
from collector.commands.check_configuration import check_configuration
from collector.commands.check_registry import check_registry
from collector.commands.finding import Finding, Report
from collector.commands.progress import Progress, progress
from collector.config import Settings, load
from collector.errors import KafkaMisconfigured, Park, RetryLater, Split
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.diagnosis.probe import probe
from collector.kafka.diagnosis.secrets import unreadable_secrets
from collector.kafka.epoch import partition_of
from collector.kafka.notices import KafkaNotice
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.redaction import redact
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors import VENDORS
from collector.vendors.http import Http, http
from collector.vendors.proxy import proxy_for
from collector.vendors.source import HistorySettings, SourceSettings

DEADLINE_S = 30.0
"""The deadline of each account's check and of Kafka's. They run concurrently: one that hangs does not delay others."""
MAX_CLOCK_DIFFERENCE = timedelta(seconds=10)
"""NTP keeps clocks within a second, and vendors report whole seconds."""
MAX_SHOWN_CHECKS = 3
"""The most running checks that the progress line names."""


def check(path: Path, report: Report) -> bool:
    """Check the configuration, then every vendor account and Kafka; return whether all findings are ok.

    Nothing is changed. Raises UserError when the configuration is wrong.
    """
    settings = load(path)
    has_failed = False
    for finding in check_configuration(path, settings):
        report(finding)
    with progress("") as progress_line:

        def report_redacted(finding: Finding) -> None:
            nonlocal has_failed
            has_failed |= not finding.ok
            with progress_line.paused():
                report(structs.replace(finding, text=redact(finding.text)))

        anyio.run(_check_all, settings, report_redacted, progress_line)
    return not has_failed


async def _check_all(settings: Settings, report: Report, progress_line: Progress) -> None:
    async with http(SystemClock()) as client, anyio.create_task_group() as tasks:
        checks = {f"sources.{name}": _check_account(settings, name, client) for name in settings.sources}
        checks["kafka"] = _check_kafka(settings)
        if (registry := settings.kafka.schema_registry) is not None:
            checks["kafka.schema_registry"] = _check_registry(settings, registry)
        running = list(checks)
        reported: set[Finding] = set()

        async def run(what: str) -> None:
            try:
                with anyio.fail_after(DEADLINE_S):
                    async with aclosing(checks[what]) as findings:
                        async for finding in findings:
                            if finding not in reported:  # accounts at one vendor share its clock
                                reported.add(finding)
                                report(finding)
            except TimeoutError:
                report(Finding(what, ok=False, text=f"not finished within {DEADLINE_S:g} s: try again later"))
            running.remove(what)
            _show_running(progress_line, running, len(checks))

        _show_running(progress_line, running, len(checks))
        for what in checks:
            tasks.start_soon(run, what)


def _show_running(progress_line: Progress, running: list[str], total: int) -> None:
    if not running:
        return
    hidden = len(running) - MAX_SHOWN_CHECKS
    others = f" and {hidden} more" if hidden > 0 else ""
    progress_line.show(f"waiting for {', '.join(running[:MAX_SHOWN_CHECKS])}{others}")
    progress_line.count(total - len(running), total)


async def _check_account(settings: Settings, name: str, client: Http) -> AsyncGenerator[Finding, None]:
    what, source = f"sources.{name}", settings.sources[name]
    try:
        result = await VENDORS[source.vendor].load().probe(name, source, client, standalone_telemetry(name))
    except (Park, RetryLater) as error:
        yield Finding(what, ok=False, text=f"{error}: {error.advice}")
    except Split as error:
        yield Finding(what, ok=False, text=f"{error}: raise {what}.max_response_bytes")
    else:
        proxy = proxy_for(source.base_url)
        yield Finding(what, ok=True, text=result.text + (f", through {proxy}" if proxy else ""))
        yield check_clock(source, result.clock_skew_s)
        for warning in result.warnings:
            yield Finding(f"time zones of {name}", ok=False, text=f"{warning}: correct {what}.timezone, or its zones")
        for notice in result.notices:
            yield Finding(f"time zones of {name}", ok=True, text=notice, warning=True)


def check_clock(source: SourceSettings, clock_skew_s: float | None) -> Finding:
    """Compare the vendor's clock with this machine's.

    Args:
        source: its `base_url` names the clock, and the `settle` of its streams is compared with the difference.
        clock_skew_s: how far the vendor's clock is ahead; negative when it is behind, None when it is unknown.

    """
    what = f"clock of {source.host}"
    if clock_skew_s is None:
        text = "not reported by the vendor: keep this machine's clock synchronized by NTP"
        return Finding(what, ok=True, text=text)
    difference = timedelta(seconds=round(abs(clock_skew_s)))
    if difference <= MAX_CLOCK_DIFFERENCE:
        return Finding(what, ok=True, text="agrees with this machine's clock")
    advice = "synchronize this machine's clock by NTP"
    if clock_skew_s > 0:
        text = f"{difference} ahead of this machine's clock, which delays events by that time: {advice}"
        return Finding(what, ok=False, text=text)
    settles = [each.settle for each in source.chosen.values() if isinstance(each, HistorySettings)]
    exceeds = f", more than settle ({min(settles)})" if settles and difference > min(settles) else ""
    harm = "new streams start in the future and skip the events until then"
    text = f"{difference} behind this machine's clock{exceeds}; {harm}: {advice}"
    return Finding(what, ok=False, text=text)


async def _check_registry(settings: Settings, registry: SchemaRegistrySettings) -> AsyncGenerator[Finding, None]:
    state = await check_registry(settings, registry)
    yield Finding("kafka.schema_registry", ok=state.is_ok, text=state.text)


async def _check_kafka(settings: Settings) -> AsyncGenerator[Finding, None]:
    kafka = settings.kafka
    reported: set[str] = set()
    for unreadable in unreadable_secrets(kafka):  # also where a broker requires no token, or none can be reached
        reported.add(unreadable.code)
        yield Finding("kafka.sasl", ok=False, text=f"{unreadable}: {unreadable.advice}")
    partitions = {partition_of(str(each.account), kafka.state_partitions) for each in settings.sources.values()}
    try:
        async with aclosing(probe(kafka, settings.topics(), settings.compacted_topics(), partitions)) as results:
            async for what, result in results:
                if isinstance(result, KafkaMisconfigured):
                    yield Finding(what, ok=False, text=f"{result}: {result.advice}")
                else:
                    yield Finding(what, ok=True, text=str(result), warning=isinstance(result, KafkaNotice))
    except KafkaMisconfigured as error:
        cause = error
    except UNAVAILABLE:
        cause = (await diagnose(kafka)).cause
    else:
        return
    if cause.code not in reported:
        yield Finding("kafka", ok=False, text=f"{cause}: {cause.advice}")
