"""The configuration before validation: config.toml, and the environment as a table of the same structure."""

import os
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import Any

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, UserError, is_out_of_files
from collector.settings import EnvironmentValue

PREFIX = "COLLECTOR__"


def load_file(path: Path) -> dict[str, Any]:
    """The contents of the file.

    Raises UserError when it cannot be read or is not TOML, and Failed when too many files are open.

    TOML is UTF-8; files with a byte-order mark of UTF-8 or UTF-16 are read too, because some editors write them.
    """
    try:
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8-sig"
        return tomllib.loads(content.decode(encoding))
    except OSError as error:
        if is_out_of_files(error):
            raise Failed(f"{path}: {error.strerror}: {RAISE_FILE_LIMIT}", code=OUT_OF_FILES) from error
        text = f"{path}: {error.strerror}: pass the path of the configuration with --config"
        raise UserError(text, code="config_unreadable") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}", code="config_not_utf8") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}", code="config_not_toml") from error


def load_environment() -> dict[str, Any]:
    """The variables with the prefix, as nested tables: `COLLECTOR__KAFKA__GROUP` is the key `kafka.group`.

    White space around a value is removed, as it is from secrets: files of variables often end in line endings.

    Raises UserError for a variable that names no key, and for two variables of which one names a table and the other a
    value.
    """
    tree: dict[str, Any] = {}
    for name, value in os.environ.items():
        if not name.upper().startswith(PREFIX):
            continue
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
