"""The configuration before validation: config.toml, and the environment as a table of the same structure."""

import errno
import os
import select
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, UserError, is_out_of_files
from collector.settings import EnvironmentValue

PREFIX = "COLLECTOR__"
PIPE_WAIT_S = 5.0
"""How long a pipe may have no content: a shell starts the program that writes to it at the same time as this one."""


def load_file(path: Path) -> dict[str, Any]:
    """The contents of the file.

    Raises UserError when it cannot be read or is not TOML, and Failed when too many files are open.

    TOML is UTF-8; files with a byte-order mark of UTF-8 or UTF-16 are read too, because some editors write them.
    """
    try:
        content = _read_pipe(path) if path.is_fifo() else path.read_bytes()
        encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
        return tomllib.loads(content.decode(encoding))
    except OSError as error:
        if is_out_of_files(error):
            raise Failed(f"{path}: {error.strerror}: {RAISE_FILE_LIMIT}", code=OUT_OF_FILES) from error
        text = f"{path}: {error.strerror}: pass the path of the configuration with --config"
        raise UserError(text, code="config_unreadable") from error
    except UnicodeDecodeError as error:
        name = error.encoding.upper()
        text = f"{path}: not {name}: the byte at position {error.start} is invalid: save the file as UTF-8"
        raise UserError(text, code="config_not_utf8") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}", code="config_not_toml") from error


def _read_pipe(path: Path) -> bytes:
    """The content of a pipe, as of `--config <(…)`. Raises OSError if nothing is written to it: a read would block."""
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(pipe, "rb") as file:
        if not select.select([file], [], [], PIPE_WAIT_S)[0]:
            raise OSError(errno.EAGAIN, "nothing is written to this pipe")
        os.set_blocking(pipe, True)
        return file.read()


def load_environment() -> dict[str, Any]:
    """The variables with the prefix, as nested tables: `COLLECTOR__KAFKA__GROUP` is the key `kafka.group`.

    White space around a value is removed, as it is from secrets: files of variables often end in line endings.

    Raises UserError for a variable that names no key or is not UTF-8, and for two variables of which one names a table
    and the other a value.
    """
    tree: dict[str, Any] = {}
    for name, value in os.environ.items():
        if not name.upper().startswith(PREFIX):
            continue
        try:
            (name + value).encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="replace").decode()
            raise UserError(f"{shown}: not UTF-8: set it to text in UTF-8", code="variable_not_utf8") from None
        *path, last = name[len(PREFIX) :].lower().split("__")
        if not all((*path, last)):
            raise UserError(f"{name}: names no key: expected e.g. {PREFIX}KAFKA__GROUP", code="invalid_variable")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                text = f"{name}: another variable sets a value where this one needs a table: unset one of them"
                raise UserError(text, code="conflicting_variables")
        node[last] = EnvironmentValue(value.strip())
    return tree
