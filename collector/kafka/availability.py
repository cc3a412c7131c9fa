"""Whether Kafka can be used: checked as soon as anything fails, and reported with the cause that `check` reports."""

import anyio

from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry

RETRY_S = 2.0
"""Time between two checks while Kafka is unavailable: producers notice its return about as fast."""


class Availability:
    """Checks Kafka in one task for all streams: if a hundred of them fail, there is one diagnosis and one log line."""

    def __init__(self, settings: KafkaSettings, telemetry: KafkaTelemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._suspected = anyio.Event()

    def suspect(self) -> None:
        """Request a check: an operation failed, perhaps because Kafka is unavailable."""
        self._suspected.set()

    async def watch(self) -> None:
        """Report when Kafka becomes unavailable, and when it is available again; never returns."""
        while True:
            await self._suspected.wait()
            self._suspected = anyio.Event()
            while not await self._is_available():  # noqa: ASYNC110 - brokers announce nothing
                await anyio.sleep(RETRY_S)
            self._telemetry.available()
            await anyio.sleep(RETRY_S)

    async def _is_available(self) -> bool:
        """Whether at least one broker can be used, and none rejects the collector. If not, also report the cause.

        One reachable broker is enough: a cluster continues without some of its brokers. If the diagnosis itself fails,
        Kafka counts as available.
        """
        try:
            diagnosis = await diagnose(self._settings)
        except Exception as error:  # noqa: BLE001 - the daemon never ends because of Kafka
            self._telemetry.unexpected(None, error)
            return True
        if diagnosis.refused is not None:
            self._telemetry.denied(str(diagnosis.refused), diagnosis.refused.advice)
            return False
        if diagnosis.unreachable is not None and not diagnosis.reachable:
            self._telemetry.unavailable(str(diagnosis.unreachable), diagnosis.unreachable.advice)
            return False
        return True
