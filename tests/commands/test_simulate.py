"""`collector simulate` serves the simulated vendors and prints a configuration for them."""

import signal
import socket
from pathlib import Path

import pytest

from collector.commands.simulate import parse_faults
from collector.errors import UserError
from collector.simulator import vendors as simulated_vendors
from collector.simulator.faults import KINDS
from collector.vendors import VENDORS
from tests.commands.harness import closed_port, collector
from tests.commands.simulation import lines, simulating

pytestmark = pytest.mark.anyio

PREVIEWED = ("--last", "6h", "--limit", "20")


async def test_check_and_preview_accept_the_printed_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with simulating("--fast", "--devices", "2") as (_, printed):
        config.write_text(f'{printed}\n[kafka]\nbootstrap_servers = "127.0.0.1:{closed_port()}"\n', "utf-8")
        offline = await collector("check", "--offline", "--config", str(config))
        sessions = await collector("preview", "mall", "sessions", *PREVIEWED, "--config", str(config))
        viewers = await collector("preview", "airport", "viewers", *PREVIEWED, "--config", str(config))

    assert (0, "") == (offline.code, offline.err)
    assert offline.out.startswith(f"ok     {config}: ")
    assert (0, "20 events, the most that --limit allows\n") == (sessions.code, sessions.err)
    assert (0, "20 events, the most that --limit allows\n") == (viewers.code, viewers.err)
    assert "seemetrix.sessions" == lines(sessions)[0]["topic"]
    assert {"quividi.viewers"} == {line["topic"] for line in lines(viewers)}
    assert {"3001", "3002"} >= {line["key"] for line in lines(sessions) + lines(viewers)}


async def test_the_printed_configuration_has_a_source_per_vendor_and_every_device(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with simulating("--devices", "3") as (_, printed):
        config.write_text(printed, "utf-8")
        offline = await collector("check", "--offline", "--json", "--config", str(config))

    assert [True] == [line["ok"] for line in lines(offline)]
    assert "locations = [3001, 3002, 3003]" in printed.splitlines()
    assert [f"[sources.{vendor.source}]" for vendor in simulated_vendors.VENDORS] == [
        line for line in printed.splitlines() if line.startswith("[")
    ]


async def test_the_seed_selects_the_history(tmp_path: Path) -> None:
    config, outputs = tmp_path / "config.toml", []
    window = ("--start", "2026-11-06T12:00:00Z", "--end", "2026-11-06T12:30:00Z")
    for seed in ("1", "1", "2"):
        with simulating("--seed", seed) as (_, printed):
            config.write_text(printed, "utf-8")
            outputs.append((await collector("preview", "mall", "sessions", *window, "--config", str(config))).out)

    assert outputs[0]
    assert outputs[0] == outputs[1]
    assert outputs[0] != outputs[2]


async def test_faults_are_injected(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with simulating("--fault", "500=1") as (_, printed):
        config.write_text(printed, "utf-8")
        result = await collector("preview", "mall", "sessions", *PREVIEWED, "--config", str(config))

    assert (1, True) == (result.code, result.err.startswith("sources.mall: HTTP 500: "))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_without_output(number: signal.Signals) -> None:
    with simulating() as (process, _):
        process.send_signal(number)
        out, err = process.communicate(timeout=10)

    assert (0, "", "") == (process.returncode, out, err)


async def test_an_address_in_use_is_an_error_of_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        result = await collector("simulate", "--listen", f"127.0.0.1:{port}")

    assert (2, "") == (result.code, result.out)
    (line,) = result.err.splitlines()
    assert line.startswith(f"--listen 127.0.0.1:{port}: ")
    assert "address already in use" in line


@pytest.mark.parametrize("listen", ["8864", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:0", "127.0.0.1:65536"])
async def test_an_invalid_address_is_wrong_input(listen: str) -> None:
    result = await collector("simulate", "--listen", listen)

    assert (2, "") == (result.code, result.out)
    assert result.err.startswith("--listen: ")


async def test_an_unknown_fault_is_wrong_input() -> None:
    result = await collector("simulate", "--fault", "429=0.1", "--fault", "sleep=1")

    assert (2, "") == (result.code, result.out)
    assert result.err.startswith("--fault sleep=1: ")


def test_faults_are_parsed_to_rates_by_kind() -> None:
    assert {} == parse_faults([])
    assert {"429": 0.05, "failed_export": 1.0, "timeout": 0.0} == parse_faults(
        ["429=0.05", "failed_export=1", "timeout=0"]
    )


@pytest.mark.parametrize(
    "fault",
    [
        "",
        "=",
        "429",
        "429=",
        "429=often",
        "429=-0.1",
        "429=1.1",
        "429=nan",
        "429=inf",
        "429=0.1=0.2",
        "sleep=0.1",
        "=0",
    ],
)
def test_an_invalid_fault_is_an_error(fault: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_faults(["500=0.1", fault])

    assert ("invalid_fault", True) == (raised.value.code, str(raised.value).startswith(f"--fault {fault}: "))
    assert not [kind for kind in KINDS if kind not in str(raised.value)]


def test_every_vendor_of_the_collector_is_simulated_under_a_source_of_its_own() -> None:
    assert VENDORS.keys() == {vendor.vendor for vendor in simulated_vendors.VENDORS}
    assert len(VENDORS) == len({vendor.source for vendor in simulated_vendors.VENDORS})
