"""Secrets: where they are read from, and how they are redacted from everything that is shown."""

import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from collector.errors import NUL_IN_PATH, OUT_OF_FILES, RAISE_FILE_LIMIT, RetryLater, UserError, is_out_of_files
from collector.occurrences import MAX_BLOCK, Escaped, kind_of
from collector.steps import Steps, at_once

REDACTED = "[secret]"
MIN_LENGTH = 6
"""Characters of the shortest secret that is redacted from texts: shorter strings occur in most texts by chance."""
MIN_LENGTH_IN_DATA = 12
"""Characters of the shortest secret that is redacted from responses: shorter ones may be words of the data, which must
not change."""
MAX_PASSING = 4
"""Values of a `PassingSecret` that are redacted: the one in use, and those of connections that are being replaced."""
MAX_FILE_BYTES = 64 << 10
"""The largest file of a secret: a larger one is probably a wrong path."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")
_lock = Lock()
"""Held while `_known` changes: a reload reads secrets in another thread."""
_known: list[Escaped] = []
"""Every form of every secret that this process has read, longest first."""


class Secret(BaseModel):
    """A string, `{ env = "NAME" }` or `{ file = "/path" }`. `str` and `repr` do not show the value."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    value: str | None = None
    env: str | None = None
    file: Path | None = None
    is_override: bool = False
    """Whether `value` is that of an environment variable that overrides the configuration file."""
    _forms: set[Escaped] = PrivateAttr(default_factory=set)
    """Every form of every value that was read: a former value may still be in use."""
    _last: str | None = PrivateAttr(default=None)
    """What `peek` returned last."""

    @model_validator(mode="before")
    @classmethod
    def _from_toml(cls, given: Any) -> Any:  # noqa: ANN401 - any type is possible before validation
        if isinstance(given, str):
            if not given:
                raise PydanticCustomError("empty_secret", "expected a secret, got an empty string")
            _register(given)
            return {"value": str(given), "is_override": type(given) is not str}  # `settings.EnvironmentValue`
        is_reference = isinstance(given, dict) and set(given) in ({"env"}, {"file"})
        if not is_reference or not all(isinstance(name, str) for name in given.values()):
            text = 'expected a string, { env = "NAME" } or { file = "/path" }'
            raise PydanticCustomError("wrong_type", text)
        if "\0" in given.get("file", ""):
            raise ValueError(NUL_IN_PATH)
        return given

    def reveal(self) -> str:
        """The current value. A file is read at each call, so a change takes effect at once.

        Raises UserError when the variable or the file is missing, unreadable, empty, or more than one line of text, and
        RetryLater when the process cannot open another file.
        """
        return self.register(self.read())

    def read(self) -> str:
        """The current value, for a caller that registers it: with a `PassingSecret`, if it changes often.

        Raises as `reveal` does.
        """
        if self.value is not None:
            return self.value
        if self.env is not None:
            where = f"the environment variable {self.env}"
            if self.env not in os.environ:
                raise UserError(f"{where} is not set: set it to the secret", code="variable_not_set")
            secret = os.environ[self.env].strip()
        else:
            where = f"the secret file {self.file}"
            secret = _read(Path(self.file or "")).strip()
        if not secret:
            raise UserError(f"{where} is empty: write the secret to it", code="secret_empty")
        if _NOT_UTF8.search(secret):
            raise UserError(f"{where} is not UTF-8: write the secret to it as text", code="secret_not_utf8")
        if _CONTROL.search(secret):
            text = f"{where} contains several lines or control characters: write only the secret to it"
            raise UserError(text, code="secret_not_one_line")
        return secret

    def peek(self) -> str | None:
        """The current value, or None when it cannot be read. While too many files are open, the last one counts."""
        try:
            self._last = self.reveal()
        except UserError:
            self._last = None
        except RetryLater:
            pass
        return self._last

    def register(self, text: str) -> str:
        """Redact this text from now on: the value, or one derived from it, such as a header. Returns the text."""
        self._forms.update(_register(text))
        return text

    def redacted(self, response: bytes) -> Steps[bytes]:
        """A response without this secret: a vendor may repeat it, in an error or in a row.

        Short forms stay, and so do forms of digits only, which may be numbers in the data. Each step is short, whatever
        the response contains.
        """
        kind = yield from kind_of(response)
        for form in _longest_first(self._forms):  # a copy: meanwhile, another task may add a form
            if len(response) > MAX_BLOCK or form.may_occur(response, kind):
                response = yield from form.replaced(response, _redacted_bytes, kind)
        return response

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    __str__ = __repr__


