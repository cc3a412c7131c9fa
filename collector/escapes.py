r"""Find a text in which each character is written as itself or as an escape of JSON, HTML or a URL.

The escapes are those of RFC 8259, section 7 (JSON: `\u003d`, `\/`), of the HTML standard, "Character references"
(`&#61;`, `&#x3D;`, `&equals;`), of RFC 3986, section 2.1, and of forms (`%3D`, `+`), and of string literals in Python
and JavaScript (`\x3d`, `\u{3d}`, `\'`). An escape may itself be escaped once more (`\\u003d`, `%253D`, `&amp;#61;`).
All repetitions are bounded, so that no text takes long to search.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum, auto
from functools import cache, lru_cache
from html.entities import html5
from typing import AnyStr

MARKS = "\\&%"
"""Every escape contains one of these, except `+` for a space."""
DEPTH = 2
"""How many times a character may be escaped: a message in JSON is often part of another message."""

_LETTERS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_AS_ITSELF = "\"'/"
"""Characters that an escape may name by themselves: `\\"`. The backslash has a rule of its own."""
_PLAIN = re.compile("[0-9A-Za-z]+")
"""Characters that no common encoder escapes."""
_PLAIN_HEX = "3[0-9]|[46][1-9a-fA-F]|[57][0-9aA]"
_MARK_HEX = "5[cC]|2[35]|26[;}]?(?:#|amp)"  # an ampersand is a mark only if an escape follows
_HEX = f"(?:{_PLAIN_HEX}|{_MARK_HEX})"
_DECIMAL = r"(?:4[89]|5[0-7]|6[5-9]|[78][0-9]|9[0-9]|1[01][0-9]|12[0-2]|3[57]|38;?(?=#|amp))(?![0-9])"
_ANY_PLAIN = (
    rf"[\\&%](?:(?<=\\)(?:[uU]0{{0,6}}|u\{{0{{0,6}}|x){_HEX}|(?<=%){_HEX}"
    rf"|(?<=&)(?:#0{{0,7}}{_DECIMAL}|#[xX]0{{0,7}}{_HEX}|(?:amp|AMP)(?:[\\&%]|;?#|;amp)|percnt|num|bsol))"
)
"""An escape of a letter or digit of ASCII, or one that may be the start of it. Nothing is nested, so it is fast."""


class Kind(Enum):
    """Which escapes a text may contain."""

    PLAIN = auto()
    """None but `+` for a space."""
    SPECIAL = auto()
    """Those that encoders make: of other characters than letters and digits of ASCII."""
    ANY = auto()


def kind_of(text: str) -> Kind:
    """The kind of a text: found out once, for all texts that are searched for in it."""
    if not any(mark in text for mark in MARKS):
        return Kind.PLAIN
    return Kind.ANY if _any_plain().search(text) else Kind.SPECIAL


def kind_of_bytes(text: bytes) -> Kind:
    """As `kind_of`, for a text in UTF-8."""
    if not any(mark.encode() in text for mark in MARKS):
        return Kind.PLAIN
    return Kind.ANY if _any_plain_bytes().search(text) else Kind.SPECIAL


class Escaped:
    """A text to find in others.

    Every response is searched, so most are excluded without a nested expression: a response has no escape, or it does
    not contain the longest run of letters and digits. An expression is compiled when it is first needed: one with all
    escapes of all characters takes a tenth of a second.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._bytes = text.encode("utf-8", "surrogatepass")
        self._run = max(_PLAIN.findall(text), key=len, default="")

    def replace(self, text: str, replacement: Callable[[str], str], kind: Kind) -> str:
        """`text` with each occurrence, however it is written, replaced by what `replacement` returns for it.

        `kind` is that of the text.
        """
        if kind is Kind.PLAIN and " " not in self.text:
            return text.replace(self.text, replacement(self.text)) if self.text in text else text
        if kind is Kind.ANY or self._run in text:
            return "".join(_replaced(_pattern(self.text, kind), text, replacement))
        return text

    def replace_bytes(self, text: bytes, replacement: Callable[[bytes], bytes], kind: Kind) -> bytes:
        """As `replace`, for a text in UTF-8."""
        if kind is Kind.PLAIN and " " not in self.text:
            return text.replace(self._bytes, replacement(self._bytes)) if self._bytes in text else text
        if kind is Kind.ANY or self._run.encode() in text:
            return b"".join(_replaced(_pattern_bytes(self.text, kind), text, replacement))
        return text


def _replaced(pattern: re.Pattern[AnyStr], text: AnyStr, replacement: Callable[[AnyStr], AnyStr]) -> Iterator[AnyStr]:
    """The parts of a text, in which the first group of the pattern is replaced."""
    at = 0
    while found := pattern.search(text, at):
        start, end = found.span(1)
        yield text[at:start]
        yield replacement(text[start:end])
        at = end
    yield text[at:]


