"""`[kafka]` in the configuration."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from collector.errors import NUL_IN_PATH
from collector.kafka.sasl import Sasl
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.settings import KAFKA_NAME, STRICT, Count, Duration, Switch, TopicPrefix, at_least, is_host


def _parse_path(given: object) -> object:
    if isinstance(given, str):
        if "\0" in given:
            raise ValueError(NUL_IN_PATH)
        return Path(given)
    return given


_Path = Annotated[Path, BeforeValidator(_parse_path)]

_SERVER = re.compile(r"(\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+)(:([0-9]{1,5}))?")


def _validate_servers(text: str) -> str:
    for server in text.split(","):
        match = _SERVER.fullmatch(server.strip())
        if match is None or not is_host(match[1]) or not 1 <= int(match[3] or 9092) <= 65535:  # noqa: PLR2004 - ports
            raise ValueError("expected host:port, comma separated, such as kafka-1:9092,kafka-2:9092")
    return text


def _explain_default(replicas: int) -> int:
    """Other programs write the brokers' default as -1."""
    if replicas < 1:
        raise PydanticCustomError("out_of_range", "expected 1 or more; leave the key out for the brokers' default")
    return replicas


STATE_TOPIC = "collector.state"


class Tls(BaseModel):
    """`[kafka.tls]`: PEM files; without ca_file, the authorities that the machine trusts."""

    model_config = STRICT

    ca_file: _Path | None = None
    cert_file: _Path | None = None
    key_file: _Path | None = None


class KafkaSettings(BaseModel):
    """`[kafka]`."""

    model_config = STRICT

    bootstrap_servers: Annotated[str, AfterValidator(_validate_servers)] = "localhost:9092"
    group: Annotated[str, Field(min_length=1, max_length=200, pattern=KAFKA_NAME)] = "collector"
    topic_prefix: TopicPrefix = ""
    state_partitions: Annotated[Count, Field(ge=1, le=1000)] = 32
    partitions: Annotated[Count, Field(ge=1, le=10_000)] = 6
    replication_factor: Annotated[Count, AfterValidator(_explain_default), Field(ge=1, le=9)] | None = None
    retention: Annotated[Duration, at_least(timedelta(seconds=1))] = timedelta(days=30)
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "lz4"
    create_topics: Switch = True
    transaction_timeout: Annotated[Duration, at_least(timedelta(seconds=3))] = timedelta(seconds=30)
    session_timeout: Annotated[Duration, at_least(timedelta(seconds=1))] = timedelta(seconds=15)
    tls: Tls | None = None
    sasl: Sasl | None = None
    schema_registry: SchemaRegistrySettings | None = None

    @model_validator(mode="after")
    def _require_cert_with_key(self) -> Self:
        if self.tls and (self.tls.cert_file is None) != (self.tls.key_file is None):
            raise ValueError("tls.cert_file and tls.key_file must be set together")
        return self

    @property
    def state_topic(self) -> str:
        return self.topic_prefix + STATE_TOPIC

    @property
    def username(self) -> str | None:
        """The user's name; None if it authenticates otherwise, or not at all."""
        return (self.sasl and self.sasl.username) or None

    @property
    def principal(self) -> str | None:
        """The user as rights name it; None if it is not known here: brokers derive it from a certificate or a token."""
        return f"User:{self.username}" if self.username else None

    @property
    def transactional_id_prefix(self) -> str:
        """How all transactional ids start. It contains the topic, so that deployments do not share them."""
        return f"{self.group}-{self.state_topic}-"

    def transactional_id(self, partition: int) -> str:
        """The id of a state partition's producer."""
        return f"{self.transactional_id_prefix}{partition}"

    @property
    def is_mock(self) -> bool:
        """Whether the broker is a mock: it cannot describe topics, and writes control records with wrong checksums."""
        return False

    # A request times out before the commit that contains it, and a commit before the broker aborts its transaction.
    @property
    def request_timeout_s(self) -> float:
        """The longest that a request may take."""
        return self.transaction_timeout.total_seconds() / 3

    @property
    def commit_deadline_s(self) -> float:
        """The longest that a transaction, or the start of a client, may take."""
        return self.transaction_timeout.total_seconds() * 2 / 3


class EmbeddedKafka(KafkaSettings):
    """The demo's broker, a mock: it creates a topic when a client names it."""

    @property
    def is_mock(self) -> bool:
        return True
