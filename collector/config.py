"""config.toml, with the environment on top, to typed settings. Each package owns its part; this composes them."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from collector.errors import UserError
from collector.kafka.settings import KafkaSettings
from collector.settings import STRICT, FromEnvironment
from collector.vendors import AnySource
from collector.vendors.http import Limits

PREFIX = "COLLECTOR__"


class HttpSettings(BaseModel):
    """`[http]`."""

    model_config = STRICT

    listen: Annotated[str, StringConstraints(pattern=r"^.+:\d{1,5}$")] = "127.0.0.1:9464"

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)


class LogSettings(BaseModel):
    """`[log]`."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


SourceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    sources: Annotated[dict[SourceName, AnySource], Field(min_length=1)]

    @model_validator(mode="after")
    def _sources_of_one_account_agree(self) -> "Settings":
        first: dict[str, tuple[str, dict[str, object]]] = {}
        for name, source in self.sources.items():
            limits = {field: getattr(source, field) for field in Limits.model_fields}
            other, theirs = first.setdefault(str(source.account), (name, limits))
            if limits != theirs:
                differ = ", ".join(field for field in limits if limits[field] != theirs[field])
                raise ValueError(f"sources {other} and {name} are of one account and must agree on {differ}")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del env_settings, dotenv_settings, file_secret_settings  # theirs takes unknown keys in silence; ours is below
        return _Environment(settings_cls), init_settings


class _Environment(PydanticBaseSettingsSource):
    """`COLLECTOR__KAFKA__GROUP` is the key `kafka.group`, and so on; one that names no key is an error."""

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the base class's way, by field; ours is by variable

    def __call__(self) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for name, value in os.environ.items():
            if not name.upper().startswith(PREFIX):
                continue
            *path, last = name[len(PREFIX) :].lower().split("__")
            table = tree
            for part in path:
                table = table.setdefault(part, {})
                if not isinstance(table, dict):
                    raise UserError(f"{name}: names a key inside one that another variable sets")
            table[last] = FromEnvironment(value)
        return tree


def load(path: Path) -> Settings:
    """The settings. Raises UserError that names every error at once, each with its path."""
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}: give the configuration's path with --config") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {error}") from error
    try:
        return Settings(**table)
    except ValidationError as error:
        raise UserError("\n".join(_explained(error))) from None
    except TypeError as error:
        raise UserError(f"{path}: {error}") from error


_WORDS = {
    "int_type": "expected an integer, got {got}",
    "string_type": "expected a string, got {got}",
    "bool_type": "expected true or false, got {got}",
    "datetime_type": "expected a date and time such as 2026-11-01T00:00:00Z, got {got}",
    "timezone_aware": "expected a date and time with an offset, such as 2026-11-01T00:00:00Z",
    "model_type": "expected a table, got {got}",
    "dict_type": "expected a table, got {got}",
    "tuple_type": "expected an array, got {got}",
    "extra_forbidden": "unknown key",
    "missing": "missing",
}
_KINDS = {
    str: "a string",
    FromEnvironment: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    dict: "a table",
    list: "an array",
}


def _explained(error: ValidationError) -> Iterator[str]:
    for found in error.errors(include_url=False, include_context=False):
        path = ".".join(str(part) for part in found["loc"] if part != "[key]")
        got = _KINDS.get(type(found["input"]), f"a {type(found['input']).__name__}")
        text = _WORDS.get(found["type"], found["msg"].removeprefix("Value error, ").removeprefix("Input "))
        yield f"{path or 'the configuration'}: {text.format(got=got) if '{got}' in text else text}"
