"""What config.toml promises: typed values, and every mistake told at once, with its path."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.config import Settings, load
from collector.errors import UserError
from collector.model import Account, Policy
from collector.vendors.seemetrix.settings import SeemetrixSource, SessionsSettings

KEY = "invented-key-42"
MALL = f'[sources.mall]\nvendor = "seemetrix"\nuser_id = 864\nuser_key = "{KEY}"\n'
SESSIONS = MALL + "[sources.mall.streams.sessions]\n"

EXAMPLE = """
[kafka]
bootstrap_servers = "kafka-1:9092,kafka-2:9092"
group = "counting"
topic_prefix = "acme."
state_partitions = 16
partitions = 12
replication_factor = 3
retention = "30d"
compression = "zstd"
create_topics = false
transaction_timeout = "45s"
session_timeout = "20s"

[kafka.tls]
ca_file = "/etc/kafka/ca.pem"

[kafka.sasl]
mechanism = "SCRAM-SHA-512"
username = "collector"
password = { env = "KAFKA_PASSWORD" }

[http]
listen = "[::1]:9464"

[log]
level = "debug"
format = "console"

[sources.mall]
vendor = "seemetrix"
base_url = "https://analytics.3divi.ru/api/"
user_id = 864
user_key = { file = "/run/secrets/seemetrix" }
since = 2026-11-01T02:00:00+02:00
until = 2026-11-08T00:00:00Z
device_ids = [3024, 3035]
max_concurrency = 2
max_requests_per_minute = 30
max_response_bytes = 1048576
timeout = "90s"

