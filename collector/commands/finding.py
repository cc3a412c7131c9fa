"""What `collector check` reports."""

from collections.abc import Callable

from msgspec import Struct


class Finding(Struct, frozen=True):
    """The result of one check."""

    what: str
    """What was checked: a configuration file, a key, an account, a vendor's clock, or a part of Kafka."""
    ok: bool
    text: str
    """The state if `ok`, else the problem and the advice."""
    warning: bool = False
    """Whether it is ok, but has the consequence that `text` names."""


Report = Callable[[Finding], None]
