"""The Dockerfile holds to others' rules, and nothing gets into the build but what it needs."""

import subprocess
import sys
from pathlib import Path

from tests.container.image import TREE

HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_has_nothing_to_say_and_is_told_to_ignore_nothing() -> None:
    done = subprocess.run([HADOLINT, "--no-color", TREE / "Dockerfile"], check=False, capture_output=True, text=True)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert "hadolint" not in (TREE / "Dockerfile").read_text("utf-8")
    assert not list(TREE.glob(".hadolint*"))


def test_what_is_copied_is_what_dockerignore_lets_in() -> None:
    lines = (TREE / "Dockerfile").read_text("utf-8").splitlines()
    copied = {
        name
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for name in line.removeprefix("COPY ").split()[:-1]
    }
    first, *rules = (TREE / ".dockerignore").read_text("utf-8").splitlines()

    assert "*" == first
    assert copied == {rule.removeprefix("!") for rule in rules if rule.startswith("!")}


def test_what_builds_is_locked_and_is_what_the_project_says() -> None:
    locked = (TREE / "requirements/build.txt").read_text("utf-8")

    assert "\nhatchling==" in locked
    assert locked.count("==") <= locked.count("--hash=sha256:")
