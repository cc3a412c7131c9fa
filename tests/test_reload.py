"""The configuration is read again when its files change; a wrong one changes nothing."""

import errno
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest
import structlog
from msgspec import structs
from structlog.testing import capture_logs

from collector.config import Settings, load
from collector.configured import Changes
from collector.reload import CHECK_INTERVAL, Reloader
from collector.telemetry.configuration import ConfigTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.vendors import VENDORS, seemetrix
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio


def source(name: str, key: str = '"invented-key-42"') -> str:
    return f'[sources.{name}]\nvendor = "seemetrix"\nuser_id = 864\nuser_key = {key}\n'


class SteppingClock(SimulatedClock):
    """A clock whose waits end one by one, when the test lets them."""

    def __init__(self) -> None:
        super().__init__()
        self._allowed = anyio.Semaphore(0)

    async def until(self, instant: object) -> None:
        del instant
        await self._allowed.acquire()

    async def pass_interval(self) -> None:
        """Let one check take place."""
        self.pass_s(CHECK_INTERVAL.total_seconds())
        self._allowed.release()
        await anyio.wait_all_tasks_blocked()


async def _run_here(function: Callable[..., Any], *arguments: object) -> object:
    """As to_thread.run_sync, in this thread."""
    await anyio.lowlevel.checkpoint()
    return function(*arguments)


async def _nothing(_: Reloader) -> None:
    await anyio.lowlevel.checkpoint()


class Scenario:
    """A reloader of a file, and what it has applied."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.applied: list[Settings] = []
        self.clock = SteppingClock()
        self.status = ProcessStatus("1", "group")
        self.metrics = Metrics()
        self.write(source("mall"))

    def write(self, text: str) -> None:
        self.path.write_text(text, "utf-8")

    async def apply(self, settings: Settings) -> Changes:
        await anyio.lowlevel.checkpoint()
        self.applied.append(settings)
        return Changes(added=[], changed=[], removed=[])

    async def run(
        self, steps: Callable[[Reloader], Awaitable[None]], before: Callable[[Reloader], Awaitable[None]] = _nothing
    ) -> list[str]:
        """Run the reloader while `steps` run, and `before` earlier. Returns the log's events."""
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
        with capture_logs() as logs:
            telemetry = ConfigTelemetry(self.metrics, self.status, self.clock)
            reloader = Reloader(self.path, load(self.path), self.clock, telemetry)
            async with anyio.create_task_group() as tasks:
                await before(reloader)
                tasks.start_soon(reloader.run, self.apply)
                await anyio.wait_all_tasks_blocked()
                await steps(reloader)
                tasks.cancel_scope.cancel()
        return [line["event"] for line in logs]

    @property
    def shown_errors(self) -> Sequence[str]:
        return self.status.refused.errors if self.status.refused else ()

    def is_successful(self) -> bool:
        return self.metrics.registry.get_sample_value("collector_config_last_reload_successful") == 1


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scenario:
    monkeypatch.setattr("collector.reload.to_thread.run_sync", _run_here)
    return Scenario(tmp_path / "config.toml")


async def test_nothing_is_read_while_nothing_changes(scenario: Scenario) -> None:
    async def steps(_: Reloader) -> None:
        os.utime(scenario.path)
        await scenario.clock.pass_interval()
        assert not scenario.applied

    assert [] == await scenario.run(steps)


async def test_a_change_is_applied_at_the_next_check(scenario: Scenario) -> None:
    async def steps(_: Reloader) -> None:
        scenario.write(source("mall") + source("airport"))
        await scenario.clock.pass_interval()
        await scenario.clock.pass_interval()
        assert [{"mall", "airport"}] == [each.sources.keys() for each in scenario.applied]

    assert ["config_reloaded"] == await scenario.run(steps)


async def test_a_request_reads_the_files_at_once(scenario: Scenario) -> None:
    async def steps(reloader: Reloader) -> None:
        scenario.write(source("airport"))
        reloader.request()
        await anyio.wait_all_tasks_blocked()
        assert [{"airport"}] == [each.sources.keys() for each in scenario.applied]

    assert ["config_reloaded"] == await scenario.run(steps)


async def test_a_change_while_the_process_waits_for_kafka_is_applied_once_it_runs(scenario: Scenario) -> None:
    async def before(_: Reloader) -> None:
        await anyio.lowlevel.checkpoint()
        scenario.write(source("airport"))

    async def steps(_: Reloader) -> None:
        await scenario.clock.pass_interval()
        assert [{"airport"}] == [each.sources.keys() for each in scenario.applied]

    assert ["config_reloaded"] == await scenario.run(steps, before)


