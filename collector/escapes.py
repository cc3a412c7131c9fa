r"""How a character may be written: as itself, or as an escape of JSON, HTML or a URL. Regular expressions of that.

The escapes are those of RFC 8259, section 7 (JSON: `\u003d`, `\/`), of the HTML standard, "Character references"
(`&#61;`, `&#x3D;`, `&equals;`), of RFC 3986, section 2.1, and of forms (`%3D`, `+`), and of string literals in Python
and JavaScript (`\x3d`, `\u{3d}`, `\'`). An escape may itself be escaped once more (`\\u003d`, `%253D`, `&amp;#61;`).
`occurrences.py` finds texts that are written so.

All repetitions are bounded. A part that can match in one way only is possessive or atomic: otherwise, the time for one
character would be multiplied by the number of ways to read what precedes it.
"""

import re
from enum import Enum, auto
from functools import cache, lru_cache
from html.entities import html5
from typing import AnyStr, cast

MARKS = "\\&%"
"""Every escape contains one of these, except `+` for a space."""
DEPTH = 2
"""How many times a character may be escaped: a message in JSON is often part of another message."""
MAX_ESCAPE = 1 << 6
"""No match of `any_plain` is longer, with the characters after it that it depends on."""
MAX_GUARDED = 8
"""The most characters of a text that its guard matches."""
MAX_GUARDED_ESCAPES = 2
"""The most of them that may be escaped. With one, much of an ordinary text would pass; each takes time to compile."""

