"""That no form of a secret stays in what is shown, and that nothing else goes."""

import html
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from collector import secrets
from collector.secrets import MIN_LENGTH, MIN_LENGTH_IN_DATA, REDACTED, Secret, redact, redacted

FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda secret: quote(secret, safe=""),
    "in a path": quote,
    "in a query": lambda secret: quote(secret, safe="/:,"),
    "in a form": quote_plus,
    "in a URL, in small letters": lambda secret: _lower(quote(secret, safe="")),
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
def knowing(*texts: str) -> Iterator[list[Secret]]:
    """These secrets alone, until the end of the block."""
    before, secrets._known[:] = secrets._known[:], []
    try:
        yield [Secret.model_validate(text) for text in texts]
    finally:
        secrets._known[:] = before


@given(TEXTS, st.sampled_from(list(FORMS)))
@example("a/b+c d\\e\"f'g&h%i", "in JSON, as PHP writes it")
@example("naïve/ключ", "in a URL, in small letters")
def test_every_form_of_a_secret_is_concealed_and_what_is_around_it_stays(text: str, form: str) -> None:
    with knowing(text):
        assert f"<{REDACTED}>" == redact(f"<{FORMS[form](text)}>")


@given(TEXTS, TEXTS, st.sampled_from(list(FORMS)))
def test_a_header_made_of_user_and_token_is_concealed_as_a_whole(user: str, token: str, form: str) -> None:
    with knowing(token) as (secret,):
        basic = secret.learn(b64encode(f"{user}:{token}".encode()).decode())
        shown = redact(f"<{FORMS[form](basic)}>")

    assert f"<{REDACTED}>" == shown


@given(
    text=TEXTS,
    number=st.integers(),
    form=st.sampled_from(["as it is", "in a URL", "in base64", "in HTML"]),
    ascii_=st.booleans(),
)
@example(text="123456", number=1234567, form="as it is", ascii_=True)
@example(text="elevenlong.", number=1, form="as it is", ascii_=True)
def test_an_answer_of_json_stays_json_without_the_secret(text: str, number: int, form: str, *, ascii_: bool) -> None:
    told = {"error": f"<{FORMS[form](text)}>", "number": number}
    with knowing(text) as (secret,):
        secret.reveal()
        left = json.loads(secret.redact(json.dumps(told, ensure_ascii=ascii_).encode()))

    shown = FORMS[form](text)
    stays = shown.isdecimal() or len(json.dumps(shown, ensure_ascii=ascii_)) - 2 < MIN_LENGTH_IN_DATA
    assert {"error": told["error"] if stays else f"<{REDACTED}>", "number": number} == left


def test_an_answer_is_freed_of_this_secret_alone_as_it_is_and_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with knowing("another's"):
        own = Secret.model_validate({"file": str(path)})
        for content in ("this one, before", "this one, after"):
            path.write_text(content, "utf-8")
            own.reveal()

        assert b"another's [secret] [secret]" == own.redact(b"another's this one, before this one, after")


@given(st.text(min_size=1, max_size=MIN_LENGTH - 1))
@example("e")
@example('"')
def test_a_secret_too_short_to_be_told_from_other_text_mangles_nothing(text: str) -> None:
    shown = "the stream is live: 1 event"
    with knowing(text) as (secret,):
        secret.reveal()

        assert shown == redact(shown)
        assert shown.encode() == secret.redact(shown.encode())


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=10,
)


@given(TEXTS, JSON)
@example("123456", 123456)
def test_secrets_are_taken_out_of_texts_at_any_depth_and_out_of_nothing_else(text: str, value: object) -> None:
    with knowing(text):
        shown = redacted({"version": [value, {"error": f"<{text}>"}], "secret": 123456})

    assert {"version": [value, {"error": f"<{REDACTED}>"}], "secret": 123456} == shown