async def test_a_signal_before_the_streams_run_is_a_request(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def before(reloader: Reloader) -> None:
        async with anyio.create_task_group() as tasks:
            received, request = anyio.Event(), reloader.request

            def note_request() -> None:
                request()
                received.set()

            monkeypatch.setattr(reloader, "request", note_request)
            tasks.start_soon(reloader.receive_signals)
            await anyio.wait_all_tasks_blocked()
            os.kill(os.getpid(), signal.SIGHUP)
            await received.wait()
            tasks.cancel_scope.cancel()

    async def steps(_: Reloader) -> None:
        await anyio.wait_all_tasks_blocked()
        assert 1 == len(scenario.applied)

    assert ["config_reloaded"] == await scenario.run(steps, before)


@pytest.mark.parametrize(
    "text",
    [
        "[sources",
        "",
        'kafka.group = 7\n[sources.mall]\nvendor = "seemetrix"',
        f"a = {'[' * 10_000}",
        f"a = {'9' * 5_000}",
        source("airport", '{ file = "a\\u0000b" }'),
    ],
    ids=["not TOML", "empty", "invalid", "nested", "long integer", "NUL in a path"],
)
async def test_a_wrong_file_changes_nothing_and_is_reported_once(scenario: Scenario, text: str) -> None:
    async def steps(_: Reloader) -> None:
        scenario.write(text)
        for _attempt in range(3):
            await scenario.clock.pass_interval()
        assert not scenario.applied
        assert not scenario.is_successful()
        assert scenario.shown_errors
        scenario.write(source("mall"))
        await scenario.clock.pass_interval()
        assert scenario.is_successful()
        assert not scenario.shown_errors

    assert ["config_refused", "config_reloaded"] == await scenario.run(steps)


async def test_a_file_that_disappears_changes_nothing(scenario: Scenario) -> None:
    async def steps(_: Reloader) -> None:
        scenario.path.unlink()
        await scenario.clock.pass_interval()
        assert not scenario.applied
        scenario.write(source("mall"))
        await scenario.clock.pass_interval()

    assert ["config_refused", "config_reloaded"] == await scenario.run(steps)


async def test_a_vendor_that_cannot_be_imported_at_present_changes_nothing(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sends requests is imported with the first source of a vendor, perhaps when too many files are open."""
    failures: list[Exception] = [OSError(errno.EMFILE, "Too many open files")]

    def load_later() -> Any:  # noqa: ANN401 - a part of the vendor
        if failures:
            raise failures.pop()
        return VENDORS["quividi"].load()

    async def steps(_: Reloader) -> None:
        monkeypatch.setattr(seemetrix, "VENDOR", structs.replace(seemetrix.VENDOR, load=load_later))
        scenario.write(source("mall") + source("airport"))
        await scenario.clock.pass_interval()
        assert not scenario.applied
        await scenario.clock.pass_interval()
        assert scenario.applied

    assert ["config_refused", "config_reloaded"] == await scenario.run(steps)


async def test_the_secret_of_a_new_source_may_arrive_later(scenario: Scenario, tmp_path: Path) -> None:
    async def steps(_: Reloader) -> None:
        secret = tmp_path / "key"
        scenario.write(source("mall") + source("airport", f'{{ file = "{secret}" }}'))
        await scenario.clock.pass_interval()
        assert not scenario.applied
        secret.write_text("invented-key-43", "utf-8")
        await scenario.clock.pass_interval()
        assert scenario.applied

    assert ["config_refused", "config_reloaded"] == await scenario.run(steps)


async def test_other_tables_wait_for_a_restart(scenario: Scenario) -> None:
    async def steps(_: Reloader) -> None:
        scenario.write(f'kafka.group = "other"\nlog.level = "debug"\n{source("airport")}')
        await scenario.clock.pass_interval()
        (settings,) = scenario.applied
        assert ("collector", "info") == (settings.kafka.group, settings.log.level)
        assert {"airport"} == settings.sources.keys()
        assert 1 == len(scenario.status.notices)
        scenario.write(source("airport"))
        await scenario.clock.pass_interval()
        assert not scenario.status.notices

    assert ["config_reloaded", "config_needs_restart", "config_reloaded"] == await scenario.run(steps)


async def test_a_pipe_is_not_read_again(scenario: Scenario, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    settings = load(scenario.path)
    telemetry = ConfigTelemetry(scenario.metrics, scenario.status, scenario.clock)
    with anyio.fail_after(5):
        await Reloader(tmp_path / "pipe", settings, scenario.clock, telemetry).run(scenario.apply)
    assert not scenario.applied
