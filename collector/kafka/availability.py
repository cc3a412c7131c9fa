"""Whether Kafka is there: looked into as soon as anything fails, and explained as `check` explains it."""

import anyio

from collector.errors import KafkaMisconfigured
from collector.kafka.connection import options
from collector.kafka.reach import unreachable
from collector.kafka.refusal import refusal
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry

RETRY_S = 2.0
"""Between two attempts while Kafka is away: its return is noticed as soon as producers notice it."""


class Availability:
    """One task looks, for all that fail: a hundred failing streams make one attempt, and one line in the log."""

    def __init__(self, settings: KafkaSettings, telemetry: KafkaTelemetry) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._suspected = anyio.Event()

    def suspect(self) -> None:
        """Something failed that may come of Kafka being away."""
        self._suspected.set()

    async def watch(self) -> None:
        """Report when Kafka is away, and when it is back; never returns."""
        while True:
            await self._suspected.wait()
            self._suspected = anyio.Event()
            while not await self._answers():  # noqa: ASYNC110 - brokers announce nothing
                await anyio.sleep(RETRY_S)
            self._telemetry.available()
            await anyio.sleep(RETRY_S)

    async def _answers(self) -> bool:
        try:
            denied = await refusal(self._settings, options(self._settings))
            away = None if denied else await unreachable(self._settings)
        except KafkaMisconfigured as unusable:  # a password or a certificate cannot be read
            denied, away = unusable, None
        except Exception as error:  # noqa: BLE001 - what cannot be found out is no news
            self._telemetry.unexpected(None, error)
            denied = away = None
        if denied is not None:
            self._telemetry.denied(str(denied), denied.advice)
        elif away is not None:
            self._telemetry.unavailable(str(away), away.advice)
        return denied is None and away is None
