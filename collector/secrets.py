"""Secrets: where they come from, and that they appear nowhere."""

import html
import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from collector.errors import UserError

REDACTED = "[secret]"
MIN_LENGTH = 6
"""Characters that a secret must have to be taken out of texts: shorter ones are in most texts by chance."""
MIN_LENGTH_IN_DATA = 12
"""To be taken out of what a vendor answers: a shorter one may be a word of the data, which must not change."""
MAX_FILE_BYTES = 64 << 10
"""Of a secret's file: what is larger is another file."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_PERCENT = re.compile("%[0-9A-F]{2}")
_ESCAPED = re.compile(r"\\u([0-9a-f]{4})")
_known: list[str] = []
"""Every form of every secret that this process has seen, the longest first."""


class Secret(BaseModel):
    """A string, `{ env = "NAME" }` or `{ file = "/path" }`. Prints as itself nowhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    value: str | None = None
    env: str | None = None
    file: Path | None = None
    _forms: set[str] = PrivateAttr(default_factory=set)
    """Of this secret, as it is and as it was."""

    @model_validator(mode="before")
    @classmethod
    def _from_toml(cls, given: Any) -> Any:  # noqa: ANN401 - anything may stand there
        if isinstance(given, str):
            if not given:
                raise ValueError("expected a secret, got an empty string")
            _note(given)
            return {"value": given}
        named = isinstance(given, dict) and set(given) in ({"env"}, {"file"})
        if not named or not all(isinstance(name, str) for name in given.values()):
            raise ValueError('expected a string, { env = "NAME" } or { file = "/path" }')
        return given

    def reveal(self) -> str:
        """The secret now: a file is read each time, so that a changed one counts at once.

        Raises UserError when it is not there.
        """
        if self.value is not None:
            return self.learn(self.value)
        if self.env is not None:
            where = f"the environment variable {self.env}"
            if self.env not in os.environ:
                raise UserError(f"{where} is not set: set it to the secret")
            secret = os.environ[self.env].strip()
        else:
            where = f"the secret's file {self.file}"
            secret = _read(Path(self.file or "")).strip()
        if not secret:
            raise UserError(f"{where} is empty: put the secret there")
        if _CONTROL.search(secret):
            raise UserError(f"{where} holds more than one line, or no text: put the secret there, and nothing else")
        return self.learn(secret)

    def peek(self) -> str | None:
        """The same, or None when it is not there."""
        try:
            return self.reveal()
        except UserError:
            return None

    def learn(self, text: str) -> str:
        """Take note of what the secret is, or what was made of it, such as a header; returns it."""
        self._forms.update(_note(text))
        return text

    def redact(self, answer: bytes) -> bytes:
        """What somebody answered who was told the secret, without it: he may repeat it, in an error or in a row.

        Of what may be a number in JSON, nothing is taken out.
        """
        for form in sorted(self._forms, key=len, reverse=True):
            if len(form) >= MIN_LENGTH_IN_DATA and not form.isdecimal():
                answer = answer.replace(form.encode(), REDACTED.encode())
        return answer

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    __str__ = __repr__


def redact(text: str) -> str:
    """The text without any secret that this process has seen. The last line of defence: no text should hold one."""
    for form in _known:
        text = text.replace(form, REDACTED)
    return text


def redacted(value: Any) -> Any:  # noqa: ANN401 - whatever is logged or shown
    """The value as JSON knows it, without any secret in its texts. Keys are this program's own words, and stay."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {name: redacted(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(each) for each in value]
    return redact(str(value))


def _read(path: Path) -> str:
    where = f"the secret's file {path}"
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise UserError(f"{where} cannot be read: it is no file: expected one that holds the secret")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise UserError(f"{where} is larger than any secret: put the secret there, and nothing else")
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{where} cannot be read: {error.strerror}: put the secret there") from None
    except UnicodeDecodeError:
        raise UserError(f"{where} cannot be read: it is not UTF-8: put the secret there, as text") from None


def _note(secret: str) -> set[str]:
    forms = _forms(secret) if len(secret) >= MIN_LENGTH else set()
    if not forms.issubset(_known):
        _known[:] = sorted({*_known, *forms}, key=len, reverse=True)
    return forms


def _forms(secret: str) -> set[str]:
    """The secret as it may stand in a text: as it is, in a URL, in HTML, in base64; any of it in JSON or printed."""
    in_urls = {*(quote(secret, safe=safe) for safe in ("", "/", "/:,")), quote_plus(secret)}
    in_urls |= {_PERCENT.sub(lambda octet: octet[0].lower(), form) for form in in_urls}
    in_html = {html.escape(secret, quote=quotes) for quotes in (True, False)}
    in_base64 = {encode(secret.encode()).decode() for encode in (b64encode, urlsafe_b64encode)}
    plain = {secret, *in_urls, *in_html, *in_base64}
    in_json = {json.dumps(form, ensure_ascii=ascii_)[1:-1] for form in plain for ascii_ in (True, False)}
    in_json |= {_ESCAPED.sub(lambda letter: f"\\u{letter[1].upper()}", form) for form in in_json}
    in_json |= {form.replace("/", "\\/") for form in in_json}
    return plain | in_json | {repr(form)[1:-1] for form in plain}
