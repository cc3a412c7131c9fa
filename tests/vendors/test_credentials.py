"""A key that the vendor rejects: the advice names it, where it is read from, and when a change takes effect."""

from pathlib import Path
from textwrap import dedent

import pytest

from collector.config import load
from collector.errors import Park
from collector.telemetry.vendor import standalone_telemetry
from collector.vendors import VENDORS
from collector.vendors.http import http
from tests.simulated import SimulatedClock
from tests.vendors.loopback import responding, serving

pytestmark = pytest.mark.anyio

SEEMETRIX = 'vendor = "seemetrix"\nuser_id = 864\nuser_key'
QUIVIDI = 'vendor = "quividi"\nusername = "anna"\ntimezone = "Europe/Paris"\nlocations = "all"\ntoken'
VALUE = "an-invented-key"
FILE, VARIABLE, INLINE = "a changed file", "a changed variable", "a changed configuration"


async def rejected(folder: Path, status: int, table: str) -> Park:
    """The error of a probe to which the vendor responds with this status."""
    path = folder / "config.toml"
    async with serving(responding(status=status)) as url, http(SimulatedClock()) as client:
        path.write_text(f'[sources.mall]\n{dedent(table)}\nbase_url = "{url}"\n', "utf-8")
        source = load(path).sources["mall"]
        with pytest.raises(Park) as raised:
            await VENDORS[source.vendor].load().probe("mall", source, client, standalone_telemetry())
    assert VALUE not in f"{raised.value} {raised.value.advice}"
    return raised.value


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    ("account", "names"),
    [
        (SEEMETRIX, ("sources.mall.user_key", "sources.mall.user_id")),
        (QUIVIDI, ("sources.mall.token", "sources.mall.username")),
    ],
)
@pytest.mark.parametrize(
    ("given", "override", "origin", "change"),
    [
        ('{{ file = "{folder}/key" }}', {}, "the file {folder}/key", f"{FILE} takes effect without a restart"),
        ('{{ env = "SOME_KEY" }}', {}, "the environment variable SOME_KEY", f"{VARIABLE} takes effect after a restart"),
        (f'"{VALUE}"', {}, "inline in the configuration", f"{INLINE} takes effect without a restart"),
        ('"another-key"', {"": VALUE}, "the environment variable {override}", "takes effect after a restart"),
        (
            '"another-key"',
            {"__FILE": "{folder}/key"},
            "the file {folder}/key",
            f"{FILE} takes effect without a restart",
        ),
    ],
    ids=["file", "variable", "inline", "overridden", "overridden by a file"],
)
async def test_the_advice_says_which_key_to_correct_and_whether_to_restart(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    account: str,
    names: tuple[str, str],
    given: str,
    override: dict[str, str],
    origin: str,
    change: str,
) -> None:
    (tmp_path / "key").write_text(VALUE, "utf-8")
    monkeypatch.setenv("SOME_KEY", VALUE)
    variable = f"COLLECTOR__{names[0].upper().replace('.', '__')}"
    for suffix, value in override.items():
        monkeypatch.setenv(variable + suffix, value.format(folder=tmp_path))

    error = await rejected(tmp_path, status, f"{account} = {given.format(folder=tmp_path)}")

    assert f"http_{status}" == error.code
    facts = (*names, origin.format(folder=tmp_path, override=variable), change)
    assert [] == [fact for fact in facts if fact not in error.advice], error.advice


@pytest.mark.parametrize("account", [SEEMETRIX, QUIVIDI])
async def test_other_refusals_keep_their_advice(tmp_path: Path, account: str) -> None:
    error = await rejected(tmp_path, 404, f'{account} = "{VALUE}"')

    assert "base_url" in error.advice
    assert "sources.mall" not in error.advice
