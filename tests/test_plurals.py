"""A number agrees with its noun."""

import pytest

from collector.plurals import counted


@pytest.mark.parametrize(
    ("number", "nouns", "expected"),
    [
        (0, ("event",), "0 events"),
        (1, ("event",), "1 event"),
        (2000, ("event",), "2,000 events"),
        (1, ("entry", "entries"), "1 entry"),
        (2, ("entry", "entries"), "2 entries"),
    ],
)
def test_a_noun_is_plural_unless_the_number_is_one(number: int, nouns: tuple[str, ...], expected: str) -> None:
    assert expected == counted(number, *nouns)
