"""The environment variable `COLLECTOR__A__B` overrides the key `a.b` of the file."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector import raw_config
from collector.config import Settings, load
from collector.errors import InvalidConfiguration, UserError
from collector.vendors.seemetrix import SeemetrixSource
from tests.commands.harness import closed_port, collector, write_config

NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
MALL = """
[kafka]
group = "from-the-file"

[sources.mall]
vendor = "seemetrix"
user_id = 864
user_key = { env = "SEEMETRIX_USER_KEY" }
"""


def seemetrix(got: Settings) -> SeemetrixSource:
    mall = got.sources["mall"]
    assert isinstance(mall, SeemetrixSource)
    return mall


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(MALL, "utf-8")
    return path


OVERRIDES: list[tuple[str, str, object, Callable[[Settings], object]]] = [
    ("KAFKA__GROUP", "from-environment", "from-environment", lambda got: got.kafka.group),
    ("KAFKA__PARTITIONS", "12", 12, lambda got: got.kafka.partitions),
    ("KAFKA__CREATE_TOPICS", "false", False, lambda got: got.kafka.create_topics),
    ("KAFKA__RETENTION", "36h", timedelta(hours=36), lambda got: got.kafka.retention),
    ("KAFKA__TLS__CA_FILE", "/ca.pem", Path("/ca.pem"), lambda got: got.kafka.tls and got.kafka.tls.ca_file),
    ("HTTP__LISTEN", "0.0.0.0:80", ("0.0.0.0", 80), lambda got: got.http.address),  # noqa: S104
    ("LOG__FORMAT", "console", "console", lambda got: got.log.format),
    ("SOURCES__MALL__USER_ID", "7", 7, lambda got: seemetrix(got).user_id),
    ("SOURCES__MALL__USER_KEY", "invented-42", "invented-42", lambda got: seemetrix(got).user_key.value),
    ("SOURCES__MALL__USER_KEY__ENV", "OTHER", "OTHER", lambda got: seemetrix(got).user_key.env),
    ("SOURCES__MALL__INSECURE_HTTP", "true", True, lambda got: seemetrix(got).insecure_http),
    ("SOURCES__MALL__MAX_REQUESTS_PER_MINUTE", "5", 5, lambda got: seemetrix(got).max_requests_per_minute),
    (
        "SOURCES__MALL__SINCE",
        "2026-11-01T02:00:00+02:00",
        datetime(2026, 11, 1, tzinfo=UTC),
        lambda got: seemetrix(got).since,
    ),
    (
        "SOURCES__MALL__UNTIL",
        "2026-11-01T00:00:00Z",
        datetime(2026, 11, 1, tzinfo=UTC),
        lambda got: seemetrix(got).until,
    ),
    (
        "SOURCES__MALL__STREAMS__SESSIONS__INTERVAL",
        "5s",
        timedelta(seconds=5),
        lambda got: seemetrix(got).streams.chosen["sessions"].interval,
    ),
]


@pytest.mark.parametrize(("name", "value", "expected", "key"), OVERRIDES, ids=[each[0] for each in OVERRIDES])
def test_a_variable_overrides_its_key(
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    expected: object,
    key: Callable[[Settings], object],
) -> None:
    assert expected != key(load(config))

    monkeypatch.setenv(f"COLLECTOR__{name}", value)

    got = key(load(config))
    assert expected == got
    assert type(expected) is type(got)


def test_other_keys_keep_the_values_of_the_file(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__KAFKA__PARTITIONS", "12")

    got = load(config)

    assert got.kafka.group == "from-the-file"
    assert seemetrix(got).user_id == 864


@pytest.mark.parametrize(
    ("name", "value", "path", "code"),
    [
        ("NOPE", "1", "nope", "unknown_key"),
        ("KAFKA__NOPE", "1", "kafka.nope", "unknown_key"),
        ("SOURCES__MALL__NOPE", "1", "sources.mall.nope", "unknown_key"),
        ("SOURCES__MALL__STREAMS__VIEWERS__INTERVAL", "5s", "sources.mall.streams.viewers", "unknown_key"),
        ("KAFKA__PARTITIONS", "six", "kafka.partitions", "wrong_type"),
        ("KAFKA__PARTITIONS", "6" * 5000, "kafka.partitions", "wrong_type"),
        ("KAFKA__BOOTSTRAP_SERVERS", "kafka..example:9092", "kafka.bootstrap_servers", "invalid_value"),
        ("KAFKA__BOOTSTRAP_SERVERS", f"{'k' * 64}:9092", "kafka.bootstrap_servers", "invalid_value"),
        ("SOURCES__MALL__BASE_URL", "https://vendor..example/api", "sources.mall.base_url", "invalid_value"),
        ("SOURCES__MALL__BASE_URL", "https://vendor\x01.example", "sources.mall.base_url", "invalid_value"),
        ("KAFKA__PARTITIONS", "6.0", "kafka.partitions", "wrong_type"),
        ("KAFKA__CREATE_TOPICS", "no", "kafka.create_topics", "wrong_type"),
        ("SOURCES__MALL__SINCE", "2026-11-01T00:00:00", "sources.mall.since", "missing_offset"),
        ("SOURCES__MALL__SINCE", "yesterday", "sources.mall.since", "wrong_type"),
        ("SOURCES__MALL__DEVICE_IDS", "3024", "sources.mall.device_ids", "wrong_type"),
        ("KAFKA", "localhost:9092", "kafka", "wrong_type"),
        ("SOURCES__MALLL__USER_ID", "865", "sources.malll.vendor", "missing"),
    ],
)
def test_a_wrong_variable_is_a_problem_of_its_key(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, path: str, code: str
) -> None:
    monkeypatch.setenv(f"COLLECTOR__{name}", value)

    with pytest.raises(InvalidConfiguration) as raised:
        load(config)

    assert [(path, code)] == [(problem.path, problem.code) for problem in raised.value.problems]


def test_a_variable_that_names_no_key_is_an_error(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__", "1")

    with pytest.raises(UserError) as raised:
        load(config)

    assert ("invalid_variable", True) == (raised.value.code, "COLLECTOR__" in str(raised.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("KAFKA__GROUP", "\udcff"), ("SOURCES__MALL__USER_KEY", "the-right\udcffkey"), ("SOURCES__M\udcff__USER_ID", "1")],
)
def test_a_variable_that_is_not_utf8_is_named(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"COLLECTOR__{name}", value)

    with pytest.raises(UserError) as raised:
        load(config)

    assert "variable_not_utf8" == raised.value.code
    assert str(raised.value).startswith(f"COLLECTOR__{name.replace(chr(0xDCFF), '?')}: ")
    assert "the-right" not in str(raised.value)


@pytest.mark.parametrize(
    "names",
    [("KAFKA", "KAFKA__GROUP"), ("KAFKA__GROUP", "KAFKA"), ("KAFKA__GROUP", "kafka__group")],
    ids=["value, table", "table, value", "value twice"],
)
def test_variables_of_which_one_would_hide_the_other_are_an_error(
    config: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
) -> None:
    """In whatever order the process has received them."""
    for name in names:
        monkeypatch.setenv(f"COLLECTOR__{name}", "collector")

    with pytest.raises(UserError) as raised:
        load(config)

    assert ("conflicting_variables", True) == (raised.value.code, f"COLLECTOR__{names[1]}" in str(raised.value))


def test_variables_without_the_prefix_are_ignored(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_KAFKA__GROUP", "not-ours")
    monkeypatch.setenv("KAFKA__GROUP", "not-ours")

    assert load(config).kafka.group == "from-the-file"


@pytest.mark.parametrize("value", ["6\r", " 6", "6\n", "\t6 "])
def test_white_space_around_a_value_is_removed(config: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SEEMETRIX_USER_KEY", "invented-42")
    monkeypatch.setenv("COLLECTOR__KAFKA__PARTITIONS", value)
    assert 6 == load(config).kafka.partitions


def test_a_space_in_a_url_is_reported(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__SOURCES__MALL__BASE_URL", "https://analytics.example/a pi")
    with pytest.raises(InvalidConfiguration) as raised:
        load(config)
    [problem] = raised.value.problems
    assert ("sources.mall.base_url", True) == (problem.path, "spaces" in problem.text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_files_of_other_systems_are_read(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MALL.replace("from-the-file", "\u00fcber"), encoding, newline=newline)
    with pytest.raises(InvalidConfiguration) as raised:
        load(path)
    assert ["kafka.group"] == [problem.path for problem in raised.value.problems], "the file is read, and validated"


def test_a_configuration_is_read_from_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, MALL.encode())
    os.close(writer)
    try:
        assert "from-the-file" == load(Path(f"/dev/fd/{reader}")).kafka.group
    finally:
        os.close(reader)


def test_a_pipe_to_which_nothing_is_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_config, "PIPE_WAIT_S", 0.0)
    os.mkfifo(tmp_path / "config.toml")

    with pytest.raises(UserError) as raised:
        load(tmp_path / "config.toml")

    assert ("config_unreadable", True) == (raised.value.code, "pipe" in str(raised.value))


@pytest.mark.anyio
async def test_no_keys_of_tls_sessions_are_written(tmp_path: Path) -> None:
    config = write_config(tmp_path, f"https://127.0.0.1:{closed_port()}/api")
    found = await collector("check", "--config", config, env={"SSLKEYLOGFILE": str(tmp_path / "missing" / "keys")})

    assert (1, "", True) == (found.code, found.err, "sources.mall" in found.out)


@pytest.mark.anyio
async def test_text_that_the_locale_does_not_have_is_printed_escaped(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://b\u00fccher.invalid/api")
    found = await collector("check", "--config", config, env={"PYTHONIOENCODING": "ascii"})

    assert (1, "", True) == (found.code, found.err, "no connection to b\\xfccher.invalid" in found.out)


def test_names_that_are_case_sensitive_cannot_be_set_by_variables(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR__KAFKA__SASL__MECHANISM", "OAUTHBEARER")
    monkeypatch.setenv("COLLECTOR__KAFKA__SASL__TOKEN", "invented-token")
    monkeypatch.setenv("COLLECTOR__KAFKA__SASL__EXTENSIONS__LOGICALCLUSTER", "lkc-1")
    with pytest.raises(InvalidConfiguration) as raised:
        load(config)

    (problem,) = raised.value.problems
    assert ("kafka.sasl.extensions", "invalid_value") == (problem.path, problem.code)
    assert "in the file" in problem.text
