"""The configuration before validation: config.toml with the files that it includes, and the environment.

The environment is a table of the same structure.
"""

import errno
import os
import select
import tomllib
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Mapping
from glob import glob, has_magic
from hashlib import blake2b
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from collector.errors import (
    NUL_IN_PATH,
    OUT_OF_FILES,
    RAISE_FILE_LIMIT,
    Failed,
    InvalidConfiguration,
    Problem,
    UserError,
    is_out_of_files,
)

PREFIX = "COLLECTOR__"
PIPE_WAIT_S = 5.0
"""How long a pipe may have no content: a shell starts the program that writes to it at the same time as this one."""


class EnvironmentValue(str):
    """A value from the environment: text that is converted to the type of its key."""

    __slots__ = ()


class RawConfig(NamedTuple):
    """The tables of a configuration file and of the files that it includes."""

    tables: dict[str, Any]
    included: Mapping[str, Path]
    """The included file that contains a source, by the source's name."""


def load_files(path: Path) -> RawConfig:
    """The contents of the file and of the files that its key `include` names; the environment may set the key too.

    Raises InvalidConfiguration when `include` cannot be a path, when an included file has other tables than those of
    sources, or a source that another file has too; and what `load_file` raises.
    """
    tables = load_file(path)
    pattern = load_environment().get("include", tables.get("include"))
    if not isinstance(pattern, str):
        return RawConfig(tables, {})
    if "\0" in pattern:
        raise InvalidConfiguration([Problem("include", "invalid_value", NUL_IN_PATH)])
    sources = tables.get("sources", {})
    if not isinstance(sources, dict):
        return RawConfig(tables, {})
    merged, included, problems = dict(sources), dict[str, Path](), list[Problem]()
    for file in included_files(path, pattern):
        for key, table in load_file(file).items():
            if key != "sources" or not isinstance(table, dict):
                text = f"an included file may only have tables of sources: move this key to {path}"
                problems.append(Problem(key, "not_a_source", text, str(file)))
                continue
            for name, source in table.items():
                if name in merged:
                    other = included.get(name, path)
                    text = f"{other} has this source too: remove one of them, or give it another name"
                    problems.append(Problem(f"sources.{name}", "defined_twice", text, str(file)))
                else:
                    merged[name], included[name] = source, file
    if problems:
        raise InvalidConfiguration(problems)
    return RawConfig({**tables, "sources": merged}, included)


def included_files(path: Path, pattern: str) -> list[Path]:
    """The files that the pattern matches, in the order of their names. It is relative to the folder of `path`.

    Files with a dot at the start of their name do not match, as in shells: editors and orchestrators keep copies there.
    """
    folder = Path() if path.is_fifo() else path.parent
    _require_folder(folder / pattern)
    return [file for file in map(Path, sorted(glob(str(folder / pattern)))) if file.is_file()]  # noqa: PTH207 - hides dots


def _require_folder(pattern: Path) -> None:
    """Raise UserError if the folder that the pattern names exists and cannot be listed.

    Its sources would count as removed.
    """
    fixed = takewhile(lambda part: not has_magic(part), pattern.parent.parts)
    folder = Path(*fixed)
    try:
        os.scandir(folder).close()
    except FileNotFoundError:
        return  # as a folder without a file that matches
    except OSError as error:
        text = f"include: the folder {folder} cannot be listed: {error.strerror}: allow it, or correct the pattern"
        raise UserError(text, code="include_unreadable") from error


def digest(path: Path, pattern: str | None) -> bytes:
    """A digest of the contents of the file and of the files that the pattern includes. Never raises."""
    found = blake2b(digest_size=16)
    try:
        included = included_files(path, pattern) if pattern else []
    except UserError as error:
        included = []
        found.update(error.code.encode())
    for file in (path, *included):
        try:
            content = file.read_bytes()
        except OSError as error:
            content = repr(error.errno).encode()
        for part in (os.fsencode(file), content):
            found.update(len(part).to_bytes(8, "big") + part)
    return found.digest()


def load_file(path: Path) -> dict[str, Any]:
    """The contents of one file.

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
    except (ValueError, RecursionError) as error:  # also for integers of thousands of digits, and for deep nesting
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
    and the other a value, or both the same key: names are compared without regard to case.
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
        if last in node:
            text = f"{name}: another variable sets this key too, or a key in it: unset one of them"
            raise UserError(text, code="conflicting_variables")
        node[last] = EnvironmentValue(value.strip())
    return tree


def overridden(tables: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with the values of the overrides, and with their own where the overrides have none."""
    merged = {**tables, **overrides}
    for key in tables.keys() & overrides.keys():
        if isinstance(tables[key], dict) and isinstance(overrides[key], dict):
            merged[key] = overridden(tables[key], overrides[key])
    return merged
