"""The credential of a source: how it is read, and what an operator does when the vendor rejects it."""

from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

from collector.errors import Park, UserError
from collector.raw_config import PREFIX
from collector.secrets import Secret


class Credential(Struct, frozen=True):
    """A secret of a source, with its key in the configuration."""

    source: str
    key: str
    """The key of the secret in the table of the source, such as `token`."""
    user: str
    """The key of the user that it belongs to, such as `username`."""
    secret: Secret

    @property
    def path(self) -> str:
        """The key in the configuration, such as `sources.mall.token`."""
        return f"sources.{self.source}.{self.key}"

    def reveal(self) -> str:
        """The current value. Raises Park when it cannot be read, and RetryLater when too many files are open."""
        try:
            return self.secret.reveal()
        except UserError as error:
            text = f"the {self.key} is not available: {error}"
            raise Park(text, code="secret_unavailable", advice=f"provide {self.path}") from error

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Let the errors of rejected requests name the key, where it is read from, and when a change takes effect."""
        try:
            yield
        except Park as error:
            error.advice = self._advice(error.code) or error.advice
            raise

    def _advice(self, code: str) -> str:
        """The advice for a rejected key, without its value; empty for other errors."""
        where, change = self._origin()
        user = f"sources.{self.source}.{self.user}"
        if code == "http_401":
            return f"correct {self.path} ({where}), or {user}; {change}"
        if code == "http_403":
            return (
                f"the key has no access to this: check {user} and the ids of sources.{self.source}, or replace "
                f"{self.path} ({where}); {change}"
            )
        return ""

    def _origin(self) -> tuple[str, str]:
        """Where the secret is read from, and whether a change takes effect without a restart."""
        if self.secret.file is not None:
            return f"in the file {self.secret.file}", "a changed file takes effect without a restart"
        variable = self.secret.env
        if self.secret.is_override:
            variable = PREFIX + self.path.upper().replace(".", "__")
        if variable is not None:
            return f"in the environment variable {variable}", "a changed variable takes effect after a restart"
        return "inline in the configuration", "a changed configuration takes effect without a restart"
