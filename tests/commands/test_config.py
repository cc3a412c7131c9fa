"""config.toml becomes typed settings, and a file that cannot be read is an error."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.config import Settings, load
from collector.errors import UserError
from collector.model import Account, Policy
from collector.vendors.seemetrix.settings import SeemetrixSource, SessionsSettings
from tests.commands.configuration import KEY, MALL, SESSIONS, problems, settings

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


def seemetrix(got: Settings) -> SeemetrixSource:
    mall = got.sources["mall"]
    assert isinstance(mall, SeemetrixSource)
    return mall


def test_a_full_configuration_becomes_typed_settings(tmp_path: Path) -> None:
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
    assert kafka.sasl.password is not None
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


def test_a_source_without_streams_runs_the_main_stream(tmp_path: Path) -> None:
    assert seemetrix(settings(tmp_path, MALL)).streams.chosen == {"sessions": SessionsSettings()}


def test_a_source_with_an_empty_table_of_streams_runs_the_main_stream(tmp_path: Path) -> None:
    empty = seemetrix(settings(tmp_path, MALL + "[sources.mall.streams]\n")).streams.sessions
    assert empty == seemetrix(settings(tmp_path, MALL)).streams.sessions


def test_everything_except_the_sources_has_a_default(tmp_path: Path) -> None:
    got = settings(tmp_path, MALL)

    assert (got.kafka.bootstrap_servers, got.kafka.group) == ("localhost:9092", "collector")
    assert got.http.address == ("127.0.0.1", 9464)
    assert got.sources["mall"].max_response_bytes == 16 * 1024 * 1024
    assert got.sources["mall"].since is None


@pytest.mark.parametrize("given", ['"90"', '"1w"', "5", '"-5m"', '"1.5h"', '" 5m"', '""', '"5M"', '"1h30m"', "true"])
def test_a_duration_is_a_number_with_a_unit(tmp_path: Path, given: str) -> None:
    found = problems(tmp_path, SESSIONS + f"span = {given}\n")
    assert {"sources.mall.streams.sessions.span": "invalid_duration"} == found


@pytest.mark.parametrize(
    "servers", ["localhost:kafka", "localhost:0", "localhost:65536", "kafka://localhost:9092", "a:1,,b:2", "", "a b:1"]
)
def test_brokers_are_hosts_and_ports(tmp_path: Path, servers: str) -> None:
    found = problems(tmp_path, f'[kafka]\nbootstrap_servers = "{servers}"\n{SESSIONS}')
    assert {"kafka.bootstrap_servers": "invalid_value"} == found


@pytest.mark.parametrize("servers", ["localhost", "10.0.0.1:9092", "[::1]:9092", "a-1.example:9092, b_2:9093"])
def test_brokers_may_be_several_and_of_any_kind(tmp_path: Path, servers: str) -> None:
    assert (
        servers == settings(tmp_path, f'[kafka]\nbootstrap_servers = "{servers}"\n{SESSIONS}').kafka.bootstrap_servers
    )


def error(folder: Path, text: str) -> UserError:
    with pytest.raises(UserError) as raised:
        settings(folder, text)
    return raised.value


def test_a_file_that_is_not_toml_is_an_error_with_the_line(tmp_path: Path) -> None:
    found = error(tmp_path, MALL + f"user_key2 = {KEY}\n")

    assert "config_not_toml" == found.code
    assert not [fact for fact in (str(tmp_path / "config.toml"), "line 5") if fact not in str(found)]


def test_a_missing_file_is_an_error_with_its_path_and_the_option(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        load(tmp_path / "nowhere.toml")

    assert "config_unreadable" == raised.value.code
    facts = (str(tmp_path / "nowhere.toml"), "No such file or directory", "--config")
    assert not [fact for fact in facts if fact not in str(raised.value)]


def test_a_file_that_is_not_utf_8_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"[sources.\xff]")
    with pytest.raises(UserError) as raised:
        load(tmp_path / "config.toml")

    assert "config_not_utf8" == raised.value.code
    assert str(tmp_path / "config.toml") in str(raised.value)
