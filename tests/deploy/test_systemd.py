"""deploy/systemd: a unit that systemd accepts, restricted, and consistent with its example and the other deployments.

test_systemd_runs.py runs it.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from collector.app import STOP_S
from collector.config import load
from tests.commands.harness import collector
from tests.container.image import TREE
from tests.deploy.included import secrets
from tests.deploy.kustomize import FOLDER as KUBERNETES
from tests.deploy.systemd import FOLDER, PROGRAM, UNIT
from tests.needs import absent, need

README = (TREE / "deploy/README.md").read_text("utf-8")
SECRETS = "/etc/collector/secrets"
MAX_EXPOSURE = 15
"""In tenths, of `systemd-analyze security`. A service on the network without any other weakness has 12."""


def settings(section: str) -> dict[str, list[str]]:
    """Return the settings of a section of the unit, each with its values in order."""
    found: dict[str, list[str]] = {}
    text = UNIT.read_text("utf-8").partition(f"[{section}]\n")[2].partition("\n[")[0]
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


SERVICE = settings("Service")


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    need("SYSTEMD", absent("systemd-analyze"))
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace(PROGRAM, sys.executable), "utf-8")
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], check=False, capture_output=True, text=True)
    assert (0, "") == (done.returncode, "\n".join(line for line in done.stderr.splitlines() if UNIT.name in line))


def test_systemd_finds_the_unit_safe() -> None:
    need("SYSTEMD", absent("systemd-analyze"))
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MAX_EXPOSURE}", "--no-pager", str(UNIT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert 0 == done.returncode, done.stdout


def test_the_service_never_gives_up_and_has_enough_time_to_stop() -> None:
    assert (["always"], ["0"]) == (SERVICE["Restart"], settings("Unit")["StartLimitIntervalSec"])
    (timeout,) = SERVICE["TimeoutStopSec"]
    assert int(timeout.removesuffix("s")) >= STOP_S + 5


def test_the_memory_is_that_of_the_pod() -> None:
    deployment = yaml.safe_load((KUBERNETES / "deployment.yaml").read_text("utf-8"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert [container["resources"]["limits"]["memory"].removesuffix("i")] == SERVICE["MemoryMax"]


def test_the_log_goes_to_the_journal_as_it_is() -> None:
    """The default format is JSON, on stderr."""
    assert [["journal"], ["journal"]] == [SERVICE["StandardOutput"], SERVICE["StandardError"]]
    assert "json" == load(FOLDER / "config.toml").log.format


def test_the_user_is_the_one_that_is_created() -> None:
    (line,) = (each for each in (FOLDER / "collector.sysusers.conf").read_text("utf-8").splitlines() if each[0] != "#")
    kind, user, *_ = line.split()
    assert ("u", [user], [user]) == (kind, SERVICE["User"], SERVICE["Group"])
    assert "DynamicUser" not in SERVICE


def test_the_readme_creates_the_secrets_that_the_example_names_for_the_group_of_the_service() -> None:
    """Credentials would be copied at the start: a new account would need a restart."""
    assert "LoadCredential" not in SERVICE
    (group,) = SERVICE["Group"]
    assert f"install -d -m 0750 -g {group} {SECRETS}\n" in README
    install = f"sudo install -m 0640 -g {group} /dev/stdin"
    assert [] == [file for file in secrets(FOLDER) if f"{install} {file}\n" not in README]
    assert [] == [file for file in secrets(FOLDER) if Path(file).parent != Path(SECRETS)]


def test_the_readme_installs_to_where_the_unit_expects_it() -> None:
    (command,) = SERVICE["ExecStart"]
    program, *_, config = command.split()
    assert (PROGRAM, "/etc/collector/config.toml") == (program, config)
    assert [] == [path for path in (PROGRAM, config, "/etc/systemd/system/") if path not in README]
    assert re.search(r"ln -sfn \S+ /opt/collector/current$", README, re.MULTILINE)


@pytest.mark.anyio
async def test_the_example_is_valid() -> None:
    path = FOLDER / "config.toml"
    ended = await collector("check", "--offline", "--config", str(path))
    first, *others = ended.out.splitlines()
    assert (0, f"ok     {path}: valid, 2 sources", "") == (ended.code, first, ended.err)
    assert [] == [line for line in others if "included, 1 source:" not in line and "the secret file" not in line]
