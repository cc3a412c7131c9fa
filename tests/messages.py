"""Messages with any value, where the type of an event does not matter."""

from collector.cloudevents import Envelope, Message, record_of


def message_with(
    envelope: Envelope,
    key: bytes,
    value: bytes,
    event_id: bytes,
    subject: bytes = b"thing",
    time: bytes = b"2026-11-01T00:00:00.000Z",
) -> Message:
    """A message of the envelope with this value, which need not be that of an event."""
    return Message(envelope, key, record_of(key, value, envelope.headers(event_id, subject, time)))
