"""config.toml is valid, and shows every key with its default."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from collector.config import LogSettings, load
from collector.kafka.sasl import Sasl
from collector.kafka.schema_registry import SchemaRegistrySettings
from collector.kafka.settings import KafkaSettings, Tls
from collector.vendors import VENDORS
from collector.vendors.base import Vendor
from collector.vendors.quividi.row_settings import RowSettings
from collector.vendors.source import ChosenStreams
from collector.web.settings import HttpSettings

EXAMPLE = Path(__file__).parents[2] / "config.toml"
_COMMENTED_OUT = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)
"""A key or a table. Prose has a space after the `#`."""


def _everything() -> str:
    """The example with all commented-out keys enabled."""
    return _COMMENTED_OUT.sub("", EXAMPLE.read_text("utf-8"))


def _tables() -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the tables of the example, with their models. A source that repeats another vendor's is not complete."""
    yield from (("kafka", KafkaSettings), ("kafka.tls", Tls), ("kafka.sasl", Sasl))
    yield ("kafka.schema_registry", SchemaRegistrySettings)
    yield from (("http", HttpSettings), ("log", LogSettings))
    shown: set[type[BaseModel]] = set()
    for source, keys in tomllib.loads(_everything())["sources"].items():
        vendor = VENDORS[keys["vendor"]]
        if vendor.settings not in shown:
            yield f"sources.{source}", vendor.settings
        for stream in keys.get("streams", ()):
            yield f"sources.{source}.streams.{stream}", _streams(vendor)[stream]
        for stream in keys.get("rows", ()):
            yield f"sources.{source}.rows.{stream}", RowSettings
        shown.add(vendor.settings)


def _streams(vendor: Vendor[Any]) -> Mapping[str, type[BaseModel]]:
    """The settings class of each stream of a vendor."""
    streams = vendor.settings.model_fields["streams"].annotation
    assert isinstance(streams, type)
    assert issubclass(streams, ChosenStreams)
    return streams.settings_types()


TABLES = list(_tables())
each_table = pytest.mark.parametrize(("path", "model"), TABLES, ids=[path for path, _ in TABLES])


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SEEMETRIX_USER_KEY", "KAFKA_PASSWORD", "REGISTRY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def text() -> str:
    return EXAMPLE.read_text("utf-8")


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """The example with all commented-out keys enabled."""
    path = tmp_path / "config.toml"
    path.write_text(_everything(), "utf-8")
    return path


def table(path: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    for part in name.split("."):
        assert part in found, f"config.toml does not show the table [{name}]"
        found = found[part]
    return found


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_a_source_and_every_stream_of_a_vendor_are_shown(vendor: Vendor[Any]) -> None:
    missing = {vendor.settings, *_streams(vendor).values()} - {model for _, model in TABLES}
    assert not missing, "config.toml does not show the tables of these settings"


def test_the_example_is_valid() -> None:
    assert load(EXAMPLE).sources.keys() == {"mall"}


def test_the_example_with_all_keys_is_valid(everything: Path) -> None:
    got = load(everything)

    assert got.kafka.tls is not None
    assert got.kafka.sasl is not None
    assert got.sources["mall"].until is not None


@each_table
def test_every_key_of_a_table_is_shown_and_no_other(everything: Path, path: str, model: type[BaseModel]) -> None:
    """Keys that exclude those shown are in comments."""
    in_comments = set(re.findall(r"^#   (\w+) = ", _everything(), re.MULTILINE)) if path == "kafka.sasl" else set()
    documented, known = table(everything, path).keys() | in_comments, model.model_fields.keys()
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
        if not field.is_required() and field.default not in (None, ()) and not isinstance(field.default, BaseModel)
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
