"""Reads and changes the state topic for commands, also while replicas run."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from getpass import getuser
from socket import gethostname
from typing import TypeVar

import anyio

from collector.commands.progress import Progress, progress
from collector.config import Settings
from collector.errors import EpochEnded, Failed, NeedsOperator
from collector.kafka.connection import UNAVAILABLE
from collector.kafka.diagnosis.brokers import diagnose
from collector.kafka.epoch import Epoch, epoch
from collector.kafka.header import verify_header
from collector.kafka.producer import Fenced
from collector.kafka.restore import snapshot
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin, describe
from collector.plurals import counted
from collector.telemetry.kafka import KafkaTelemetry
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus

T = TypeVar("T")
Pairs = Mapping[bytes, bytes]
Changes = Mapping[bytes, bytes | None]
"""Keys and values. None deletes a key."""

MAX_ATTEMPTS = 5
"""The running owner may fence a change before it commits. While it restarts its epoch, there is time to retry."""
RETRY_S = 1.0
WHEN = "this takes effect within half a minute if the collector runs"
"""When a change takes effect, as the end of a sentence. Until then, only `collector state show` shows it."""


def who() -> str:
    """User and host of this process. In a container, the user may have no name."""
    try:
        user = getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        user = "unknown"
    return f"{user}@{gethostname()}"


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


async def read_state(kafka: KafkaSettings, progress_line: Progress, partitions: Iterable[int]) -> dict[bytes, bytes]:
    """The newest value of each key in these partitions, for display only."""

    def show_progress(done: int, total: int) -> None:
        progress_line.show(f"reading the state: {done:,} of {counted(total, 'record')}")
        progress_line.count(done, total)

    return await snapshot(kafka, partitions, show_progress)


async def require_state_topic(kafka: KafkaSettings) -> None:
    """Raise Failed if there is no state topic yet."""
    async with admin(kafka) as client:
        if not await describe(client, kafka, [kafka.state_topic]):
            text = f"topic {kafka.state_topic} does not exist: `collector run` creates it at its first start"
            raise Failed(text, code="no_state_topic")


async def change_state(
    kafka: KafkaSettings, partition: int, progress_line: Progress, decide: Callable[[Pairs], tuple[T, Changes]]
) -> T:
    """Take over the partition, and commit the changes that `decide` derives from its state. Returns its other result.

    The owner of the partition is fenced. It notices at its next commit, and restarts its epoch from the changed state.

    Raises what `decide` raises, before anything is changed, and Failed if the owner fenced every attempt.
    """

    async def change(owned: Epoch) -> T:
        result, changes = decide(owned.pairs)
        if changes:
            await owned.commit((), changes)
        return result

    progress_line.show("taking over the state partition")
    return await taken_over(kafka, partition, change)


async def change_state_if_needed(
    kafka: KafkaSettings, partition: int, progress_line: Progress, decide: Callable[[Pairs], tuple[T, Changes]]
) -> T:
    """As `change_state`, but without disturbing the owner if `decide` raises or changes nothing.

    The state is first read without taking it over. Also raises KafkaMisconfigured for lost state.
    """
    with suppress(TimeoutError):  # an owner that was killed has left a transaction open: taking over ends it
        pairs = await read_state(kafka, progress_line, [partition])
        verify_header(kafka, partition, pairs)
        result, changes = decide(pairs)
        if not changes:
            return result
    return await change_state(kafka, partition, progress_line, decide)


async def taken_over(kafka: KafkaSettings, partition: int, operation: Callable[[Epoch], Awaitable[T]]) -> T:
    """Take over the partition from its owner, and run the operation in an epoch. Returns its result.

    The operation is run again, in a new epoch, when a commit has failed: it may or may not be durable. Raises what the
    operation raises, and Failed if the owner fenced MAX_ATTEMPTS epochs in which nothing was committed.
    """
    failures = 0
    while failures < MAX_ATTEMPTS:
        commits = 0
        try:
            async with epoch(partition, kafka, _telemetry(kafka), lambda: True) as owned:
                try:
                    return await operation(owned)
                finally:
                    commits = owned.commits
        except (EpochEnded, Fenced):
            failures = 1 if commits else failures + 1
            await anyio.sleep(RETRY_S)
    text = f"the running collector took the state partition back {MAX_ATTEMPTS} times: try again, or stop it first"
    raise Failed(text, code="fenced")


def _telemetry(kafka: KafkaSettings) -> KafkaTelemetry:
    """Telemetry that nothing exports: a command has no metrics."""
    return KafkaTelemetry(Metrics(), ProcessStatus("", kafka.group))
