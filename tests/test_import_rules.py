"""The rules of import-linter in pyproject.toml include every vendor."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from collector.vendors import VENDORS

ROOT = Path(__file__).parents[1]
RULES: dict[str, dict[str, Any]] = {
    rule["name"]: rule
    for rule in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
}
NOT_PURE = ("__init__", "client", "settings", "streams")
"""The ends of the names of each vendor's modules that may perform I/O or use settings. All others are pure."""
ALSO_NOT_PURE = {"collector.vendors.quividi.slots", "collector.vendors.quividi.licences"}  # they wait

each_vendor = pytest.mark.parametrize("vendor", VENDORS)


def rule(start: str) -> dict[str, Any]:
    (found,) = (each for name, each in RULES.items() if name.startswith(start))
    return found


@each_vendor
def test_no_vendor_imports_another(vendor: str) -> None:
    assert f"collector.vendors.{vendor}" in rule("vendors do not import each other")["modules"]


@each_vendor
def test_a_vendor_uses_http_only_through_the_shared_module(vendor: str) -> None:
    assert f"collector.vendors.{vendor}" in rule("aiohttp is imported only in")["source_modules"]


@each_vendor
def test_the_modules_of_a_vendor_that_decode_and_build_events_are_pure(vendor: str) -> None:
    names = {path.stem for path in (ROOT / "collector" / "vendors" / vendor).glob("*.py")}
    modules = {name for name in names if not name.endswith(NOT_PURE)}
    listed = {*rule("the pipeline and the pure modules")["source_modules"], *ALSO_NOT_PURE}
    assert not {f"collector.vendors.{vendor}.{module}" for module in modules} - listed
