"""The SBOM and the notices of the image name every package of requirements/run.txt."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from deploy.inventory.packages import installed
from deploy.inventory.reports import sha256_of_wheels
from deploy.inventory.sbom import dependencies
from tests.deploy import described
from tests.deploy.run_lock import locked_for

ROOT = Path(__file__).parents[2]


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """Return a directory with the metadata of the locked packages and of the collector, and nothing else."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    for name in ("collector", *(each.name for each in locked_for())):
        add(folder, name)
    return folder


def add(folder: Path, name: str) -> None:
    """Install the metadata of a package of this environment."""
    found = metadata.distribution(name)
    (own,) = {path.parts[0] for path in found.files or () if path.parts[0].endswith(".dist-info")}
    (folder / own).symlink_to(Path(str(found.locate_file(own))))


def write_report(path: Path, hashes: dict[str, str], *, is_old: bool = False) -> Path:
    """Write what pip reports about the installation of packages with these hashes."""
    archives = {
        name: {"hash": f"sha256={sha256}"} | ({} if is_old else {"hashes": {"sha256": sha256}})
        for name, sha256 in hashes.items()
    }
    install = [
        {"metadata": {"name": name}, "download_info": {"url": "https://index.example/", "archive_info": archive}}
        for name, archive in archives.items()
    ]
    path.write_text(json.dumps({"version": "1", "install": install}), "utf-8")
    return path


def write_inventory(site_packages: Path, output: Path, hash_seed: int = 0) -> subprocess.CompletedProcess[str]:
    """Run what the Dockerfile runs."""
    hashes = {each.name: min(each.sha256) for each in locked_for()}
    reports = [
        write_report(site_packages.with_name("locked.json"), hashes),
        write_report(site_packages.with_name("own.json"), {"collector": "0" * 64}),
    ]
    command: list[str | Path] = [sys.executable, "-m", "deploy.inventory", site_packages, output, *reports]
    environment = {"PYTHONHASHSEED": str(hash_seed)}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True)


def test_every_locked_package_has_a_component_and_a_notice(site_packages: Path, tmp_path: Path) -> None:
    done = write_inventory(site_packages, tmp_path / "share")

    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)
    described.check(tmp_path / "share", locked_for())


def test_equal_environments_have_equal_files(site_packages: Path, tmp_path: Path) -> None:
    for seed in (1, 2):
        write_inventory(site_packages, tmp_path / str(seed), seed)

    for name in (described.SBOM, described.NOTICES):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_package_that_no_report_names_fails_the_build(site_packages: Path, tmp_path: Path) -> None:
    add(site_packages, "pytest")
    done = write_inventory(site_packages, tmp_path / "share")

    assert 1 == done.returncode
    assert "'pytest'" in done.stderr
    assert not (tmp_path / "share" / described.SBOM).exists()


@pytest.mark.parametrize("is_old", [True, False])
def test_hashes_are_read_from_old_and_new_reports(tmp_path: Path, is_old: bool) -> None:
    report = write_report(tmp_path / "report.json", {"Typing_Extensions": "ab12"}, is_old=is_old)

    assert {"typing-extensions": "ab12"} == sha256_of_wheels([report])


def test_a_requirement_of_an_extra_counts_only_where_the_extra_is_used(site_packages: Path) -> None:
    needed = dependencies("collector", installed(site_packages))

    assert "cramjam" in needed["aiokafka"]
    assert "brotli" not in needed["aiohttp"]


def test_all_licence_files_of_a_package_are_in_its_notice(site_packages: Path) -> None:
    texts = {package.name: set(package.texts) for package in installed(site_packages)}

    assert {"LICENSE-APACHE", "LICENSE-MIT", "LICENSE-MPL-2.0"} == texts["orjson"]
    assert {"LICENSE.txt", "vendor/llhttp/LICENSE"} == texts["aiohttp"]
    assert {"LICENSE"} == texts["mdurl"], "its build tool does not follow PEP 639"
