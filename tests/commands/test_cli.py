"""What the command line promises: exit codes, help with examples, and what goes to which stream."""

import socket
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from collector import __version__, cli
from collector.cli import app
from collector.secrets import Secret
from tests.commands.harness import collector, write_config

pytestmark = pytest.mark.anyio

COMMANDS = sorted(getattr(get_command(app), "commands", {}))


async def test_version_is_said_in_one_line() -> None:
    ended = await collector("--version")

    assert (ended.code, ended.out, ended.err) == (0, f"collector {__version__}\n", "")


def test_there_are_the_commands_that_these_tests_know() -> None:
    assert {"run", "check", "preview", "schema"} <= set(COMMANDS)


OPTIONS = {
    ("run",): {"--config"},
    ("check",): {"--config", "--offline", "--json"},
    ("preview",): {"--config", "--last", "--start", "--end", "--limit"},
    ("state", "show"): {"--config", "--json"},
    ("state", "rewind"): {"--config", "--to", "--yes"},
    ("state", "init"): {"--config"},
    ("schema",): {"--asyncapi"},
    ("simulate",): {"--seed", "--devices", "--rate", "--listen", "--fast", "--fault"},
    ("demo",): {"--seconds", "--kafka"},
}
"""All that is promised, to the letter: scripts are made of it."""


@pytest.mark.parametrize("command", OPTIONS, ids=" ".join)
def test_every_command_and_option_that_is_promised_is_there(command: tuple[str, ...]) -> None:
    found = get_command(app)
    for name in command:
        found = getattr(found, "commands", {})[name]
    there = {option for each in found.params for option in each.opts if option.startswith("--")}

    assert OPTIONS[command] == there - {"--help"}


@pytest.mark.parametrize("command", OPTIONS, ids=" ".join)
def test_help_of_every_command_below_has_an_example_too(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})

    assert 0 == result.exit_code
    assert f"Example: collector {' '.join(command)}" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_an_example_of_it(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    assert f"Example: collector {command}" in result.stdout


async def test_without_a_command_the_commands_are_listed() -> None:
    ended = await collector()

    assert not [command for command in COMMANDS if command not in ended.out + ended.err]


async def test_a_port_that_is_taken_is_told_in_one_line_with_its_key(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write_config(tmp_path, "http://127.0.0.1:1/api", more=f'[http]\nlisten = "127.0.0.1:{port}"\n')
        ended = await collector("run", "--config", config)

    assert (2, "") == (ended.code, ended.out)
    (line,) = ended.err.splitlines()
    assert line.startswith(f"http.listen = 127.0.0.1:{port}: ")
    assert "address already in use" in line


async def test_python_without_asserts_is_refused() -> None:
    ended = await collector("--version", flags=("-O",))

    assert ended.code == 2
    assert ended.out == ""
    assert "python -O is refused" in ended.err


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["check", "--nope"], ["preview", "mall"], ["preview", "mall", "sessions", "--limit", "0"]],
    ids=" ".join,
)
async def test_a_command_line_that_is_none_is_wrong_input(arguments: list[str]) -> None:
    ended = await collector(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err
    assert ended.err


@pytest.mark.parametrize(
    "command", [["run"], ["check"], ["check", "--offline"], ["preview", "mall", "sessions"]], ids=" ".join
)
async def test_every_command_tells_of_a_missing_configuration_in_one_line(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"

    ended = await collector(*command, "--config", str(path))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [f"{path}: No such file or directory: give the configuration's path with --config"]


async def test_every_mistake_of_the_configuration_is_a_line_on_stderr(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://vendor.example/api", more='nope = 1\ndevice_ids = "3024"\n')

    ended = await collector("check", "--offline", "--config", config)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "sources.mall.device_ids: expected an array, got a string",
        "sources.mall.nope: unknown key",
    ]


async def test_run_names_every_secret_that_is_missing_before_it_starts(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        """
        [kafka.sasl]
        mechanism = "PLAIN"
        username = "collector"
        password = { env = "NO_PASSWORD" }
        [sources.mall]
        vendor = "seemetrix"
        user_id = 864
        user_key = { env = "NO_KEY" }
        """,
        "utf-8",
    )

    ended = await collector("run", "--config", str(path))

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "kafka.sasl.password: the environment variable NO_PASSWORD is not set: set it to the secret",
        "sources.mall.user_key: the environment variable NO_KEY is not set: set it to the secret",
    ]


async def test_text_in_brackets_is_told_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "[red]nowhere[/red].toml"

    ended = await collector("check", "--offline", "--config", str(path))

    assert f"{path}: No such file" in ended.err


def test_a_fault_of_our_own_is_shown_whole_but_for_the_secrets_in_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def faulty(*_: object, **__: object) -> None:
        raise ZeroDivisionError("cannot use crashed%2Fwith-55")

    Secret.model_validate("crashed/with-55")
    monkeypatch.setattr("collector.commands.check.check", faulty)
    monkeypatch.setattr(sys, "argv", ["collector", "check"])

    with pytest.raises(SystemExit) as ended:
        cli.main()

    shown = capsys.readouterr().err
    assert 1 == ended.value.code
    assert "Traceback" in shown
    assert "ZeroDivisionError: cannot use [secret]" in shown
    assert "crashed%2F" not in shown
