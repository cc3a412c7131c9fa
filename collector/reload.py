"""Reads the configuration again while the daemon runs: at SIGHUP, and when the contents of its files change.

Only `[sources]` is reloaded. Everything is validated first; a wrong file changes nothing. Files are compared by their
contents: orchestrators replace the folder of a mounted configuration, so that times and inodes mean nothing.
"""

import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread

from collector.clock import Clock
from collector.config import Settings, load, reveal_secrets
from collector.configured import Changes, is_equal
from collector.errors import CollectorError
from collector.raw_config import digest
from collector.telemetry.configuration import ConfigTelemetry
from collector.vendors import VENDORS

CHECK_INTERVAL = timedelta(seconds=10)
"""How often the files are compared. Kubernetes takes about a minute until it has replaced them."""
FIXED_TABLES = ("kafka", "http", "log")
"""The tables that take effect at a restart only."""
Apply = Callable[[Settings], Awaitable[Changes]]
"""Replaces the streams that the new settings change."""


class Reloader:
    """Applies the configuration file whenever it changes."""

    def __init__(self, path: Path, settings: Settings, clock: Clock, telemetry: ConfigTelemetry) -> None:
        """`settings` have just been read: what changes from now on is noticed, also before `run`."""
        self._path = path
        self._started_with = settings
        self._settings = settings
        self._clock = clock
        self._telemetry = telemetry
        self._requested = anyio.Event()
        self._is_pipe = path.is_fifo()
        self._seen = b"" if self._is_pipe else digest(path, settings.include)

    async def run(self, apply: Apply) -> None:
        """Watch the files. Never returns. A pipe is not watched, because it can be read only once."""
        if self._is_pipe:
            return
        is_valid = True
        while True:
            is_requested = await self._wait()
            found = await to_thread.run_sync(digest, self._path, self._settings.include)
            if found != self._seen or is_requested or not is_valid:  # a secret that was missing may be there now
                is_valid = await self._reload(apply)
                self._seen = found

    async def _wait(self) -> bool:
        """Wait until the files must be compared. Returns whether a reload was requested meanwhile."""
        async with anyio.create_task_group() as tasks:

            async def until_requested() -> None:
                await self._requested.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(until_requested)
            await self._clock.until(self._clock.now() + CHECK_INTERVAL)
            tasks.cancel_scope.cancel()
        is_requested = self._requested.is_set()
        self._requested = anyio.Event()
        return is_requested

    def request(self) -> None:
        """Read the configuration now, also if it has not changed."""
        self._requested.set()

    async def receive_signals(self) -> None:
        """Request a reload at each SIGHUP. Never returns. Without it, the signal would end the process."""
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                self.request()

    async def _reload(self, apply: Apply) -> bool:
        """Read and validate the configuration, and apply it unless it is wrong. Returns whether it is valid."""
        try:
            settings = await to_thread.run_sync(partial(_load, self._path, self._settings))
        except CollectorError as error:
            self._telemetry.refused(str(error).splitlines())
            return False
        except Exception as error:  # noqa: BLE001 - no file ends the daemon
            self._telemetry.refused([f"unexpected {type(error).__name__}: {error}"])
            return False
        fixed_tables = {name: getattr(self._started_with, name) for name in FIXED_TABLES}
        changes = await apply(settings.model_copy(update=fixed_tables))
        self._settings = settings
        before, now = self._started_with.model_dump(), settings.model_dump()
        fixed = [name for name in FIXED_TABLES if before[name] != now[name]]
        self._telemetry.reloaded(changes.added, changes.changed, changes.removed, restart_for=fixed)
        return True


def _load(path: Path, former: Settings) -> Settings:
    """The valid settings. Of sources that have changed, secrets can be read, and what sends requests is imported.

    Raises CollectorError, or why an import failed.
    """
    settings = load(path)
    known = former.sources
    changed = [
        name for name, source in settings.sources.items() if name not in known or not is_equal(known[name], source)
    ]
    reveal_secrets(settings, changed)
    for name in changed:
        VENDORS[settings.sources[name].vendor].load()
    return settings
