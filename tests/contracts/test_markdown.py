"""The generated page has every field of a type, including those of nested objects, and its example."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from collector.cloudevents import Envelope
from collector.instants import Timestamp
from collector.model import EventType
from tests.contracts.markdown import events
from tests.messages import message_with


class Part(Struct):
    """A part."""

    at: Annotated[Timestamp | None, Meta(description="When.")]


class Whole(Struct):
    """A whole.

    It may have parts.
    """

    parts: Annotated[list[Part], Meta(description="All | of them.")]
    first: Annotated[Part | None, Meta(description="The first.")]
    share: Annotated[float, Meta(description="A share.")]
    word: Annotated[Literal["yes", "no"] | None, Meta(description="A word.")]


KIND = EventType("test.whole.v1", "test.wholes", Whole, compacted=True)
ENVELOPE = Envelope("test.wholes", ("ce_source", b"/test/mall"), ("ce_type", b"test.whole.v1"))
MESSAGE = message_with(ENVELOPE, b"7", '{"parts": ["é"]}'.encode(), b"id", b"whole/7", b"now")


def test_every_field_is_a_row() -> None:
    lines = events([KIND], {KIND.name: MESSAGE}).splitlines()

    first = lines.index("| field | type | |") + 6  # after the common fields
    assert lines[first : first + 6] == [
        "| `parts` | array of object | All \\| of them. |",
        "| `parts[].at` | time or null | When. |",
        "| `first` | object or null | The first. |",
        "| `first.at` | time or null | When. |",
        "| `share` | number | A share. |",
        "| `word` | `no`, `yes` or null | A word. |",
    ]


def test_a_type_shows_its_topic_and_example() -> None:
    text = events([KIND], {KIND.name: MESSAGE})

    assert "| `test.wholes`, *compacted* | [`test.whole.v1`](#testwholev1) | A whole. |" in text
    assert "A whole.\n\nIt may have parts.\n\nTopic `test.wholes`, compacted;" in text
    assert "the key `7` and the subject `whole/7`" in text
    assert '    "é"\n' in text
