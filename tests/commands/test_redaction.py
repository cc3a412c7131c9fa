"""Every form of a secret is redacted from texts and responses, and nothing else is."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from html.entities import codepoint2name
from pathlib import Path
from urllib.parse import quote, quote_plus

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from collector import redaction
from collector.redaction import MIN_LENGTH, MIN_LENGTH_IN_DATA, REDACTED, redact, redacted
from collector.secrets import Secret
from collector.steps import at_once

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a path": quote,
    "in a query": lambda secret: quote(secret, safe="/:,"),
    "in a form": quote_plus,
    "in a URL, in lower case": lambda secret: _lower(quote(secret, safe="")),
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON, as PHP writes it": lambda secret: json.dumps(secret)[1:-1].replace("/", "\\/"),
    "in JSON, in UTF-8": lambda secret: orjson.dumps(secret).decode()[1:-1],
    "in HTML": html.escape,
    "in base64": lambda secret: b64encode(secret.encode()).decode(),
    "in base64 for URLs": lambda secret: urlsafe_b64encode(secret.encode()).decode(),
    "printed": lambda secret: repr(secret)[1:-1],
}
TEXTS = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="[]<>"), min_size=MIN_LENGTH, max_size=40
).filter(lambda text: text not in REDACTED)


def _lower(quoted: str) -> str:
    parts = quoted.split("%")
    return "%".join([parts[0], *(part[:2].lower() + part[2:] for part in parts[1:])])


@contextmanager
def known_secrets(*texts: str) -> Iterator[list[Secret]]:
    """The process knows only these secrets until the end of the block."""
    before, redaction._known[:] = redaction._known[:], []
    try:
        yield [Secret.model_validate(text) for text in texts]
    finally:
        redaction._known[:] = before


@settings(max_examples=30)
@given(TEXTS, st.sampled_from(list(FORMS)))
@example("a/b+c d\\e\"f'g&h%i", "in JSON, as PHP writes it")
@example("naïve/ключ", "in a URL, in lower case")
def test_every_form_of_a_secret_is_redacted_and_the_text_around_it_stays(text: str, form: str) -> None:
    with known_secrets(text):
        assert f"<{REDACTED}>" == redact(f"<{FORMS[form](text)}>")


@given(TEXTS, TEXTS, st.sampled_from(list(FORMS)))
def test_a_header_derived_from_a_secret_is_redacted_as_a_whole(user: str, token: str, form: str) -> None:
    with known_secrets(token) as (secret,):
        basic = secret.register(b64encode(f"{user}:{token}".encode()).decode())
        shown = redact(f"<{FORMS[form](basic)}>")

    assert f"<{REDACTED}>" == shown


@settings(max_examples=50)
@given(
    text=TEXTS,
    number=st.integers(),
    form=st.sampled_from(["as it is", "in a URL", "in base64", "in HTML"]),
    ascii_=st.booleans(),
)
@example(text="123456", number=1234567, form="as it is", ascii_=True)
@example(text="elevenlong.", number=1, form="as it is", ascii_=True)
def test_a_response_stays_valid_json_after_redaction(text: str, number: int, form: str, *, ascii_: bool) -> None:
    body = {"error": f"<{FORMS[form](text)}>", "number": number}
    with known_secrets(text) as (secret,):
        secret.reveal()
        redacted_body = json.loads(without(secret, json.dumps(body, ensure_ascii=ascii_).encode()))

    encoded = FORMS[form](text)
    stays = encoded.isdecimal() or len(json.dumps(encoded, ensure_ascii=ascii_)) - 2 < MIN_LENGTH_IN_DATA
    assert {"error": body["error"] if stays else f"<{REDACTED}>", "number": number} == redacted_body


def test_a_response_is_redacted_of_present_and_former_values_of_its_own_secret_only(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with known_secrets("another's"):
        own = Secret.model_validate({"file": str(path)})
        for content in ("this one, before", "this one, after"):
            path.write_text(content, "utf-8")
            own.reveal()

        assert b"another's [secret] [secret]" == without(own, b"another's this one, before this one, after")


@given(st.text(min_size=1, max_size=MIN_LENGTH - 1))
@example("e")
@example('"')
def test_a_secret_that_is_too_short_is_not_redacted(text: str) -> None:
    shown = "the stream is live: 1 event"
    with known_secrets(text) as (secret,):
        secret.reveal()

        assert shown == redact(shown)
        assert shown.encode() == without(secret, shown.encode())


JSON_ESCAPES: dict[str, Callable[[str], str]] = {
    "lower case": lambda char: "".join(f"\\u{unit:04x}" for unit in _utf16(char)),
    "upper case": lambda char: "".join(f"\\u{unit:04X}" for unit in _utf16(char)),
    "by itself": lambda char: f"\\{char}" if char in '"\\/' else char,
}
HTML_ESCAPES: dict[str, Callable[[str], str]] = {
    "decimal": lambda char: f"&#{ord(char)};",
    "decimal, with zeros": lambda char: f"&#{ord(char):06};",
    "hexadecimal": lambda char: f"&#x{ord(char):x};",
    "hexadecimal, in upper case": lambda char: f"&#X{ord(char):X};",
    "by name": lambda char: f"&{codepoint2name[ord(char)]};" if ord(char) in codepoint2name else char,
}
URL_ESCAPES: dict[str, Callable[[str], str]] = {
    "in upper case": lambda char: "".join(f"%{octet:02X}" for octet in char.encode()),
    "in lower case": lambda char: "".join(f"%{octet:02x}" for octet in char.encode()),
    "as in forms": quote_plus,
}
ESCAPES: list[Callable[[str], str]] = [str, *JSON_ESCAPES.values(), *HTML_ESCAPES.values(), *URL_ESCAPES.values()]
ENCODERS: list[Callable[[str], str]] = [str, *(FORMS[each] for each in FORMS if "base64" not in each)]
SPACED = st.text(
    st.characters(exclude_categories=("C", "Zl", "Zp"), exclude_characters="[]<>"), min_size=MIN_LENGTH, max_size=20
).filter(lambda text: text not in REDACTED)


def _utf16(char: str) -> list[int]:
    octets = char.encode("utf-16-be")
    return [int.from_bytes(octets[at : at + 2], "big") for at in range(0, len(octets), 2)]


@settings(max_examples=50)
@given(SPACED | st.text("=&<>/\\'\"+%#; ;ampux25", min_size=MIN_LENGTH, max_size=12), st.data())
def test_no_mixture_of_escapes_hides_a_secret(text: str, data: st.DataObject) -> None:
    mixed = "".join(data.draw(st.sampled_from(ESCAPES))(char) for char in text)
    echoed = data.draw(st.sampled_from(ENCODERS))(mixed)
    with known_secrets(text) as (secret,):
        secret.reveal()
        shown = redact(f"({echoed})")
        body = without(secret, f"({echoed})".encode()).decode()

    assert f"({REDACTED})" == shown
    assert body == (f"({echoed})" if len(echoed) < MIN_LENGTH_IN_DATA or echoed.isdecimal() else shown)


@settings(max_examples=50)
@given(SPACED, st.sampled_from(ENCODERS), st.sampled_from(ENCODERS))
@example("00000Ã", str, FORMS["in a URL"])
@example("abc=def&ghi/jkl", FORMS["in HTML"], FORMS["in JSON, as PHP writes it"])
@example("abc=def&ghi'jkl", FORMS["in HTML"], FORMS["in a URL"])
@example('abc=def&ghi"jkl', FORMS["in JSON"], FORMS["in JSON"])
def test_no_secret_that_is_encoded_twice_is_shown(
    text: str, first: Callable[[str], str], second: Callable[[str], str]
) -> None:
    with known_secrets(text):
        assert f"({REDACTED})" == redact(f"({second(first(text))})")


def without(secret: Secret, response: bytes) -> bytes:
    """The response without the secret."""
    return at_once(secret.redacted(response))


@pytest.mark.parametrize(
    "echo",
    [
        r"abc\u003ddef\u0026ghi\u003cjkl",
        r"abc\u003Ddef\u0026ghi\u003Cjkl",
        "abc=def&amp;ghi&lt;jkl",
        "abc&equals;def&amp;amp;ghi&#060;jkl",
        "abc&#61;def&#x26;ghi&#x3C;jkl",
        "abc%3ddef%26ghi%3cjkl",
        "abc%253Ddef%2526ghi%253Cjkl",
        r"abc\\u003ddef\\u0026ghi\\u003cjkl",
        r"abc\x3ddef\x26ghi\u{3c}jkl",
        r"\u0061bc=def\u0026amp;ghi<jkl",
    ],
)
def test_what_vendors_echo_is_redacted(echo: str) -> None:
    with known_secrets("abc=def&ghi<jkl") as (secret,):
        secret.reveal()
        assert f"key: {REDACTED}!" == redact(f"key: {echo}!")
        assert f"key: {REDACTED}!".encode() == without(secret, f"key: {echo}!".encode())


@pytest.mark.parametrize("escape", [r"\u005c", r"\x5C", "&#92;", "&bsol;", "%5c", r"\\u005c", r"\\", r"\\\\"])
def test_a_backslash_in_a_secret_is_redacted_in_each_form(escape: str) -> None:
    with known_secrets("abc\\def123456\\"):
        assert f"({REDACTED})" == redact(f"(abc{escape}def123456{escape})")


@pytest.mark.parametrize("mark", ["\\", "%", "&amp;", "%25", "&", "+", r"\u005c", "&#"])
def test_a_long_run_of_marks_is_searched_in_time(mark: str) -> None:
    """Without bounds, the time would grow with the square of the length: here, hours."""
    with known_secrets("abc=def&ghi<jkl") as (secret,):
        secret.reveal()
        text = mark * 20_000 + "abc=def&ghi<jkl"
        assert f"{REDACTED}" in redact(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=10,
)


@given(TEXTS, JSON)
@example("123456", 123456)
def test_strings_at_any_depth_are_redacted_and_other_values_are_not(text: str, value: object) -> None:
    with known_secrets(text):
        shown = redacted({"version": [value, {"error": f"<{text}>"}], "secret": 123456})

    assert {"version": [value, {"error": f"<{REDACTED}>"}], "secret": 123456} == shown
