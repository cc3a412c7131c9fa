"""The Dockerfile passes the linter, and the build context has only the files that the build copies."""

import subprocess
import sys
from pathlib import Path

from tests.container.image import TREE

HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_finds_nothing_and_no_rule_is_ignored() -> None:
    done = subprocess.run([HADOLINT, "--no-color", TREE / "Dockerfile"], check=False, capture_output=True, text=True)

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    assert "hadolint" not in (TREE / "Dockerfile").read_text("utf-8")
    assert not list(TREE.glob(".hadolint*"))


def test_dockerignore_admits_exactly_the_copied_files() -> None:
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


def test_the_build_backend_is_locked_with_hashes() -> None:
    locked = (TREE / "requirements/build.txt").read_text("utf-8")

    assert "\nhatchling==" in locked
    assert locked.count("==") <= locked.count("--hash=sha256:")
