"""config.toml, with the environment on top, to typed settings. Each package owns its part; this composes them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from collector.errors import UserError, did_you_mean
from collector.kafka.settings import KafkaSettings
from collector.model import EventType
from collector.pipeline.message import DEAD_LETTER
from collector.raw_config import environment, table
from collector.settings import STRICT, FromEnvironment
from collector.vendors import VENDORS, AnySource
from collector.vendors.http import Limits
from collector.web.settings import HttpSettings


class LogSettings(BaseModel):
    """`[log]`."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


def _is_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", text):
        raise ValueError("expected a name of a-z, 0-9 and _ that begins with a letter")
    return text


SourceName = Annotated[str, AfterValidator(_is_name)]


def _some(sources: dict[str, AnySource]) -> dict[str, AnySource]:
    if not sources:
        raise ValueError("expected at least one source: add a table such as [sources.mall]")
    return sources


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)

    reads_environment: ClassVar[bool] = True

    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    sources: Annotated[dict[SourceName, AnySource], AfterValidator(_some)]

    def topics(self) -> set[str]:
        """The topics that the sources' streams and their dead letters need, without the prefix."""
        return {DEAD_LETTER.topic, *(kind.topic for kind in self._event_types())}

    def compacted_topics(self) -> set[str]:
        """Those of them that keep the last message of each key."""
        return {kind.topic for kind in self._event_types() if kind.compacted}

    def _event_types(self) -> Iterator[EventType]:
        for source in self.sources.values():
            for name in source.streams.chosen:
                yield from VENDORS[source.vendor].event_types[name]

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
        return (_Environment(settings_cls), init_settings) if cls.reads_environment else (init_settings,)


class Given(Settings):
    """A configuration that is given whole: the environment does not reach it."""

    reads_environment: ClassVar[bool] = False


class _Environment(PydanticBaseSettingsSource):
    """`COLLECTOR__KAFKA__GROUP` is the key `kafka.group`, and so on; one that names no key is an error."""

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError  # the base class's way, by field; ours is by variable

    def __call__(self) -> dict[str, Any]:
        return environment()


def load(path: Path) -> Settings:
    """The settings. Raises UserError that names every error at once, each with its path."""
    raw_config = table(path)
    if private := [key for key in raw_config if key.startswith("_")]:  # pydantic would take some for options of its own
        raise UserError("\n".join(f"{key}: unknown key" for key in private))
    try:
        return Settings(**raw_config)
    except ValidationError as error:
        raise UserError("\n".join(_explained(error))) from None


_WORDS = {
    "int_type": "expected an integer, got {got}",
    "string_type": "expected a string, got {got}",
    "bool_type": "expected true or false, got {got}",
    "datetime_type": "expected a date and time such as 2026-11-01T00:00:00Z, got {got}",
    "timezone_aware": "expected a date and time with an offset, such as 2026-11-01T00:00:00Z",
    "model_type": "expected a table, got {got}",
    "dict_type": "expected a table, got {got}",
    "tuple_type": "expected an array, got {got}",
    "missing": "missing",
    "greater_than_equal": "expected {ge} or more",
    "less_than_equal": "expected {le} or less",
    "string_too_short": "expected a text that is not empty",
    "string_too_long": "expected {max_length} characters at most",
    "string_pattern_mismatch": "expected letters, digits, dots, underscores and hyphens alone",
    "literal_error": "expected {expected}",
    "union_tag_invalid": "expected {expected_tags}",
    "union_tag_not_found": "missing",
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
    for found in error.errors(include_url=False):
        path = _path(found["loc"], found["type"])
        if found["type"] == "extra_forbidden":
            yield f"{path}: unknown key{did_you_mean(str(found['loc'][-1]), _keys_beside(found['loc']))}"
            continue
        got = _KINDS.get(type(found["input"]), f"a {type(found['input']).__name__}")
        words = _WORDS.get(found["type"])
        text = found["msg"].removeprefix("Value error, ") if words is None else words
        yield f"{path or 'the configuration'}: {text.format(got=got, **found.get('ctx', {})) if words else text}"


def _keys_beside(place: tuple[int | str, ...]) -> list[str]:
    """The keys that there are where an unknown one stands."""
    tables: list[type[BaseModel]] = [Settings]
    for part in place[:-1]:
        inner = [
            table
            for each in tables
            if part in each.model_fields
            for table in _tables(each.model_fields[str(part)].annotation)
        ]
        if inner:
            tables = inner
        elif part in VENDORS:  # which kind of source it was taken for
            tables = [each for each in tables if get_args(each.model_fields["vendor"].annotation) == (part,)]
    return [key for table in tables for key in table.model_fields]


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations have no type
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _tables(each)


def _path(place: tuple[int | str, ...], kind: str) -> str:
    parts = [str(part) for part in place if part != "[key]"]
    if parts[:1] == ["sources"] and parts[2:3] and parts[2] in VENDORS:  # which kind of source it was taken for
        del parts[2]
    if kind.startswith("union_tag"):
        parts.append("vendor")
    return ".".join(parts)
