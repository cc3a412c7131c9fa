"""What the environment promises: `COLLECTOR__A__B` is the key `a.b`, over the file's."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from collector.config import Settings, load
from collector.errors import UserError
from collector.vendors.seemetrix import SeemetrixSource

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
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.upper().startswith("COLLECTOR__")]:
        monkeypatch.delenv(name)
    path = tmp_path / "config.toml"
    path.write_text(MALL, "utf-8")
    return path


OVERRIDES: list[tuple[str, str, object, Callable[[Settings], object]]] = [
    ("KAFKA__GROUP", "from-outside", "from-outside", lambda got: got.kafka.group),
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
def test_a_variable_overrides_the_key_that_it_names(
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


def test_what_no_variable_names_stays_as_the_file_says(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__KAFKA__PARTITIONS", "12")

    got = load(config)

    assert got.kafka.group == "from-the-file"
    assert seemetrix(got).user_id == 864


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("NOPE", "1", "nope: unknown key"),
        ("KAFKA__NOPE", "1", "kafka.nope: unknown key"),
        ("SOURCES__MALL__NOPE", "1", "sources.mall.nope: unknown key"),
        ("SOURCES__MALL__STREAMS__VIEWERS__INTERVAL", "5s", "sources.mall.streams.viewers: unknown key"),
        ("KAFKA__PARTITIONS", "six", "kafka.partitions: expected an integer, got a string"),
        ("KAFKA__PARTITIONS", "6.0", "kafka.partitions: expected an integer, got a string"),
        ("KAFKA__CREATE_TOPICS", "no", "kafka.create_topics: expected true or false, got a string"),
        (
            "SOURCES__MALL__SINCE",
            "2026-11-01T00:00:00",
            "sources.mall.since: expected a date and time with an offset, such as 2026-11-01T00:00:00Z",
        ),
        (
            "SOURCES__MALL__SINCE",
            "yesterday",
            "sources.mall.since: expected a date and time such as 2026-11-01T00:00:00Z, got a string",
        ),
        ("SOURCES__MALL__DEVICE_IDS", "3024", "sources.mall.device_ids: expected an array, got a string"),
        ("KAFKA", "localhost:9092", "kafka: expected a table, got a string"),
    ],
)
def test_a_wrong_variable_is_told_with_the_path_of_its_key(
    config: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"COLLECTOR__{name}", value)

    with pytest.raises(UserError) as told:
        load(config)

    assert expected == str(told.value)


def test_a_variable_of_a_source_that_the_file_has_not_is_an_error(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLECTOR__SOURCES__MALLL__USER_ID", "865")

    with pytest.raises(UserError, match=r"sources\.malll\.vendor: missing"):
        load(config)


def test_a_variable_with_no_key_in_its_name_is_told_by_its_name(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__", "1")

    with pytest.raises(UserError, match="COLLECTOR__"):
        load(config)


def test_variables_that_contradict_each_other_are_an_error(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__KAFKA", "localhost:9092")
    monkeypatch.setenv("COLLECTOR__KAFKA__GROUP", "collector")

    with pytest.raises(UserError, match=r"COLLECTOR__KAFKA|kafka: "):
        load(config)


def test_other_programs_variables_are_left_alone(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR_KAFKA__GROUP", "not-ours")
    monkeypatch.setenv("KAFKA__GROUP", "not-ours")

    assert load(config).kafka.group == "from-the-file"
