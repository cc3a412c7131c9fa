"""What is written: config.toml, and the environment as a table like it; nobody has judged it yet."""

import os
import tomllib
from pathlib import Path
from typing import Any

from collector.errors import UserError
from collector.settings import FromEnvironment

PREFIX = "COLLECTOR__"


def table(path: Path) -> dict[str, Any]:
    """The file's. Raises UserError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the configuration's path with --config") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}") from error


def environment() -> dict[str, Any]:
    """`COLLECTOR__KAFKA__GROUP` is the key `kafka.group`, and so on. Raises UserError for one that names no key."""
    tree: dict[str, Any] = {}
    for name, value in os.environ.items():
        if not name.upper().startswith(PREFIX):
            continue
        *path, last = name[len(PREFIX) :].lower().split("__")
        if not all((*path, last)):
            raise UserError(f"{name}: names no key: expected e.g. {PREFIX}KAFKA__GROUP")
        found = tree
        for part in path:
            found = found.setdefault(part, {})
            if not isinstance(found, dict):
                raise UserError(f"{name}: names a key inside one that another variable sets")
        found[last] = FromEnvironment(value)
    return tree
