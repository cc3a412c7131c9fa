"""Secrets: where they are read from. `redaction.py` removes them from everything that is shown."""

import os
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from collector.errors import NUL_IN_PATH, OUT_OF_FILES, RAISE_FILE_LIMIT, RetryLater, UserError, is_out_of_files
from collector.occurrences import Escaped
from collector.redaction import REDACTED, redacted_response, register
from collector.steps import Steps

MAX_FILE_BYTES = 64 << 10
"""The largest file of a secret: a larger one is probably a wrong path."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_UTF8 = re.compile(r"[\ud800-\udfff]")


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
            register(given)
            return {"value": str(given), "is_override": type(given) is not str}  # `EnvironmentValue`
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
        self._forms.update(register(text))
        return text

    def redacted(self, response: bytes) -> Steps[bytes]:
        """A response without this secret. See `redacted_response`."""
        return redacted_response(response, self._forms)

    def __repr__(self) -> str:
        return f"Secret({REDACTED})"

    __str__ = __repr__


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
