"""What `collector simulate` promises: two vendors, and the configuration with which they are used."""

import signal
import socket
from pathlib import Path

import pytest

from collector.commands.simulate import parse_faults
from collector.errors import UserError
from tests.commands.harness import closed_port, collector
from tests.commands.simulating import lines, simulating

pytestmark = pytest.mark.anyio

PREVIEWED = ("--last", "6h", "--limit", "20")


async def test_it_prints_a_configuration_that_is_right_and_that_preview_and_check_can_use(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with simulating("--fast", "--devices", "2") as (_, printed):
        config.write_text(f'{printed}\n[kafka]\nbootstrap_servers = "127.0.0.1:{closed_port()}"\n', "utf-8")
        offline = await collector("check", "--offline", "--config", str(config))
        sessions = await collector("preview", "mall", "sessions", *PREVIEWED, "--config", str(config))
        viewers = await collector("preview", "airport", "viewers", *PREVIEWED, "--config", str(config))

    assert (0, f"ok     {config}: is right: 2 sources\n", "") == (offline.code, offline.out, offline.err)
    assert (0, "20 events\n") == (sessions.code, sessions.err)
    assert (0, "20 events\n") == (viewers.code, viewers.err)
    assert "seemetrix.sessions" == lines(sessions)[0]["topic"]
    assert {"quividi.viewers"} == {line["topic"] for line in lines(viewers)}
    assert {"3001", "3002"} >= {line["key"] for line in lines(sessions) + lines(viewers)}


async def test_the_configuration_names_every_device_and_nothing_but_the_two_sources(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with simulating("--devices", "3") as (_, printed):
        config.write_text(printed, "utf-8")
        offline = await collector("check", "--offline", "--json", "--config", str(config))

    assert [True] == [line["ok"] for line in lines(offline)]
    assert "locations = [3001, 3002, 3003]" in printed.splitlines()
    assert ["[sources.mall]", "[sources.airport]"] == [line for line in printed.splitlines() if line.startswith("[")]


async def test_another_seed_is_another_world_and_the_same_one_the_same(tmp_path: Path) -> None:
    config, told = tmp_path / "config.toml", []
    window = ("--start", "2026-11-06T12:00:00Z", "--end", "2026-11-06T12:30:00Z")
    for seed in ("1", "1", "2"):
        with simulating("--seed", seed) as (_, printed):
            config.write_text(printed, "utf-8")
            told.append((await collector("preview", "mall", "sessions", *window, "--config", str(config))).out)

    assert told[0]
    assert told[0] == told[1]
    assert told[0] != told[2]


async def test_ordered_faults_come_and_are_what_the_command_line_says(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    with simulating("--fault", "500=1") as (_, printed):
        config.write_text(printed, "utf-8")
        ended = await collector("preview", "mall", "sessions", *PREVIEWED, "--config", str(config))

    assert (1, "sources.mall: HTTP 500: try again later\n") == (ended.code, ended.err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_and_without_a_word(number: signal.Signals) -> None:
    with simulating() as (process, _):
        process.send_signal(number)
        out, err = process.communicate(timeout=10)

    assert (0, "", "") == (process.returncode, out, err)


async def test_an_address_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await collector("simulate", "--listen", f"127.0.0.1:{port}")

    assert (2, "") == (ended.code, ended.out)
    (line,) = ended.err.splitlines()
    assert line.startswith(f"--listen 127.0.0.1:{port}: ")
    assert "address already in use" in line


@pytest.mark.parametrize("listen", ["8864", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:0", "127.0.0.1:65536"])
async def test_an_address_that_is_none_is_wrong_input(listen: str) -> None:
    ended = await collector("simulate", "--listen", listen)

    assert (2, "") == (ended.code, ended.out)
    assert "--listen: expected host:port, such as 127.0.0.1:8864\n" == ended.err


async def test_a_fault_that_there_is_not_is_wrong_input() -> None:
    ended = await collector("simulate", "--fault", "429=0.1", "--fault", "sleep=1")

    assert (2, "") == (ended.code, ended.out)
    assert ended.err.startswith("--fault sleep=1: expected KIND=RATE")


def test_faults_are_rates_by_kind() -> None:
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
def test_a_fault_that_cannot_be_is_told_with_those_that_can(fault: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_faults(["500=0.1", fault])

    assert (
        f"--fault {fault}: expected KIND=RATE, a rate from 0 to 1 of one of 429, 500, timeout, truncated, failed_export"
    ) == str(raised.value)
