"""What commands that change the state have in common: how they use Kafka, and take over a state partition."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio

from collector.commands.progress import Progress, progress
from collector.config import Settings
from collector.errors import EpochEnded, Failed, NeedsOperator
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.epoch import Epoch, epoch
from collector.kafka.producer import Fenced
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus

T = TypeVar("T")

MAX_ATTEMPTS = 5
"""The running owner may fence a command before it commits. While it restarts its epoch, there is time to retry."""
RETRY_S = 1.0


def with_kafka(operation: Callable[[Settings, Progress], Awaitable[T]], settings: Settings) -> T:
    """Run the operation. Raises Failed, with the reason and advice, when Kafka cannot be used."""

    async def run() -> T:
        try:
            with progress("waiting for the brokers") as progress_line:
                return await operation(settings, progress_line)
        except NeedsOperator as error:
            raise Failed(f"{error}: {error.advice}", code=error.code) from error
        except Fenced as error:
            raise Failed(str(error), code="fenced") from error
        except UNAVAILABLE as error:
            cause = (await diagnose(settings.kafka)).cause
            raise Failed(f"{cause}: {cause.advice}", code=cause.code) from error

    return anyio.run(run)


async def taken_over(kafka: KafkaSettings, partition: int, operation: Callable[[Epoch], Awaitable[T]]) -> T:
    """Take over a state partition from the running owner, and run the operation in an epoch.

    The operation is run again after a commit that failed: each of its commits may or may not be durable then. Raises
    Failed when the owner has fenced MAX_ATTEMPTS epochs in which nothing was committed.
    """
    failures = 0
    while failures < MAX_ATTEMPTS:
        commits = 0
        try:
            async with epoch(partition, kafka, telemetry(kafka), lambda: True) as owned:
                try:
                    return await operation(owned)
                finally:
                    commits = owned.commits
        except (EpochEnded, Fenced):
            failures = 1 if commits else failures + 1
            await anyio.sleep(RETRY_S)
    text = f"the running collector took the state partition back {MAX_ATTEMPTS} times: try again, or stop it first"
    raise Failed(text, code="fenced")


async def read_state(settings: Settings, progress_line: Progress, *partitions: int) -> dict[bytes, bytes]:
    """The pairs of state partitions, without taking them over: they may change meanwhile."""

    def show_progress(done: int, total: int) -> None:
        progress_line.show(f"reading the state: {done:,} of {total:,} records")
        progress_line.count(done, total)

    return await snapshot(settings.kafka, partitions, show_progress)


def telemetry(kafka: KafkaSettings) -> KafkaTelemetry:
    """Telemetry that nothing exports: a command has no metrics."""
    return KafkaTelemetry(Metrics(), ProcessStatus("", kafka.group))
