"""The hosted workflow runs `.ci/run` on every Python version that the project claims, with the least permissions."""

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKS = ("run", "dev", "build")
SUPPORTED = re.compile(r"(universal|generate-hashes)$|(python-version|group|constraint|output-file)=")
"""The options of `uv pip compile` in our locks that Renovate accepts."""
# YAML 1.1 reads the key `on` as true.
WORKFLOWS: dict[str, dict[Any, Any]] = {
    path.name: yaml.safe_load(path.read_text("utf-8")) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
JOBS = [job for workflow in WORKFLOWS.values() for job in workflow["jobs"].values()]
STEPS = [step for job in JOBS for step in job["steps"]]


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def lock(name: str) -> str:
    return (ROOT / f"requirements/{name}.txt").read_text("utf-8")


def pins(name: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+==[^ ;]+)", lock(name), re.MULTILINE))


def test_the_matrix_is_the_python_versions_of_the_classifiers() -> None:
    prefix = "Programming Language :: Python :: "
    claimed = [each.removeprefix(prefix) for each in PROJECT["classifiers"] if each.startswith(f"{prefix}3.")]

    assert claimed == WORKFLOWS["ci.yml"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert PROJECT["requires-python"] == f">={claimed[0]}"


def test_every_command_of_a_workflow_exists() -> None:
    commands = [line for step in STEPS for line in step.get("run", "").splitlines()]

    assert ".ci/run" in commands
    for command in commands:
        program, *arguments = command.split()
        if program == "make":
            assert set(arguments) <= make_targets()
        else:
            assert os.access(ROOT / program, os.X_OK), command


def test_ci_ends_with_the_target_that_runs_everything() -> None:
    last = (ROOT / ".ci/run").read_text("utf-8").splitlines()[-1]

    assert last == "make test"
    assert "test" in make_targets()


def test_known_vulnerabilities_are_always_looked_up() -> None:
    """`.ci/run` also runs on machines that reach no database of them."""
    (step,) = (step for step in STEPS if step.get("run") == ".ci/run")

    assert {"REQUIRE_ADVISORIES": "1"} == step["env"]


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_only_read(name: str) -> None:
    assert WORKFLOWS[name]["permissions"] == {"contents": "read"}
    assert "concurrency" in WORKFLOWS[name]
    assert "pull_request_target" not in WORKFLOWS[name][True]
    assert all("permissions" not in job and job["timeout-minutes"] for job in WORKFLOWS[name]["jobs"].values())


def test_actions_are_pinned_by_commit_and_keep_no_credentials() -> None:
    used = [step for step in STEPS if "uses" in step]

    assert used
    for step in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("name", LOCKS)
def test_renovate_can_repeat_the_command_that_made_a_lock(name: str) -> None:
    """Its manager reads the command from the header; decision 20 lists what the manager supports."""
    renovate = json.loads((ROOT / ".github/renovate.json").read_text("utf-8"))
    (pattern,) = renovate["pip-compile"]["managerFilePatterns"]
    header, *options = lock(name).splitlines()[1].removeprefix("#    ").split(" --")

    assert re.search(pattern.strip("/"), f"requirements/{name}.txt")
    assert header == "uv pip compile"
    assert {"universal", "generate-hashes"} <= set(options)
    assert all(SUPPORTED.match(option) for option in options)
    assert f"--output-file=requirements/{name}.txt " in lock(name)
    target = (ROOT / "Makefile").read_text("utf-8")
    assert f"--output-file=requirements/{name}.txt {options[-1].split()[-1]}\n" in target


@pytest.mark.parametrize("name", ["run", "build"])
def test_what_is_shipped_is_what_is_tested(name: str) -> None:
    assert pins(name) <= pins("dev")
