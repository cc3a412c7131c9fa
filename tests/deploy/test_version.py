"""pyproject.toml is the one place that defines the version. Everything else that states it states the same."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from email import message_from_bytes
from importlib import metadata
from pathlib import Path

import yaml

import collector

ROOT = Path(__file__).parents[2]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
NOT_SEARCHED = {"requirements", "LICENSE", "CHANGELOG.md", "build", "dist", "__pycache__"}
"""The locks and the licence have versions of their own, the changelog lists all releases, and the rest is generated."""


def files() -> list[Path]:
    """The files of the repository that may state the version, relative to it."""
    folders = [path for path in ROOT.iterdir() if not path.name.startswith(".") or path.name in (".ci", ".github")]
    found = [path for top in folders for path in (top.rglob("*") if top.is_dir() else [top]) if path.is_file()]
    names = [path.relative_to(ROOT) for path in found]
    return [name for name in names if not NOT_SEARCHED & set(name.parts)]


def test_the_program_reports_the_version_of_its_metadata() -> None:
    assert VERSION == metadata.version("collector") == collector.__version__


def test_the_manifest_deploys_this_version() -> None:
    (image,) = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text("utf-8"))["images"]

    assert VERSION == image["newTag"]


def test_the_contract_is_of_this_version() -> None:
    assert VERSION == json.loads((ROOT / "docs/schemas/asyncapi.json").read_text("utf-8"))["info"]["version"]


def test_make_image_labels_and_tags_this_version() -> None:
    done = subprocess.run(["make", "--dry-run", "image"], cwd=ROOT, check=True, capture_output=True, text=True)

    assert f"--build-arg VERSION={VERSION} " in done.stdout
    assert f"--tag collector:{VERSION} " in done.stdout


def test_no_other_file_states_a_version_of_the_collector() -> None:
    """A version in a command or a manifest would not follow `make bump`."""
    stated = re.compile(rf"(?<![\d.]){re.escape(VERSION)}(?![\d.])|\bcollector[:=@]+v?\d+\.\d+\.\d+|VERSION=\d+\.\d+")
    found = {str(name) for name in files() if stated.search((ROOT / name).read_text("utf-8", errors="replace"))}

    elsewhere = {name for name in found if name.startswith("docs/schemas/released/") or name.endswith("-lock.json")}
    assert found - elsewhere == {"pyproject.toml", "deploy/kubernetes/kustomization.yaml", "docs/schemas/asyncapi.json"}


def test_the_changelog_describes_this_version() -> None:
    """Its first section is this version, or the changes that are not released yet."""
    first = next(line for line in (ROOT / "CHANGELOG.md").read_text("utf-8").splitlines() if line.startswith("## "))

    assert VERSION in first or "unreleased" in first.lower()


def test_the_wheel_is_typed(tmp_path: Path) -> None:
    """PEP 561: type checkers read the annotations of a package that contains py.typed."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (path,) = tmp_path.glob("*.whl")

    with zipfile.ZipFile(path) as wheel:
        assert "collector/py.typed" in wheel.namelist()
        described = message_from_bytes(wheel.read(f"collector-{VERSION}.dist-info/METADATA"))
    assert "Typing :: Typed" in described.get_all("Classifier", [])
