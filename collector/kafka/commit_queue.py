"""What is ready to be committed to one state partition, by the streams that share it. Pure.

A transaction costs three requests or more, and some hundred bytes in each partition, however little is in it. So what
is small, and ready at the same moment, is committed together.
"""

from collections.abc import Mapping, Sequence

import anyio
from msgspec import Struct, field

from collector.cloudevents import Message

SHARED_BYTES = 64 << 10
"""The most bytes that several streams commit together: no more than one stream may always commit, also under a quota
(MIN_TRANSACTION_BYTES), so that sharing makes no transaction too slow."""


class Ready(Struct, eq=False):
    """What one stream commits: messages, and records of the state partition."""

    messages: Sequence[Message]
    state: Mapping[bytes, bytes | None]
    is_taken: bool = False
    """Whether it is in a transaction, perhaps in one that another stream has begun."""
    took_s: float | None = None
    """How many seconds the transaction took; None if it has not been committed."""
    failure: Exception | None = None
    """Why it in particular could not be committed."""
    ended: anyio.Event = field(default_factory=anyio.Event)
    """Set when the transaction has ended, either way."""

    @property
    def size(self) -> int:
        """Bytes, as far as they can be many."""
        records = sum(len(key) + len(value or b"") for key, value in self.state.items())
        return sum(each.size for each in self.messages) + records

    def publishes_to(self, topic: str) -> bool:
        return any(each.envelope.topic == topic for each in self.messages)


class CommitQueue:
    """What waits for its transaction, in the order in which it became ready."""

    def __init__(self) -> None:
        self._waiting: list[Ready] = []

    def add(self, ready: Ready) -> None:
        self._waiting.append(ready)

    def withdraw(self, ready: Ready) -> None:
        """It is not to be committed any more, or already is."""
        if ready in self._waiting:
            self._waiting.remove(ready)

    def take(self, first: Ready) -> Sequence[Ready]:
        """What is committed together with `first`: in the order in which it became ready, as far as it fits."""
        taken, others = [first], [each for each in self._waiting if each is not first]
        remaining = SHARED_BYTES - first.size if others else 0
        for each in others:
            remaining -= each.size
            if remaining < 0:
                break
            taken.append(each)
        for each in taken:
            each.is_taken = True
            self.withdraw(each)
        return taken
