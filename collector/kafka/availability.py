"""Whether Kafka can be used: checked as soon as anything fails, and reported with the cause that `check` reports."""

import anyio

from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry

RETRY_S = 2.0
"""Between two checks while Kafka is unavailable: its return is noticed as soon as the producers notice it."""


class Availability:
    """One task checks on behalf of all that fail: a hundred failing streams cause one diagnosis, and one log line."""

    def __init__(self, settings: KafkaSettings, telemetry: KafkaTelemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._suspected = anyio.Event()

    def suspect(self) -> None:
        """Request a check: something failed, and an unavailable Kafka may be why."""
        self._suspected.set()

    async def watch(self) -> None:
        """Report when Kafka becomes unavailable, and when it is available again; never returns."""
        while True:
            await self._suspected.wait()
            self._suspected = anyio.Event()
            while not await self._is_available():  # noqa: ASYNC110 - brokers announce nothing
                await anyio.sleep(RETRY_S)
            self._telemetry.answers()
            await anyio.sleep(RETRY_S)

    async def _is_available(self) -> bool:
        """Whether at least one broker can be used, and none refuses the collector; report it if not.

        Without some of the brokers, the rest of the cluster continues. A diagnosis that fails counts as available.
        """
        try:
            found = await diagnose(self._settings)
        except Exception as error:  # noqa: BLE001 - the daemon never ends because of Kafka
            self._telemetry.unexpected(None, error)
            return True
        if found.refused is not None:
            self._telemetry.denied(str(found.refused), found.refused.advice)
            return False
        if found.unreachable is not None and not found.reachable:
            self._telemetry.unavailable(str(found.unreachable), found.unreachable.advice)
            return False
        return True