_MAX_SIMPLE, _MAX_OTHER, _MAX_BACKSLASH = 256, 1 << 10, 1 << 11
"""No character is written longer, in characters or in bytes of UTF-8. A test compares them with the expressions."""
_LETTERS = {"\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_AS_ITSELF = "\"'/"
"""Characters that an escape may name by themselves: `\\"`. The backslash has a rule of its own."""
PLAIN = re.compile("[0-9A-Za-z]+")
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


@cache
def any_plain(text_type: type[AnyStr]) -> re.Pattern[AnyStr]:
    """Matches an escape of a letter or digit of ASCII, or the start of one: in texts of the kind `ANY` only."""
    return compiled(_ANY_PLAIN, text_type)


def pieces(text: str, kind: Kind) -> tuple[str, ...]:
    """Expressions, of which each matches the next part of a text, however it is written.

    Where one of them matches, it ends at one place only, so they can be matched one after the other. Only the last one
    may end at several places: it matches everything from the first character that may do so. Letters and digits of
    ASCII may be escaped only if `kind` is `ANY`.
    """
    pairs = _pairs(text)
    firm = next((at for at, pair in enumerate(pairs) if not _is_firm(*pair, kind)), len(text))
    tokens = [_token(*pair, kind) for pair in pairs]
    return (*tokens[:firm], *(["".join(tokens[firm:])] if firm < len(text) else ()))


def guard(text: str, kind: Kind) -> str:
    """An expression that matches one character: the first one of what may be an occurrence of a text.

    It starts with the set of the characters that this can be, because a set of characters is searched fast.
    """
    start = "".join(_token(char, following, kind) for char, following in _pairs(text)[: guarded(text, kind)])
    firsts = f"{text[0]}{MARKS}{'+' if text[0] == ' ' else ''}"
    return f"(?s:[{re.escape(firsts)}](?<=(?={start}).))"


def guarded(text: str, kind: Kind) -> int:
    """The number of characters of a text that its guard matches."""
    escapes = 0
    for number, char in enumerate(text[:MAX_GUARDED], 1):
        escapes += _is_escaped(char, kind)
        if escapes == MAX_GUARDED_ESCAPES:
            return number
    return min(len(text), MAX_GUARDED)


def max_written(text: str) -> int:
    """The text is never written longer than this, in characters or in bytes of UTF-8."""
    return sum(_MAX_BACKSLASH if char == "\\" else _MAX_SIMPLE if _is_simple(char) else _MAX_OTHER for char in text)


@lru_cache(maxsize=4096)
def compiled(source: str, text_type: type[AnyStr]) -> re.Pattern[AnyStr]:
    """The expression for texts of this type; for bytes, which are in UTF-8."""
    return re.compile(as_type(source, text_type))


def as_type(text: str, text_type: type[AnyStr]) -> AnyStr:
    """The text as it is, or in UTF-8 if the type is bytes."""
    return cast("AnyStr", text if issubclass(cast("type", text_type), str) else text.encode("utf-8", "surrogatepass"))


def spellings(char: str) -> tuple[str, ...]:
    """Strings of which each way to write a letter or digit of ASCII contains one: itself, or its number."""
    return char, f"{ord(char):x}", f"{ord(char):X}", str(ord(char))


def _pairs(text: str) -> list[tuple[str, str]]:
    """Each character of a text, with the one that follows it. The last one is followed by a space."""
    return list(zip(text, f"{text[1:]} ", strict=True))


def _is_escaped(char: str, kind: Kind) -> bool:
    """Whether a character may be escaped in a text of this kind."""
    return kind is Kind.ANY or not PLAIN.match(char)


def _is_simple(char: str) -> bool:
    """Whether no escape of the character can start with what also is the escape of a mark."""
    return char.isascii() and char not in MARKS


def _is_firm(char: str, following: str, kind: Kind) -> bool:
    r"""Whether a written character ends at one place only, because what follows it cannot be read as part of it.

    `&#61` may end with a semicolon, which may be escaped too: as `%3b`, or as the start of `\u03b2`.
    """
    if not _is_escaped(char, kind):
        return True
    names = _names().get(char, [])
    is_ambiguous = any(one != other and one.startswith(other) for one in names for other in names)
    is_ambiguous |= char == "\xc3"  # %C3 is its number, and starts its UTF-8
    return (
        char not in MARKS and following not in MARKS and not is_ambiguous and not f"{ord(following):x}".startswith("3b")
    )


@lru_cache(maxsize=4096)
def _token(char: str, following: str, kind: Kind) -> str:
    """The expression of one character of a text."""
    if not _is_escaped(char, kind):
        return re.escape(char)
    written = _written(char, DEPTH)
    return f"(?>{written})" if _is_firm(char, following, kind) else written


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
    simple = _is_simple(char)
    found = []
    if not char.isascii():
        octets = char.encode("utf-8", "surrogatepass")
        found.append("".join(f"{_percent(inner, simple=False)}{_hex(f'{octet:02x}')}" for octet in octets))
        units = char.encode("utf-16-be", "surrogatepass").hex()
        pairs = (units[at : at + 4] for at in range(0, len(units), 4))
        found.append("".join(f"{_backslash(inner, simple=False)}u{_hex(each)}" for each in pairs))
    found.append(f"{_backslash(inner, simple=simple)}{_number_in_json(char)}")
    found.append(_outside_json(char, depth, simple=simple))
    if char in _LETTERS or char in _AS_ITSELF:
        found.append(f"{_backslash(inner, simple=simple)}{_LETTERS.get(char) or _written(char, inner)}")
    if char == " ":
        found.append(_written("+", inner))
    return "|".join(found)


def _number_in_json(char: str) -> str:
    """What follows the backslash of an escape of a character by its number."""
    digits = _hex(f"{ord(char):02x}")
    return f"(?:[uU]0{{0,6}}{digits}|u\\{{0{{0,6}}{digits}\\}}|x{digits})"


@lru_cache(maxsize=1024)
def _outside_json(char: str, depth: int, *, simple: bool) -> str:
    """Up to `depth` escapes of a character that start with another mark than a backslash."""
    inner = depth - 1
    digits, end = _hex(f"{ord(char):02x}"), f"(?:{_written(';', inner)})?"
    ampersand = _ampersand(inner, simple=simple)
    number = f"(?:0{{0,7}}{ord(char)}(?![0-9])|[xX]0{{0,7}}{digits}(?![0-9a-fA-F]))"
    found = [f"{ampersand}{_written('#', inner)}{number}{end}", f"{_percent(inner, simple=simple)}{digits}"]
    if names := _names().get(char):
        found.append(f"{ampersand}(?:{'|'.join(names)}){end}")
    return "|".join(found)


@cache
def _backslash(depth: int, *, simple: bool) -> str:
    """Backslashes before an escape: each time it is escaped, they are doubled. Each may itself be escaped.

    Unless the escape is `simple`, the last one may be the escape, or be followed by characters that look like one.
    """
    if not depth:
        return r"\\\\{0,7}+"  # starts with a character, as all alternatives do: most are excluded by it
    number, others = _number_in_json("\\"), _outside_json("\\", depth, simple=False)
    return rf"(?:\\\\{{0,7}}+{number}?+|{others}){{1,8}}+" if simple else rf"(?:\\{number}?|{others}){{1,16}}"


@cache
def _ampersand(depth: int, *, simple: bool) -> str:
    """An ampersand before an escape, also as `&amp;`, `&amp;amp;`."""
    one = f"(?:{_escape('&', depth)}|&)" if depth else "&"
    written = f"{one}(?:amp{_written(';', depth)}){{0,3}}"
    return f"(?>{written})" if simple and depth else written


@cache
def _percent(depth: int, *, simple: bool) -> str:
    """A percent sign before an escape, also as `%25`, `%2525`."""
    one = f"(?:{_escape('%', depth)}|%)" if depth else "%"
    written = f"{one}(?:25){{0,3}}"
    return f"(?>{written})" if simple and depth else written


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
