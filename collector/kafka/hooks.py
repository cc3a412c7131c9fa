"""What is needed of the group's consumer and aiokafka has no public way for. A test holds each hook to the client."""

from collections.abc import Callable
from typing import Protocol

import aiokafka


class Heartbeats(Protocol):
    """Takes the outcome of each heartbeat."""

    def __call__(self, sent_at: float, *, is_confirmed: bool) -> None:
        """The coordinator answered a heartbeat sent at that time of the loop, and perhaps confirmed the membership."""
        ...


def watch_heartbeats(consumer: aiokafka.AIOKafkaConsumer, clock: Callable[[], float], answered: Heartbeats) -> None:
    """Call `answered` for each heartbeat of a started consumer that the coordinator answered."""
    coordinator = consumer._coordinator  # noqa: SLF001
    send = coordinator._do_heartbeat  # noqa: SLF001

    async def heartbeat() -> bool:
        sent_at = clock()
        is_member: bool = await send()
        is_out = coordinator._rejoin_needed_fut.done()  # noqa: SLF001 - it must join again: it answered that, too
        if is_member or is_out:
            answered(sent_at, is_confirmed=is_member and not is_out)
        return is_member

    coordinator._do_heartbeat = heartbeat  # noqa: SLF001


def member_id(consumer: aiokafka.AIOKafkaConsumer) -> str:
    """The member that the consumer is, as the coordinator named it; another one after it was put out of the group."""
    found: str = consumer._coordinator.member_id  # noqa: SLF001
    return found


def is_coordinator_known(consumer: aiokafka.AIOKafkaConsumer) -> bool:
    """Whether the consumer has a coordinator that it has not marked as dead."""
    return consumer._coordinator.coordinator_id is not None  # noqa: SLF001
