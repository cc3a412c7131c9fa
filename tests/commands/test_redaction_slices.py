"""Redaction works in slices, so that no response stops the other tasks of the process, and no slice hides a secret."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from re import _parser  # type: ignore[attr-defined] # only it knows how long a match can be

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector import occurrences
from collector.escapes import DEPTH, MAX_ESCAPE, Kind, _written, any_plain, guard, guarded, max_written
from collector.occurrences import MAX_BLOCK, MAX_CANDIDATES, MAX_SLICE, Escaped, kind_of
from collector.redaction import REDACTED
from collector.secrets import Secret
from collector.steps import Steps, at_once
from tests.commands.test_redaction import ENCODERS, ESCAPES, SPACED, known_secrets

KEY = "aZk9Qw7TrB1x"
MIB = 1 << 20
NOISE = st.lists(
    st.sampled_from(["%", "\\", "&", "25", "amp;", "u005c", "&#38;", "%41", "\\u0061", ";", "#", "+", " ", "a", "0"]),
    max_size=12,
).map("".join)


@contextmanager
def sizes(literal: int, block: int, small: int, candidates: int) -> Iterator[None]:
    """Slices of these sizes."""
    numbers = {"MAX_LITERAL_SLICE": literal, "MAX_BLOCK": block, "MAX_SLICE": small, "MAX_CANDIDATES": candidates}
    with pytest.MonkeyPatch.context() as patch:
        for name, number in numbers.items():
            patch.setattr(occurrences, name, number)
        yield


def count(slices: Steps[object]) -> int:
    return sum(1 for _ in slices)


def redacted_body(secret: Secret, body: bytes) -> bytes:
    return at_once(secret.redacted(body))


@settings(max_examples=100)
@given(
    text=SPACED | st.text("=&<>/\\'\"+%#; ;ampux25", min_size=6, max_size=12),
    around=st.lists(NOISE, min_size=2, max_size=4),
    data=st.data(),
)
def test_every_boundary_of_slices_gives_the_same_result(text: str, around: list[str], data: st.DataObject) -> None:
    """Whatever the text around an occurrence is, and wherever a slice ends in it."""

    def echo() -> str:
        mixed = "".join(data.draw(st.sampled_from(ESCAPES))(char) for char in text)
        written: str = data.draw(st.sampled_from(ENCODERS))(mixed)
        return written

    shown = "(".join(part + echo() for part in around)
    form, kind = Escaped(text), at_once(kind_of(shown))
    whole = at_once(form.replaced(shown, lambda _: "§", kind))
    whole_bytes = at_once(form.replaced(shown.encode(), lambda _: b"@", kind))
    block = data.draw(st.integers(1, len(shown) + 1))
    with sizes(data.draw(st.integers(1, 20)), block, data.draw(st.integers(1, block)), data.draw(st.integers(1, 3))):
        assert kind is at_once(kind_of(shown)) is at_once(kind_of(shown.encode()))
        assert whole == at_once(form.replaced(shown, lambda _: "§", kind))
        assert whole_bytes == at_once(form.replaced(shown.encode(), lambda _: b"@", kind))
    assert whole == shown or form.may_occur(shown, kind)
    assert text not in whole


@settings(max_examples=100)
@given(st.lists(st.sampled_from(ESCAPES), min_size=len(KEY), max_size=len(KEY)), st.sampled_from(ENCODERS), st.data())
@example([str] * len(KEY), str, None)
def test_no_secret_at_a_boundary_of_slices_is_shown(
    escapes: list[Callable[[str], str]], encoder: Callable[[str], str], data: st.DataObject | None
) -> None:
    echo = encoder("".join(escape(char) for escape, char in zip(escapes, KEY, strict=True)))
    small = data.draw(st.integers(1, 64)) if data else 1
    with known_secrets(KEY) as (secret,), sizes(small, small, small, 1):
        secret.reveal()
        for start in range(min(small, 8)):
            body = f"{'.' * start}({echo})".encode()
            assert f"{'.' * start}({REDACTED})".encode() == redacted_body(secret, body)


HOSTILE = [b"%25", b"%2525", rb"\u005c", rb"\\u005c", b"&#38;", b"&amp;amp;", b"\\", b"%", b"&", b"&#0000000", b"%61"]


@pytest.mark.parametrize("unit", HOSTILE, ids=bytes.decode)
@pytest.mark.parametrize("more", [b"", b"%41" + KEY.encode()[::-1]], ids=["alone", "with the characters of the secret"])
def test_a_response_made_of_escapes_is_searched_in_slices(unit: bytes, more: bytes) -> None:
    """Parts in which characters of the secret are missing are excluded at once; the others are searched."""
    per_block = unit * ((MAX_BLOCK - 64) // len(unit)) + more
    body = per_block.ljust(MAX_BLOCK) * (MIB // MAX_BLOCK)
    with known_secrets(KEY) as (secret,):
        secret.reveal()
        forms, pieces = len(secret._forms), 20
        found = count(secret.redacted(body))
    blocks, small = MIB // MAX_BLOCK, MIB // MAX_SLICE
    assert found >= (small if more else blocks)
    assert found <= forms * (small + blocks + pieces + 1 + MIB // MAX_CANDIDATES)


@pytest.mark.parametrize("part", [KEY, KEY[:-1], "".join(f"%{ord(char):x}" for char in KEY[:-1])])
def test_a_slice_compares_a_bounded_number_of_candidates(part: str) -> None:
    """Each of which is as long as the secret, or nearly."""
    body = f"%41{part}".encode() + part.encode() * 2000
    with known_secrets(KEY) as (secret,):
        secret.reveal()
        assert count(secret.redacted(body)) >= 2000 // MAX_CANDIDATES


def test_an_ordinary_response_is_searched_in_few_slices() -> None:
    row = b'{"a":1,"at":[{"a":1,"d":4821}],"b":"2026-10-01T00:00:00.120000","o":17},'
    with known_secrets(KEY) as (secret,):
        secret.reveal()
        assert 0 == count(secret.redacted(row * 4000))
        assert 16 * (1 + len(secret._forms)) >= count(secret.redacted(row * (16 * MIB // len(row))))


@pytest.mark.parametrize("depth", range(DEPTH + 1))
def test_no_character_is_written_longer_than_its_limit(depth: int) -> None:
    for char in [*map(chr, range(128)), "é", "Ã", "я", "⊂", "\uffff", "\U0001f600", "\U0010ffff"]:
        source = _written(char, depth)
        for pattern in (source, source.encode("utf-8").decode("latin-1")):
            assert _parser.parse(pattern).getwidth()[1] <= max_written(char), char


def test_no_guard_reads_further_than_its_limit() -> None:
    for text, kind in product(["aZk9Qw7TrB1x", "a/b+c d", "\\\\\\", "%&%", "ключ", "abcdefgh/ijk"], Kind):
        width = _parser.parse(guard(text, kind).split("(?<=(?=")[1].removesuffix(").))")).getwidth()[1]
        assert width <= max_written(text[: guarded(text, kind)])
    assert _parser.parse(any_plain(str).pattern).getwidth()[1] + 8 <= MAX_ESCAPE
