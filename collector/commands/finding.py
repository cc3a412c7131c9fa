"""What `collector check` reports."""

import sys
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


def print_finding(finding: Finding) -> None:
    """Print a line with the result, in color on a terminal."""
    mark, style = ("ok", "green") if finding.ok else ("failed", "red")
    if finding.warning:
        mark, style = "warn", "yellow"
    mark, rest = f"{mark:6}", f" {finding.what}: {finding.text}"
    if not sys.stdout.isatty():
        sys.stdout.write(f"{mark}{rest}\n")
        return
    from rich.console import Console  # noqa: PLC0415 - a tenth of the time of `check --offline`
    from rich.text import Text  # noqa: PLC0415

    Console().print(Text.assemble((mark, style), rest), soft_wrap=True)
