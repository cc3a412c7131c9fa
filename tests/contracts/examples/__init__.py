"""An example message of each type.

To add one, add an entry to EXAMPLES of the vendor's file here. One entry is enough for all types of its events. If the
vendor's document shows no response, use one of the simulator's.
"""

from datetime import timedelta

from collector.cloudevents import Message
from collector.pipeline.message import PROGRESS, Origin, progress_message
from tests.contracts.examples import quividi, seemetrix
from tests.contracts.examples.example import REQUESTED_AT, published


def examples() -> dict[str, Message]:
    """The first message of each type, by the name of the type."""
    found: dict[str, Message] = {}
    for example in (*seemetrix.EXAMPLES, *quividi.EXAMPLES):
        for message in published(example):
            found.setdefault(dict(message.headers)["ce_type"].decode(), message)
    origin = Origin(seemetrix.ACCOUNT, seemetrix.SOURCE, "sessions")
    final, watermark = REQUESTED_AT - timedelta(days=1, hours=1), REQUESTED_AT - timedelta(minutes=2)
    found[PROGRESS.name] = progress_message(watermark, final, "live", origin, REQUESTED_AT)
    return found
