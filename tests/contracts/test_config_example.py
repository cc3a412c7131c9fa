"""config.toml is valid, and shows every key with its default."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from collector.config import LogSettings, load
from collector.kafka.settings import KafkaSettings, Sasl, Tls
from collector.vendors import VENDORS
from collector.vendors.quividi.settings import (
    GateSettings,
    OtsSettings,
    ProofOfPlayByLocationSettings,
    ProofOfPlayBySiteSettings,
    QuividiSource,
    ViewersAggregatedSettings,
    ViewersApcSettings,
    ViewersSettings,
)
from collector.vendors.seemetrix.settings import (
    BreakdownSettings,
    CountersSettings,
    DevicesSettings,
    SeemetrixSource,
    SessionsSettings,
    StatisticsSettings,
)
from collector.vendors.source import ChosenStreams
from collector.web.settings import HttpSettings

EXAMPLE = Path(__file__).parents[2] / "config.toml"
_COMMENTED_OUT = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)
"""A key or a table. Prose has a space after the `#`."""

TABLES: list[tuple[str, type[BaseModel]]] = [
    ("kafka", KafkaSettings),
    ("kafka.tls", Tls),
    ("kafka.sasl", Sasl),
    ("http", HttpSettings),
    ("log", LogSettings),
    ("sources.mall", SeemetrixSource),
    ("sources.mall.streams.sessions", SessionsSettings),
    ("sources.mall.streams.devices", DevicesSettings),
    ("sources.mall.streams.counters", CountersSettings),
    ("sources.mall.streams.statistics", StatisticsSettings),
    ("sources.mall.streams.breakdown", BreakdownSettings),
    ("sources.airport", QuividiSource),
    ("sources.airport.streams.viewers", ViewersSettings),
    ("sources.airport.streams.viewers_apc", ViewersApcSettings),
    ("sources.airport.streams.viewers_aggregated", ViewersAggregatedSettings),
    ("sources.airport.streams.ots", OtsSettings),
    ("sources.airport.streams.gate", GateSettings),
    ("sources.airport.streams.proof_of_play_by_location", ProofOfPlayByLocationSettings),
    ("sources.terminal.streams.proof_of_play_by_site", ProofOfPlayBySiteSettings),
]
each_table = pytest.mark.parametrize(("path", "model"), TABLES, ids=[path for path, _ in TABLES])


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEEMETRIX_USER_KEY", "KAFKA_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def text() -> str:
    return EXAMPLE.read_text("utf-8")


@pytest.fixture
def everything(text: str, tmp_path: Path) -> Path:
    """The example with all commented-out keys enabled."""
    path = tmp_path / "config.toml"
    path.write_text(_COMMENTED_OUT.sub("", text), "utf-8")
    return path


def table(path: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    for part in name.split("."):
        assert part in found, f"config.toml does not show the table [{name}]"
        found = found[part]
    return found


def test_every_source_and_stream_of_every_vendor_is_tested_here() -> None:
    tested = {model for _, model in TABLES}
    for vendor in VENDORS.values():
        streams = vendor.settings.model_fields["streams"].annotation
        assert isinstance(streams, type)
        assert issubclass(streams, ChosenStreams)
        missing = {vendor.settings, *streams.settings_types().values()} - tested
        assert not missing, "add these tables to TABLES"


def test_the_example_is_valid() -> None:
    assert load(EXAMPLE).sources.keys() == {"mall"}


def test_the_example_with_all_keys_is_valid(everything: Path) -> None:
    got = load(everything)

    assert got.kafka.tls is not None
    assert got.kafka.sasl is not None
    assert got.sources["mall"].until is not None


@each_table
def test_every_key_of_a_table_is_shown_and_no_other(everything: Path, path: str, model: type[BaseModel]) -> None:
    documented, known = table(everything, path).keys(), model.model_fields.keys()
    assert not known - documented, f"config.toml does not show these keys of [{path}]"
    assert not documented - known, f"config.toml shows unknown keys of [{path}]"


@each_table
def test_shown_values_are_the_defaults(everything: Path, path: str, model: type[BaseModel]) -> None:
    shown: Any = load(everything)
    for part in path.split("."):
        shown = shown[part] if isinstance(shown, dict) else getattr(shown, part)
    defaults = {
        name: field.default
        for name, field in model.model_fields.items()
        if not field.is_required() and field.default is not None and not isinstance(field.default, BaseModel)
    }

    assert defaults == {name: getattr(shown, name) for name in defaults}


def test_only_required_keys_are_not_commented_out() -> None:
    assert tomllib.loads(EXAMPLE.read_text("utf-8")) == {
        "kafka": {"bootstrap_servers": "localhost:9092"},
        "http": {},
        "log": {},
        "sources": {
            "mall": {
                "vendor": "seemetrix",
                "user_id": 864,
                "user_key": {"env": "SEEMETRIX_USER_KEY"},
                "streams": {"sessions": {}},
            }
        },
    }


def test_no_line_exceeds_120_characters(text: str) -> None:
    assert not [line for line in text.splitlines() if len(line) > 120]
