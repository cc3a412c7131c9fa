"""`collector check --offline` says what is wrong without vendors and Kafka."""

from pathlib import Path

import pytest

from collector.commands.check_configuration import check_offline
from collector.commands.finding import Finding

AHEAD = "2999-01-01T00:00:00Z"
BEFORE = "2026-01-01T00:00:00Z"


def source(name: str, *, key: str = '"an-invented-key"', more: str = "") -> str:
    return f'[sources.{name}]\nvendor = "seemetrix"\nuser_id = 864\nuser_key = {key}\n{more}\n'


def findings(folder: Path, config: str) -> list[Finding]:
    """The findings after that of config.toml, which is valid."""
    (path := folder / "config.toml").write_text(config, "utf-8")
    found = list[Finding]()
    check_offline(path, found.append)
    assert (str(path), True, False) == (found[0].what, found[0].ok, found[0].warning)
    assert found[0].text.startswith("valid, ")
    return found[1:]


def test_nothing_is_reported_of_a_configuration_that_can_be_used(tmp_path: Path) -> None:
    assert [] == findings(tmp_path, source("mall", more=f"since = {BEFORE}"))


@pytest.mark.parametrize(
    ("config", "what", "fact"),
    [
        (source("mall", key='{ env = "NO_KEY" }'), "sources.mall.user_key", "environment variable NO_KEY is not set"),
        (source("mall", key='{ file = "/no/file" }'), "sources.mall.user_key", "secret file /no/file cannot be read"),
        (
            source("mall") + '[kafka.sasl]\nmechanism = "PLAIN"\nusername = "me"\npassword = { env = "NO_PASSWORD" }\n',
            "kafka.sasl.password",
            "NO_PASSWORD",
        ),
        (source("mall", more=f"since = {AHEAD}"), "sources.mall.since", AHEAD),
        ('include = "sources.d/*.toml"\n' + source("mall"), "include", "sources.d/*.toml"),
    ],
)
def test_what_is_missing_or_lies_ahead_is_a_warning(tmp_path: Path, config: str, what: str, fact: str) -> None:
    [found] = findings(tmp_path, config)

    assert (what, True, True) == (found.what, found.ok, found.warning)
    assert fact in found.text


@pytest.fixture
def included(tmp_path: Path) -> Path:
    folder = tmp_path / "sources.d"
    folder.mkdir()
    return folder


def test_each_included_file_is_named_with_its_sources(tmp_path: Path, included: Path) -> None:
    (included / "acme.toml").write_text(source("hall") + source("door"), "utf-8")
    (included / "beta.toml").write_text(source("annex"), "utf-8")
    (included / "empty.toml").write_text("", "utf-8")

    found = findings(tmp_path, 'include = "sources.d/*.toml"\n')

    assert [
        Finding(str(included / "acme.toml"), ok=True, text="included, 2 sources: hall, door"),
        Finding(str(included / "beta.toml"), ok=True, text="included, 1 source: annex"),
        Finding(str(included / "empty.toml"), ok=True, text="included, 0 sources", warning=True),
    ] == found
