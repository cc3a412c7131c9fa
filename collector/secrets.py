"""Secrets: where they come from, and that they appear nowhere."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, model_validator

from collector.errors import UserError

CONCEALED = "[secret]"
_known: set[str] = set()


class Secret(BaseModel):
    """A string, `{ env = "NAME" }` or `{ file = "/path" }`. Prints as itself nowhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    value: str | None = None
    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_toml(cls, given: Any) -> Any:  # noqa: ANN401 - anything may stand there
        if isinstance(given, str):
            if not given:
                raise ValueError("expected a secret, got an empty string")
            _known.update(_forms(given))
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
            secret = self.value
        elif self.env is not None:
            if self.env not in os.environ:
                raise UserError(f"the environment variable {self.env} is not set: set it to the secret")
            secret = os.environ[self.env].strip()
        else:
            try:
                secret = Path(self.file or "").read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise UserError(f"the secret's file {self.file} cannot be read: {error}") from error
        if not secret:
            where = f"the environment variable {self.env}" if self.env else f"the file {self.file}"
            raise UserError(f"{where} is empty: put the secret there")
        _known.update(_forms(secret))
        return secret

    def __repr__(self) -> str:
        return f"Secret({CONCEALED})"

    __str__ = __repr__


def learn(text: str) -> str:
    """Take note of what was made of a secret and must appear nowhere either, such as a header; returns it."""
    _known.update(_forms(text))
    return text


def conceal(text: str) -> str:
    """The text without any secret that this process has seen. The last line of defence: no text should hold one."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, CONCEALED)
    return text


def _forms(secret: str) -> set[str]:
    """The secret as it may stand in a text: as it is, as a part of a URL, inside JSON, or as Python prints it."""
    in_urls = (quote(secret, safe=safe) for safe in ("", "/", "/:,"))
    in_json = json.dumps(secret)[1:-1]
    return {form for form in (secret, *in_urls, in_json, in_json.replace("/", "\\/"), repr(secret)[1:-1]) if form}
