"""One real message of each type.

A type gets its example by an entry in EXAMPLES of its vendor's file here; one entry serves every type that comes out of
it. Where a vendor's document shows no answer, take one of the simulator's.
"""

from collector.cloudevents import Message
from tests.contracts.examples import quividi, seemetrix
from tests.contracts.examples.example import published


def examples() -> dict[str, Message]:
    """By the name of their type, the first of each."""
    found: dict[str, Message] = {}
    for example in (*seemetrix.EXAMPLES, *quividi.EXAMPLES):
        for message in published(example):
            found.setdefault(dict(message.headers)["ce_type"].decode(), message)
    return found