@cache
def _any_plain() -> re.Pattern[str]:
    return re.compile(_ANY_PLAIN)


@cache
def _any_plain_bytes() -> re.Pattern[bytes]:
    return re.compile(_ANY_PLAIN.encode())


def _source(text: str, kind: Kind) -> str:
    """The pattern of a text, of which letters and digits of ASCII may be escaped only if `kind` is `ANY`.

    It starts with the characters that an occurrence may start with, because a set of characters is searched fast.
    """
    written = (char if _PLAIN.match(char) and kind is not Kind.ANY else _written(char, DEPTH) for char in text)
    return f"(?s:[{re.escape(text[0] + MARKS + '+')}](?<=(?=({''.join(written)})).))"


@lru_cache(maxsize=256)
def _pattern(text: str, kind: Kind) -> re.Pattern[str]:
    return re.compile(_source(text, kind))


@lru_cache(maxsize=256)
def _pattern_bytes(text: str, kind: Kind) -> re.Pattern[bytes]:
    return re.compile(_source(text, kind).encode("utf-8", "surrogatepass"))


@lru_cache(maxsize=1024)
def _written(char: str, depth: int) -> str:
    """A character, or up to `depth` escapes of it. The longest come first: nothing of an escape remains."""
    if not depth:
        return re.escape(char)
    one = f"(?:{_escape(char, depth)}|{re.escape(char)})"
    return f"(?:{one}{{4}}|{one}{{2}}|{one})" if char == "\\" else one  # each time it is escaped, it is doubled


@lru_cache(maxsize=1024)
def _escape(char: str, depth: int) -> str:
    """Up to `depth` escapes of a character, without the character itself. `depth` is at least 1."""
    inner = depth - 1
    found = [_numeric(_hex(f"{ord(char):02x}"), str(ord(char)), depth)]
    if names := _names().get(char):
        found.append(f"{_ampersand(inner)}(?:{'|'.join(names)})(?:{_written(';', inner)})?")
    if char in _LETTERS or char in _AS_ITSELF:
        found.append(f"{_backslash(inner)}{_LETTERS.get(char) or _written(char, inner)}")
    if not char.isascii():
        octets = char.encode("utf-8", "surrogatepass")
        found.append("".join(f"{_percent(inner)}{_hex(f'{octet:02x}')}" for octet in octets))
        units = char.encode("utf-16-be", "surrogatepass").hex()
        pairs = (units[at : at + 4] for at in range(0, len(units), 4))
        found.append("".join(f"{_backslash(inner)}u{_hex(each)}" for each in pairs))
    if char == " ":
        found.append(_written("+", inner))
    return "|".join(found)


@lru_cache(maxsize=1024)
def _numeric(hex_digits: str, decimal: str, depth: int) -> str:
    """Up to `depth` escapes of a character by its number, of which the patterns are given."""
    inner = depth - 1
    in_json = f"(?:[uU]0{{0,6}}{hex_digits}|u\\{{0{{0,6}}{hex_digits}\\}}|x{hex_digits})"
    in_html = f"(?:0{{0,7}}{decimal}(?![0-9])|[xX]0{{0,7}}{hex_digits}(?![0-9a-fA-F]))"
    return (
        f"{_backslash(inner)}{in_json}"
        f"|{_ampersand(inner)}{_written('#', inner)}{in_html}(?:{_written(';', inner)})?"
        f"|{_percent(inner)}{hex_digits}"
    )


@cache
def _backslash(depth: int) -> str:
    """Backslashes before an escape: each time it is escaped, they are doubled."""
    one = f"{_escape(chr(92), depth)}|\\\\" if depth else "\\\\"
    return f"(?:{one}){{1,8}}"  # not possessive: the last one may itself be the escape of a backslash


@cache
def _ampersand(depth: int) -> str:
    """An ampersand before an escape, also as `&amp;`, `&amp;amp;`."""
    one = f"(?:{_escape('&', depth)}|&)" if depth else "&"
    return f"{one}(?:amp{_written(';', depth)}){{0,3}}"


@cache
def _percent(depth: int) -> str:
    """A percent sign before an escape, also as `%25`, `%2525`."""
    one = f"(?:{_escape('%', depth)}|%)" if depth else "%"
    return f"{one}(?:25){{0,3}}"


def _hex(digits: str) -> str:
    """The pattern of hex digits in either case."""
    return "".join(f"[{each}{each.upper()}]" if each.isalpha() else each for each in digits)


@cache
def _names() -> dict[str, list[str]]:
    """The names of each character in HTML, longest first, without the semicolon."""
    names: dict[str, set[str]] = {}
    for name, char in html5.items():
        names.setdefault(char, set()).add(name.rstrip(";"))
    return {char: sorted(each, key=lambda name: (-len(name), name)) for char, each in names.items()}
