"""`collector state`: what is known to be published."""

from pathlib import Path

import anyio

from collector.config import Settings, load
from collector.errors import Failed, Refused
from collector.kafka.epoch import Fenced, epoch
from collector.kafka.restore import has_records
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import UNAVAILABLE, ensure
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import Board


def init(path: Path) -> str:
    """Write a first header into an empty state topic. Raises UserError, or Failed; returns what was done."""
    return anyio.run(_init, load(path))


async def _init(settings: Settings) -> str:
    kafka = settings.kafka
    try:
        await ensure(kafka, settings.topics())
        if await has_records(kafka, kafka.state_topic):
            return f"{kafka.state_topic} has state already: nothing to do"
        async with epoch(0, kafka, _unheard(kafka), lambda: True):
            return f"{kafka.state_topic} begins anew: what the vendors still have is published again from since on"
    except (Refused, Fenced) as error:
        raise Failed(f"{error}: {error.advice}" if isinstance(error, Refused) else str(error)) from error
    except UNAVAILABLE as error:
        raise Failed(f"{kafka.bootstrap_servers} does not answer: check kafka.bootstrap_servers") from error


def _unheard(kafka: KafkaSettings) -> KafkaTelemetry:
    return KafkaTelemetry(Metrics(), Board("", kafka.group))
