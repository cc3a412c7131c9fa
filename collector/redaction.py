"""Redacts secrets from everything that is shown. `secrets.py` reads them."""

from base64 import b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Iterable, Mapping
from functools import cache
from threading import Lock
from typing import Any

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

_lock = Lock()
"""Held while `_known` changes: a reload reads secrets in another thread."""
_known: list[Escaped] = []
"""Every form of every secret that this process has read, longest first."""


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


def register(secret: str) -> set[Escaped]:
    """Redact a secret from all texts from now on, unless it is too short. Returns its forms."""
    forms = _forms(secret) if len(secret) >= MIN_LENGTH else set()
    with _lock:
        if not forms.issubset(_known):
            _known[:] = _longest_first({*_known, *forms})
    return forms


def learn_secret(text: str) -> str:
    """Redact this text from now on; for secrets that the configuration does not name. Returns it."""
    register(text)
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


def redacted_response(response: bytes, forms: Iterable[Escaped]) -> Steps[bytes]:
    """A response without a secret that has these forms: a vendor may repeat it, in an error or in a row.

    Short forms stay, and so do forms of digits only, which may be numbers in the data. Each step is short, whatever the
    response contains.
    """
    kind = yield from kind_of(response)
    for form in _longest_first(forms):  # a copy: meanwhile, another task may add a form
        if len(response) > MAX_BLOCK or form.may_occur(response, kind):
            response = yield from form.replaced(response, _redacted_bytes, kind)
    return response


def _redacted_bytes(found: bytes) -> bytes:
    """What replaces an occurrence of a secret in a response."""
    text = found.decode(errors="replace")
    return found if len(text) < MIN_LENGTH_IN_DATA or text.isdecimal() else REDACTED.encode()


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
