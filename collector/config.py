"""Validated settings from config.toml and the environment.

Each package defines its own part; this module composes them.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from collector.errors import Failed, InvalidConfiguration, Problem, RetryLater, UserError, suggestion_or_list
from collector.kafka.settings import KafkaSettings
from collector.model import Account, EventType
from collector.pipeline.message import Origin, topics_of
from collector.raw_config import EnvironmentValue, RawConfig, load_environment, load_files, overridden
from collector.redaction import MIN_LENGTH, redact
from collector.secrets import Secret
from collector.settings import STRICT, Name
from collector.vendors import VENDORS, AnySource
from collector.vendors.limits import Limits
from collector.web.settings import HttpSettings


class LogSettings(BaseModel):
    """`[log]`."""

    model_config = STRICT

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


def _require_sources(sources: dict[str, AnySource]) -> dict[str, AnySource]:
    if not sources:
        raise ValueError("expected at least one source: add a table such as [sources.mall]")
    return sources


class Settings(BaseModel):
    """The whole configuration."""

    model_config = STRICT

    include: Annotated[str, Field(min_length=1)] | None = None
    """The files with further sources, as a pattern relative to the folder of config.toml. See `raw_config`."""
    kafka: KafkaSettings = KafkaSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    sources: Annotated[dict[Name, AnySource], AfterValidator(_require_sources)]

    def topics(self) -> Mapping[str, EventType]:
        """The topics of the sources' streams, of dead letters and of progress, each with the type of its messages."""
        found: dict[str, EventType] = {}
        for name in self.sources:
            found |= self._topics_of(name)
        return found

    def _topics_of(self, source: str) -> Mapping[str, EventType]:
        chosen, vendor = self.sources[source].chosen, VENDORS[self.sources[source].vendor]
        types = (each for stream in chosen for each in vendor.types_of(stream))
        return topics_of(types, self.topic_prefix(source), self.kafka.topic_prefix)

    def compacted_topics(self) -> set[str]:
        """Those of the topics that keep only the last message of each key."""
        return {name for name, kind in self.topics().items() if kind.compacted}

    def topic_prefix(self, source: str) -> str:
        """The prefix of the topics of a source's events and dead letters."""
        own = self.sources[source].topic_prefix
        return self.kafka.topic_prefix if own is None else own

    def origin(self, account: Account, source: str, stream: str) -> Origin:
        """What the messages of a stream say about where they come from, and in which topics they are."""
        return Origin(account, source, stream, redact, self.topic_prefix(source), self.kafka.topic_prefix)

    @model_validator(mode="after")
    def _require_distinct_topics(self) -> "Settings":
        """Names that differ only in dots and underscores are one name in Kafka's metrics: brokers refuse the second."""
        first: dict[str, tuple[str, str]] = {}
        for source in self.sources:
            for name in self._topics_of(source):
                other, others = first.setdefault(name.replace(".", "_"), (source, name))
                if name != others:
                    raise ValueError(
                        f"the topics {others} of sources.{other} and {name} of sources.{source} differ only in dots "
                        "and underscores, which Kafka refuses: change the topic_prefix of one of them"
                    )
        return self

    @model_validator(mode="after")
    def _require_equal_limits_per_account(self) -> "Settings":
        first: dict[str, tuple[str, dict[str, object]]] = {}
        for name, source in self.sources.items():
            limits = {field: getattr(source, field) for field in Limits.model_fields}
            other, other_limits = first.setdefault(str(source.account), (name, limits))
            if limits != other_limits:
                different = ", ".join(field for field in limits if limits[field] != other_limits[field])
                raise ValueError(f"sources {other} and {name} use the same account and must have equal {different}")
        return self


def load(path: Path) -> Settings:
    """The settings from the file, with the environment's overrides.

    Raises InvalidConfiguration, whose `problems` list every wrong key, or UserError when the file cannot be read.
    """
    raw_config = load_files(path)
    try:
        return Settings.model_validate(overridden(raw_config.tables, load_environment()))
    except ValidationError as error:
        problems = (_problem(each) for each in error.errors(include_url=False))
        raise InvalidConfiguration(_with_file(each, raw_config) for each in problems) from None


def _with_file(problem: Problem, raw_config: RawConfig) -> Problem:
    """The problem with the included file that contains the key, if it is in one."""
    table, _, rest = problem.path.partition(".")
    file = raw_config.included.get(rest.partition(".")[0]) if table == "sources" else None
    return problem if file is None else problem._replace(file=str(file))


def reveal_secrets(settings: Settings, sources: Iterable[str]) -> list[str]:
    """Read once every secret of Kafka and of these sources; return the keys of those that are too short to be redacted.

    Raises InvalidConfiguration when some cannot be read, and Failed when too many files are open. A secret that goes
    missing later only parks its source.
    """
    problems, short = [], []
    for path, secret in _secrets(settings, sources):
        try:
            if len(secret.reveal()) < MIN_LENGTH:
                short.append(path)
        except UserError as error:
            problems.append(Problem(path, error.code, str(error)))
        except RetryLater as error:
            raise Failed(f"{path}: {error}", code=error.code) from None
    if problems:
        raise InvalidConfiguration(problems)
    return short