class PassingSecret:
    """A secret that is replaced often, such as a token. Only its last values are redacted: the list must not grow."""

    def __init__(self) -> None:
        self._recent: deque[tuple[str, frozenset[Escaped]]] = deque()

    def register(self, text: str) -> str:
        """Redact this value and the MAX_PASSING - 1 values before it from now on. Returns the text."""
        if len(text) >= MIN_LENGTH and text not in (value for value, _ in self._recent):
            forms = frozenset(map(Escaped, _encodings(text)))  # not those in the cache, which keeps every text
            self._recent.append((text, forms))
            _, expired = self._recent.popleft() if len(self._recent) > MAX_PASSING else ("", frozenset[Escaped]())
            with _lock:
                _known[:] = _longest_first({*_known, *forms} - expired)
        return text


def learn_secret(text: str) -> str:
    """Redact this text from now on; for secrets that the configuration does not name. Returns it."""
    _register(text)
    return text


def redact(text: str) -> str:
    """The text without any secret that this process has read. A safeguard: texts should not contain any."""
    kind = at_once(kind_of(text))
    for form in tuple(_known):  # a copy: another thread may add a secret meanwhile
        if form.may_occur(text, kind):
            text = at_once(form.replaced(text, lambda _: REDACTED, kind))
    return text


def redacted(value: Any) -> Any:  # noqa: ANN401 - any value may be logged or shown
    """The value in JSON types, with secrets redacted from strings. Keys of mappings stay: they are constants."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {name: redacted(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [each if type(each) is int else redacted(each) for each in value]  # most lists have only numbers
    return redact(str(value))


def _read(path: Path) -> str:
    """The content of a secret file.

    Raises UserError when it cannot be a secret or cannot be read, RetryLater when too many files are open.
    """
    where = f"the secret file {path}"
    try:
        if path.exists() and not path.is_file():  # reading a pipe would block
            text = f"{where} is not a regular file: give the path of a file that contains the secret"
            raise UserError(text, code="secret_not_a_file")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            text = f"{where} is larger than {MAX_FILE_BYTES >> 10} KiB: write only the secret to it"
            raise UserError(text, code="secret_too_large")
        return content.decode("utf-8-sig")
    except OSError as error:
        if is_out_of_files(error):
            text = f"{where} cannot be read: {error.strerror}: {RAISE_FILE_LIMIT}"
            raise RetryLater(text, code=OUT_OF_FILES) from None
        text = f"{where} cannot be read: {error.strerror}: write the secret to it"
        raise UserError(text, code="secret_unreadable") from None
    except UnicodeDecodeError:
        text = f"{where} is not UTF-8: write the secret to it as text"
        raise UserError(text, code="secret_not_utf8") from None


def _redacted_bytes(found: bytes) -> bytes:
    """What replaces an occurrence of a secret in a response."""
    text = found.decode(errors="replace")
    return found if len(text) < MIN_LENGTH_IN_DATA or text.isdecimal() else REDACTED.encode()


def _register(secret: str) -> set[Escaped]:
    """Redact a secret from all texts from now on, unless it is too short. Returns its forms."""
    forms = _forms(secret) if len(secret) >= MIN_LENGTH else set()
    with _lock:
        if not forms.issubset(_known):
            _known[:] = _longest_first({*_known, *forms})
    return forms


def _longest_first(forms: Iterable[Escaped]) -> list[Escaped]:
    return sorted(forms, key=lambda form: len(form.text), reverse=True)


def _forms(secret: str) -> set[Escaped]:
    """The encodings in which a text may contain the secret, apart from escapes: plain and base64."""
    return set(map(_escaped, _encodings(secret)))


def _encodings(secret: str) -> list[str]:
    return [secret, *(encode(secret.encode()).decode() for encode in (b64encode, urlsafe_b64encode))]


@cache
def _escaped(text: str) -> Escaped:
    """One object for each text, so that forms can be compared."""
    return Escaped(text)