[sources.mall.streams.sessions]
interval = "60s"
settle = "2m"
allowed_lateness = "3d"
sweep_every = "6h"
span = "12h"
"""


@pytest.fixture(autouse=True)
def _no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("COLLECTOR__")]:
        monkeypatch.delenv(name)


def settings(folder: Path, text: str) -> Settings:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return load(path)


def seemetrix(got: Settings) -> SeemetrixSource:
    mall = got.sources["mall"]
    assert isinstance(mall, SeemetrixSource)
    return mall


def errors(folder: Path, text: str) -> list[str]:
    """What is told about a configuration that is wrong, line by line."""
    with pytest.raises(UserError) as told:
        settings(folder, text)
    return str(told.value).splitlines()


def test_a_full_configuration_comes_as_typed_values(tmp_path: Path) -> None:
    got = settings(tmp_path, EXAMPLE)

    kafka = got.kafka
    assert kafka.bootstrap_servers == "kafka-1:9092,kafka-2:9092"
    assert (kafka.group, kafka.topic_prefix, kafka.state_topic) == ("counting", "acme.", "acme.collector.state")
    assert (kafka.state_partitions, kafka.partitions, kafka.replication_factor) == (16, 12, 3)
    assert (kafka.compression, kafka.create_topics) == ("zstd", False)
    assert kafka.retention == timedelta(days=30)
    assert (kafka.transaction_timeout, kafka.session_timeout) == (timedelta(seconds=45), timedelta(seconds=20))
    assert kafka.tls is not None
    assert kafka.tls.ca_file == Path("/etc/kafka/ca.pem")
    assert kafka.sasl is not None
    assert (kafka.sasl.mechanism, kafka.sasl.username) == ("SCRAM-SHA-512", "collector")
    assert kafka.sasl.password.env == "KAFKA_PASSWORD"
    assert got.http.address == ("::1", 9464)
    assert (got.log.level, got.log.format) == ("debug", "console")

    mall = seemetrix(got)
    assert mall.base_url == "https://analytics.3divi.ru/api"
    assert mall.account == Account("seemetrix", "864")
    assert mall.user_key.file == Path("/run/secrets/seemetrix")
    assert mall.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert mall.until == datetime(2026, 11, 8, tzinfo=UTC)
    assert mall.device_ids == (3024, 3035)
    assert (mall.max_concurrency, mall.max_requests_per_minute, mall.max_response_bytes) == (2, 30, 1 << 20)
    assert mall.timeout == timedelta(seconds=90)
    assert mall.streams.sessions is not None
    assert mall.streams.sessions.policy(mall.until) == Policy(
        interval=timedelta(minutes=1),
        settle=timedelta(minutes=2),
        allowed_lateness=timedelta(days=3),
        sweep_every=timedelta(hours=6),
        span=timedelta(hours=12),
        until=datetime(2026, 11, 8, tzinfo=UTC),
    )


def test_a_source_without_streams_runs_its_vendors_main_one(tmp_path: Path) -> None:
    assert seemetrix(settings(tmp_path, MALL)).streams.chosen == {"sessions": SessionsSettings()}


def test_an_empty_table_of_streams_leaves_the_main_one_at_its_defaults(tmp_path: Path) -> None:
    emptied = seemetrix(settings(tmp_path, MALL + "[sources.mall.streams]\n")).streams.sessions
    assert emptied == seemetrix(settings(tmp_path, MALL)).streams.sessions


def test_everything_but_the_sources_has_a_default(tmp_path: Path) -> None:
    got = settings(tmp_path, MALL)

    assert (got.kafka.bootstrap_servers, got.kafka.group) == ("localhost:9092", "collector")
    assert got.http.address == ("127.0.0.1", 9464)
    assert got.sources["mall"].max_response_bytes == 16 * 1024 * 1024
    assert got.sources["mall"].since is None


def test_all_mistakes_are_told_at_once_each_with_its_path(tmp_path: Path) -> None:
    told = errors(
        tmp_path,
        """
        [kafka]
        partitions = "6"
        create_topics = "yes"
        bootstrap = "localhost:9092"
        [http]
        port = 9464
        [log]
        level = 3
        colour = true
        [metrics]
        [sources.mall]
        vendor = "seemetrix"
        user_id = "864"
        since = 2026-11-01T00:00:00
        devices = [1]
        [sources.mall.streams.session]
        [sources.mall.streams.sessions]
        every = "60s"
        interval = 60
        """,
    )

    duration = 'expected a duration such as "90s", "15m", "6h" or "3d"'
    moment = "expected a date and time with an offset, such as 2026-11-01T00:00:00Z"
    assert {
        "kafka.partitions: expected an integer, got a string",
        "kafka.create_topics: expected true or false, got a string",
        "kafka.bootstrap: unknown key (did you mean bootstrap_servers?)",
        "http.port: unknown key",
        "log.colour: unknown key",
        "metrics: unknown key",
        "sources.mall.user_id: expected an integer, got a string",
        "sources.mall.user_key: missing",
        f"sources.mall.since: {moment}",
        "sources.mall.devices: unknown key (did you mean device_ids?)",
        "sources.mall.streams.session: unknown key (did you mean sessions?)",
        "sources.mall.streams.sessions.every: unknown key (did you mean sweep_every?)",
        f"sources.mall.streams.sessions.interval: {duration}",
    } == {line for line in told if not line.startswith("log.level: ")}
    assert len(told) == 14


@pytest.mark.parametrize("given", ['"90"', '"1w"', "5", '"-5m"', '"1.5h"', '" 5m"', '""', '"5M"', '"1h30m"', "true"])
def test_a_duration_is_a_number_with_a_unit(tmp_path: Path, given: str) -> None:
    path = "sources.mall.streams.sessions.span"
    expected = [f'{path}: expected a duration such as "90s", "15m", "6h" or "3d"']
    assert expected == errors(tmp_path, SESSIONS + f"span = {given}\n")


@pytest.mark.parametrize(
    "servers", ["localhost:kafka", "localhost:0", "localhost:65536", "kafka://localhost:9092", "a:1,,b:2", "", "a b:1"]
)
def test_brokers_are_hosts_and_ports(tmp_path: Path, servers: str) -> None:
    expected = "kafka.bootstrap_servers: expected host:port, comma separated, such as kafka-1:9092,kafka-2:9092"
    assert [expected] == errors(tmp_path, f'[kafka]\nbootstrap_servers = "{servers}"\n{SESSIONS}')


@pytest.mark.parametrize("servers", ["localhost", "10.0.0.1:9092", "[::1]:9092", "a-1.example:9092, b_2:9093"])
def test_brokers_may_be_several_and_of_any_kind(tmp_path: Path, servers: str) -> None:
    assert (
        servers == settings(tmp_path, f'[kafka]\nbootstrap_servers = "{servers}"\n{SESSIONS}').kafka.bootstrap_servers
    )


MISTAKES = [
    ("sources.mall.user_id", MALL.replace("user_id = 864\n", "")),
    ("sources.mall.user_key", MALL.replace(f'user_key = "{KEY}"\n', "")),
    ("sources.mall.vendor", MALL.replace('vendor = "seemetrix"\n', "")),
    ("sources.mall.vendor", MALL.replace("seemetrix", "seemetricks")),
    ("sources.mall.since", MALL + "since = 2026-11-01T00:00:00\n"),
    ("sources.mall.since", MALL + "since = 2026-11-01\n"),
    ("sources.mall.since", MALL + 'since = "2026-11-01T00:00:00Z"\n'),
    ("sources.mall.until", MALL + "until = 2026-11-01T00:00:00.5Z\n"),
    ("sources.mall", MALL + "since = 2026-11-01T00:00:00Z\nuntil = 2026-11-01T00:00:00Z\n"),
    ("sources.mall", MALL + "since = 2026-11-02T00:00:00Z\nuntil = 2026-11-01T00:00:00Z\n"),
    ("sources.mall.device_ids", MALL + "device_ids = []\n"),
    ("sources.mall.device_ids.1", MALL + 'device_ids = [1, "2"]\n'),
    ("sources.mall.device_ids.0", MALL + "device_ids = [-1]\n"),
    ("sources.mall.max_concurrency", MALL + "max_concurrency = 0\n"),
    ("sources.mall.timeout", MALL + 'timeout = "0s"\n'),
    ("sources.mall.insecure_http", MALL + 'insecure_http = "true"\n'),
    ("sources.mall.streams.sessions.settle", SESSIONS + 'settle = "0s"\n'),
    ("sources.mall.streams.sessions", SESSIONS + 'settle = "24h"\n'),
    ("sources.mall.streams.sessions", SESSIONS + 'interval = "24h"\n'),
    ("sources.mall.streams.sessions", SESSIONS + 'interval = "2d"\nallowed_lateness = "1d"\n'),
    ("sources.mall.streams.sessions.span", SESSIONS + 'span = "59s"\n'),
    ("sources.mall.streams.viewers", MALL + "[sources.mall.streams.viewers]\n"),
    ("sources.Mall", MALL.replace("sources.mall", "sources.Mall")),
    ("sources.2nd", MALL.replace("sources.mall", "sources.2nd")),
    ("sources.the-mall", MALL.replace("sources.mall", "sources.the-mall")),
    ("sources", ""),
    ("sources", "[sources]\n"),
    ("sources.mall", "[sources]\nmall = 3\n"),
    ("kafka", "kafka = 3\n" + MALL),
    ("kafka.transaction_timeout", MALL + '[kafka]\ntransaction_timeout = "2s"\n'),
    ("kafka.compression", MALL + '[kafka]\ncompression = "brotli"\n'),
    ("kafka", MALL + '[kafka.tls]\ncert_file = "cert.pem"\n'),
    ("kafka.sasl.password", MALL + '[kafka.sasl]\nmechanism = "PLAIN"\nusername = "me"\n'),
    ("kafka.sasl.mechanism", MALL + '[kafka.sasl]\nmechanism = "OAUTH"\nusername = "me"\npassword = "x-42"\n'),
    ("http.listen", MALL + '[http]\nlisten = "9464"\n'),
    ("http.listen", MALL + '[http]\nlisten = "127.0.0.1:99999"\n'),
    ("log.level", MALL + '[log]\nlevel = "loud"\n'),
    ("_env_file", '_env_file = "x"\n' + MALL),
]


@pytest.mark.parametrize(("path", "text"), MISTAKES, ids=[path for path, _ in MISTAKES])
def test_a_mistake_is_told_once_in_words_for_operators(tmp_path: Path, path: str, text: str) -> None:
    told = errors(tmp_path, text)

    assert [path] == [line.partition(": ")[0] for line in told]
    jargon = ("timedelta", "Tuple", "Dictionary", "String should", "validation", "{got}")
    assert not [word for word in jargon if word in told[0]]


def test_what_is_no_toml_is_told_with_its_place(tmp_path: Path) -> None:
    (told,) = errors(tmp_path, MALL + f"user_key2 = {KEY}\n")

    assert told.startswith(f"{tmp_path / 'config.toml'}: not TOML: ")
    assert "line 5" in told


def test_a_missing_file_is_told_with_the_option_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.toml: No such file or directory.*--config"):
        load(tmp_path / "nowhere.toml")


def test_what_is_no_utf_8_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"[sources.\xff]")
    with pytest.raises(UserError, match=r"config\.toml: not UTF-8"):
        load(tmp_path / "config.toml")