def _secrets(settings: Settings, sources: Iterable[str]) -> Iterator[tuple[str, Secret]]:
    """Yield every secret of Kafka and of these sources with its key."""
    if settings.kafka.sasl:
        for key, secret in settings.kafka.sasl.secrets.items():
            yield f"kafka.sasl.{key}", secret
    if settings.kafka.schema_registry and settings.kafka.schema_registry.password:
        yield "kafka.schema_registry.password", settings.kafka.schema_registry.password
    for name in sources:
        for key, secret in settings.sources[name].secrets.items():
            yield f"sources.{name}.{key}", secret


_PROBLEMS = {
    "int_type": ("wrong_type", "expected an integer, got {got}"),
    "string_type": ("wrong_type", "expected a string, got {got}"),
    "bool_type": ("wrong_type", "expected true or false, got {got}"),
    "datetime_type": ("wrong_type", "expected a date and time such as 2026-11-01T00:00:00Z, got {got}"),
    "model_type": ("wrong_type", "expected a table, got {got}"),
    "model_attributes_type": ("wrong_type", "expected a table, got {got}"),
    "dict_type": ("wrong_type", "expected a table, got {got}"),
    "tuple_type": ("wrong_type", "expected an array, got {got}"),
    "timezone_aware": (
        "missing_offset",
        "expected a date and time with a UTC offset, such as 2026-11-01T00:00:00Z",
    ),
    "missing": ("missing", "missing"),
    "greater_than_equal": ("out_of_range", "expected {ge} or more"),
    "less_than_equal": ("out_of_range", "expected {le} or less"),
    "string_too_short": ("out_of_range", "expected a string that is not empty"),
    "string_too_long": ("out_of_range", "expected at most {max_length} characters"),
    "string_pattern_mismatch": ("invalid_value", "expected only letters, digits, dots, underscores and hyphens"),
    "literal_error": ("not_allowed", "expected {expected}"),
    "union_tag_not_found": ("missing", "missing"),
}
"""Code and text by pydantic's type of error."""
_TOML_TYPES = {
    str: "a string",
    EnvironmentValue: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    dict: "a table",
    list: "an array",
}


def _problem(error: ErrorDetails) -> Problem:
    """What is wrong with a key, in the words of this program instead of pydantic's."""
    path = _path(error["loc"], error["type"])
    if error["type"] == "extra_forbidden":
        return Problem(path, "unknown_key", _unknown_key(error["loc"]))
    if error["type"] == "union_tag_invalid":
        hint = suggestion_or_list(str(error["ctx"]["tag"]), VENDORS, "the vendors are")
        return Problem(path, "not_allowed", f"unknown vendor{hint}")
    if error["type"] in _PROBLEMS:
        code, text = _PROBLEMS[error["type"]]
        got = _TOML_TYPES.get(type(error["input"]), f"a {type(error['input']).__name__}")
        return Problem(path, code, text.format(got=got, **error.get("ctx", {})))
    code = "invalid_value" if error["type"] == "value_error" else error["type"]
    return Problem(path, code, error["msg"].removeprefix("Value error, "))


def _unknown_key(location: tuple[int | str, ...]) -> str:
    """What is wrong with a key that does not exist, with the one that was probably meant, or all that exist."""
    key, known = str(location[-1]), _sibling_keys(location)
    if location[-2:-1] != ("streams",):
        return f"unknown key{suggestion_or_list(key, known, 'the keys are')}"
    stream, at, _ = key.partition("@")
    if at and stream in known:
        return (
            f"unknown stream: the table {stream} is for all time zones of the source, which are listed in its "
            "tables `zones`"
        )
    return f"unknown stream{suggestion_or_list(key, known, 'the streams are')}"


def _sibling_keys(location: tuple[int | str, ...]) -> list[str]:
    """The known keys of the table that contains an unknown key."""
    tables: list[type[BaseModel]] = [Settings]
    for part in location[:-1]:
        inner = [
            table
            for each in tables
            if part in each.model_fields
            for table in _tables(each.model_fields[str(part)].annotation)
        ]
        if inner:
            tables = inner
        elif part in VENDORS:  # the tag of the union of sources
            tables = [VENDORS[str(part)].settings]
    return [key for table in tables for key in table.model_fields]


def _tables(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401 - annotations have no type
    """The models that an annotation contains, at any depth."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _tables(each)


_NOT_KEYS = frozenset({"[key]", "[all]", "[ids]"})
"""What pydantic adds to a location: that the key itself is wrong, and the alternative of a value."""


def _path(location: tuple[int | str, ...], error_type: str) -> str:
    """The key as operators write it, such as `sources.mall.user_id`, from pydantic's location of an error."""
    parts = [str(part) for part in location if part not in _NOT_KEYS]
    if parts[:1] == ["sources"] and parts[2:3] and parts[2] in VENDORS:  # the tag of the union of sources
        del parts[2]
    if error_type.startswith("union_tag"):
        parts.append("vendor")
    return ".".join(parts)
