"""Shell completion of commands, options, and names from the configuration."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collector.cli import app
from collector.schemas import event_types
from tests.commands.harness import collector
from tests.needs import absent, need

pytestmark = pytest.mark.anyio

PROGRAM = Path(sys.executable).with_name("collector")
SOURCES = """
[sources.mall]
vendor = "seemetrix"
user_id = 864
user_key = { env = "NOT_SET_DURING_COMPLETION" }
[sources.mall.streams.sessions]
[sources.mall.streams.devices]
[sources.airport]
vendor = "quividi"
username = "airport"
token = { file = "/nowhere" }
locations = [1]
timezone = "Europe/Paris"
"""
IN_BASH = """
source /dev/stdin <<< "$(collector --show-completion)"
COMP_WORDS=(%s) COMP_CWORD=%d
_collector_completion collector
printf '%%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(SOURCES, "utf-8")
    (tmp_path / "other.toml").write_text(SOURCES.replace("sources.mall", "sources.annex"), "utf-8")
    (tmp_path / "wrong.toml").write_text(SOURCES + "[nope]\n", "utf-8")
    return tmp_path


def completed(line: str) -> Sequence[str]:
    """The completions of the last word of the line, as the function of bash requests them."""
    env = {"_COLLECTOR_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    result = CliRunner().invoke(app, [], env=env, prog_name="collector")
    assert (0, "") == (result.exit_code, result.stderr)
    return result.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("collector pre", ["preview"]),
        ("collector state ", ["init", "show", "rewind"]),
        ("collector check --off", ["--offline"]),
        ("collector preview ", ["mall", "airport"]),
        ("collector preview m", ["mall"]),
        ("collector preview mall ", ["sessions", "devices"]),
        ("collector preview airport ", ["viewers"]),
        ("collector state rewind mall s", ["sessions"]),
        ("collector preview --config other.toml ", ["annex", "airport"]),
        ("collector preview nothing ", []),
        ("collector preview -c wrong.toml ", []),
        ("collector preview -c nowhere.toml ", []),
        ("collector schema collector.d", ["collector.dead_letter.v1"]),
        ("collector topics --as ", ["table", "kafka", "strimzi", "terraform"]),
    ],
)
def test_completions_of_a_word(
    folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, expected: Sequence[str]
) -> None:
    monkeypatch.chdir(folder)

    assert expected == completed(line)


def test_every_command_and_every_type_is_completed() -> None:
    assert {"run", "check", "topics", "preview", "state", "schema", "simulate", "demo"} <= set(completed("collector "))
    assert list(event_types()) == completed("collector schema ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [("collector preview ", ["mall", "airport"]), ("collector preview mall d", ["devices"])],
)
def test_the_script_for_bash_completes(folder: Path, line: str, expected: Sequence[str]) -> None:
    need("BASH", absent("bash"))
    words = line.split(" ")
    script = IN_BASH % (" ".join(f"'{word}'" for word in words), len(words) - 1)

    assert expected == _run("bash", script, folder)


@pytest.mark.parametrize(
    ("line", "expected"),
    [("collector preview ", ["airport", "mall"]), ("collector preview mall d", ["devices"])],
)
def test_the_script_for_fish_completes(folder: Path, line: str, expected: Sequence[str]) -> None:
    need("FISH", absent("fish"))
    script = f"collector --show-completion | source; complete --do-complete '{line}'"

    assert expected == sorted(_run("fish", script, folder))


@pytest.mark.parametrize(
    ("line", "expected"), [("preview ", '"mall"\n"airport"'), ("schema collector.", "dead_letter")]
)
async def test_completions_for_zsh(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str, expected: str) -> None:
    monkeypatch.chdir(folder)
    env = {"_COLLECTOR_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"collector {line}"}

    result = await collector(env=env)

    assert result.out.startswith("_arguments ")
    assert expected in result.out


def test_completion_is_installed_for_the_present_shell(folder: Path) -> None:
    need("BASH", absent("bash"))

    output = _run("bash", "collector --install-completion; true", folder)

    assert ["bash completion installed in"] == [line[:28] for line in output if "installed" in line]
    assert "collector" in (folder / ".bashrc").read_text("utf-8")
    assert "_collector_completion" in (folder / ".bash_completions" / "collector.sh").read_text("utf-8")


def _run(shell: str, script: str, folder: Path) -> list[str]:
    """The lines that a shell prints, with the folder as its home and working directory."""
    path = f"{PROGRAM.parent}:/usr/local/bin:/usr/bin:/bin"
    command = [shell, "-c", script]
    env = {"PATH": path, "HOME": str(folder), "TERM": "dumb", "XDG_CONFIG_HOME": str(folder)}
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder, env=env, timeout=60)
    return result.stdout.split("\n")[:-1] if result.stdout else []
