"""Exit codes, help, options, and what is written to stdout and stderr."""

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


async def test_version_is_one_line_on_stdout() -> None:
    result = await collector("--version")

    assert (result.code, result.out, result.err) == (0, f"collector {__version__}\n", "")


def test_main_commands_exist() -> None:
    assert {"run", "check", "preview", "schema"} <= set(COMMANDS)


OPTIONS = {
    ("run",): {"--config"},
    ("check",): {"--config", "--offline", "--json"},
    ("topics",): {"--as", "--config"},
    ("preview",): {"--config", "--last", "--start", "--end", "--limit"},
    ("state", "show"): {"--config", "--json"},
    ("state", "rewind"): {"--config", "--to", "--yes"},
    ("state", "init"): {"--config"},
    ("schema",): {
        "--draft-07",
        "--asyncapi",
        "--sql",
        "--register",
        "--compatibility",
        "--username",
        "--password-file",
        "--config",
    },
    ("simulate",): {"--seed", "--devices", "--rate", "--listen", "--fast", "--fault"},
    ("demo",): {"--seconds", "--kafka"},
}
"""All options of these commands. Scripts depend on them."""


@pytest.mark.parametrize("command", OPTIONS, ids=" ".join)
def test_commands_have_exactly_these_options(command: tuple[str, ...]) -> None:
    found = get_command(app)
    for name in command:
        found = getattr(found, "commands", {})[name]
    options = {option for each in found.params for option in each.opts if option.startswith("--")}

    assert OPTIONS[command] == options - {"--help"}


@pytest.mark.parametrize("command", OPTIONS, ids=" ".join)
def test_help_has_an_example_of_commands_and_subcommands(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"})

    assert 0 == result.exit_code
    assert f"Example: collector {' '.join(command)}" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_of_every_command(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})

    assert result.exit_code == 0
    assert f"Example: collector {command}" in result.stdout


async def test_without_a_command_help_lists_the_commands() -> None:
    result = await collector()

    assert not [command for command in COMMANDS if command not in result.out + result.err]


async def test_a_port_in_use_is_an_error_of_one_line_with_its_key(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        config = write_config(tmp_path, "http://127.0.0.1:1/api", more=f'[http]\nlisten = "127.0.0.1:{port}"\n')
        result = await collector("run", "--config", config)

    assert (2, "") == (result.code, result.out)
    (line,) = result.err.splitlines()
    assert line.startswith(f"http.listen = 127.0.0.1:{port}: ")
    assert "Address already in use" in line


async def test_python_without_asserts_is_not_supported() -> None:
    result = await collector("--version", flags=("-O",))

    assert result.code == 2
    assert result.out == ""
    assert "-O" in result.err


@pytest.mark.parametrize(
    "arguments",
    [["nope"], ["check", "--nope"], ["preview", "mall"], ["preview", "mall", "sessions", "--limit", "0"]],
    ids=" ".join,
)
async def test_an_invalid_command_line_is_wrong_input(arguments: list[str]) -> None:
    result = await collector(*arguments)

    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err
    assert result.err


@pytest.mark.parametrize(
    "command", [["run"], ["check"], ["check", "--offline"], ["preview", "mall", "sessions"]], ids=" ".join
)
async def test_a_missing_configuration_is_an_error_of_one_line(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"

    result = await collector(*command, "--config", str(path))

    assert (result.code, result.out) == (2, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"{path}: No such file or directory: ")
    assert "--config" in line


async def test_every_wrong_key_is_a_line_on_stderr(tmp_path: Path) -> None:
    config = write_config(tmp_path, "https://vendor.example/api", more='nope = 1\ndevice_ids = "3024"\n')

    result = await collector("check", "--offline", "--config", config)

    assert (result.code, result.out) == (2, "")
    paths = [line.partition(": ")[0] for line in result.err.splitlines()]
    assert ["sources.mall.device_ids", "sources.mall.nope"] == paths


async def test_run_reports_every_missing_secret_at_the_start(tmp_path: Path) -> None:
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

    result = await collector("run", "--config", str(path))

    assert (result.code, result.out) == (2, "")
    first, second = result.err.splitlines()
    assert (True, True) == (first.startswith("kafka.sasl.password: "), "NO_PASSWORD" in first)
    assert (True, True) == (second.startswith("sources.mall.user_key: "), "NO_KEY" in second)


async def test_brackets_in_errors_are_not_markup(tmp_path: Path) -> None:
    path = tmp_path / "[red]nowhere[/red].toml"

    result = await collector("check", "--offline", "--config", str(path))

    assert f"{path}: No such file" in result.err


def test_an_unexpected_error_is_shown_with_its_traceback_and_without_secrets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("cannot use crashed%2Fwith-55")

    Secret.model_validate("crashed/with-55")
    monkeypatch.setattr("collector.commands.check.check", fail)
    monkeypatch.setattr(sys, "argv", ["collector", "check"])

    with pytest.raises(SystemExit) as exited:
        cli.main()

    output = capsys.readouterr().err
    assert 1 == exited.value.code
    assert "Traceback" in output
    assert "ZeroDivisionError: cannot use [secret]" in output
    assert "crashed%2F" not in output
