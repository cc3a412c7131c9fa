"""The image has only locked packages, and runs as an unprivileged user on a read-only file system."""

import json
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from collector import __version__
from tests.commands.harness import closed_port
from tests.container import base
from tests.container.image import BUILD_ARGS, Image, Process, built
from tests.deploy import described
from tests.deploy.run_lock import locked_for
from tests.needs import need

TIMEOUT_S = 60
MAX_ENVIRONMENT_MB = 100
"""The maximum size of the Python environment without the base image. It was 68 MB when the limit was set."""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    need("BUILDAH", base.why_not())
    with built(tmp_path) as image:
        yield image


@pytest.mark.timeout(600)
def test_image(image: Image, tmp_path: Path, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]) -> None:
    """One test with subtests, because building the image takes most of the time."""
    with capsys.disabled():
        print(f"\nthe environment in the image: {size_mb(image):.0f} MB")  # noqa: T201 - for the reader of the test log
    etc = write_configuration(tmp_path / "etc")
    for check in CHECKS:
        with subtests.test(check.__name__):
            check(image, etc)


def write_configuration(etc: Path) -> Path:
    """Write a configuration with an unreachable Kafka, and a file with a secret."""
    etc.mkdir()
    (etc / "key").write_text("0123456789", "utf-8")
    (etc / "config.toml").write_text(
        f"""
        [kafka]
        bootstrap_servers = "127.0.0.1:{closed_port()}"
        [sources.mall]
        vendor = "seemetrix"
        user_id = 864
        user_key = {{ file = "/etc/collector/key" }}
        """,
        "utf-8",
    )
    return etc


def labels_user_signal_port_and_command_are_set(image: Image, _: Path) -> None:
    labels = {
        name.rpartition(".")[2]: value for name, value in image.config["Labels"].items() if "opencontainers" in name
    }
    assert {name.lower(): value for name, value in BUILD_ARGS.items()} == {
        name: labels[name] for name in ("version", "revision", "source")
    }
    assert {"title", "description", "licenses"} <= labels.keys()
    assert "10001:10001" == image.config["User"]
    assert "SIGTERM" == image.config["StopSignal"]
    assert {"9464/tcp": {}} == image.config["ExposedPorts"]
    assert (["/opt/collector/bin/collector"], ["run"]) == (image.config["Entrypoint"], image.config["Cmd"])


def run_time_packages_are_installed_and_build_tools_are_not(image: Image, _: Path) -> None:
    environment = image.root / "opt/collector"
    installed = {path.name for path in (environment / "lib/python3.11/site-packages").iterdir()}
    assert {"collector", "aiokafka", "aiohttp"} <= installed
    assert not {"pip", "hatchling", "pytest", "confluent_kafka", "editables"} & installed
    assert not [name for name in ("build", "opt/build") if (image.root / name).exists()]
    assert not [path for path in (environment / "bin").iterdir() if path.name.startswith("pip")]

    assert size_mb(image) < MAX_ENVIRONMENT_MB


def sbom_and_notices_describe_what_is_installed(image: Image, _: Path) -> None:
    environment = image.root / "opt/collector"
    installed = list((environment / "lib/python3.11/site-packages").glob("*.dist-info"))
    expected = locked_for({"python_version": "3.11", "python_full_version": "3.11.0"})

    described.check(environment / "share", expected)
    assert len(installed) == len(expected) + 1
    assert all(path.stat().st_mode & stat.S_IROTH for path in (environment / "share").iterdir())


def version_is_printed(image: Image, _: Path) -> None:
    assert (0, f"collector {__version__}\n") == image.run("--version")


def file_system_is_read_only_and_user_unprivileged(image: Image, _: Path) -> None:
    program = "import os; print(os.getpid(), os.getuid(), os.getgid(), os.getgroups()); open('/tmp/x', 'w')"
    with image.process(["/opt/collector/bin/python", "-c", program]) as process:
        code, output = process.ended()
    assert "1 10001 10001 []" == output.splitlines()[0]
    assert (1, True) == (code, "Read-only file system" in output)


def no_shell_is_needed(image: Image, _: Path) -> None:
    """This runner disables the shells, so all other checks pass with an image that has none."""
    with image.process(
        ["/opt/collector/bin/python", "-c", "import subprocess; subprocess.run('true', shell=True)"]
    ) as process:
        code, output = process.ended()
    assert (1, True) == (code, "Permission denied: '/bin/sh'" in output)


def all_modules_are_precompiled(image: Image, _: Path) -> None:
    with image.process(["/opt/collector/bin/python", "-v", "-c", "import collector.cli, collector.app"]) as process:
        code, output = process.ended()
    loaded = [line for line in output.splitlines() if line.startswith("# code object from ")]
    assert 0 == code
    assert loaded
    assert not [line for line in loaded if not line.endswith(".pyc'")]


def mounted_configuration_is_checked(image: Image, etc: Path) -> None:
    code, output = image.run("check", "--offline", mounts={"/etc/collector": etc})
    assert 0 == code
    assert re.fullmatch(r"ok +config\.toml: .*\b1 source\n", output)


def health_check_fails_without_a_daemon(image: Image, _: Path) -> None:
    port = closed_port()
    code, output = health(image, port)
    assert 1 == code
    assert f"http://127.0.0.1:{port}/healthz" in output
    assert "Connection refused" in output


def daemon_waits_for_kafka_and_stops_on_sigterm(image: Image, etc: Path) -> None:
    port = closed_port()
    with running(image, etc, port) as process:
        until(lambda: health(image, port) == (0, ""), "the health check succeeds without Kafka")
        assert "10001\t10001\t10001\t10001" == process.status["Uid"]
        assert int(process.status["CapEff"], 16) == 0
        process.terminate()
        code, output = process.ended()
    assert 0 == code
    assert "stopping" in [json.loads(line)["event"] for line in output.splitlines()]


def sigterm_during_the_start_ends_the_process(image: Image, etc: Path) -> None:
    """The kernel drops signals to the first process unless it has handlers for them."""
    with running(image, etc, closed_port()) as process:
        until(lambda: process.handles(signal.SIGTERM), "SIGTERM is handled")
        process.terminate()
        assert process.ended()[0] in (0, 128 + signal.SIGTERM)


CHECKS: tuple[Callable[[Image, Path], None], ...] = (
    labels_user_signal_port_and_command_are_set,
    run_time_packages_are_installed_and_build_tools_are_not,
    sbom_and_notices_describe_what_is_installed,
    version_is_printed,
    file_system_is_read_only_and_user_unprivileged,
    no_shell_is_needed,
    all_modules_are_precompiled,
    mounted_configuration_is_checked,
    health_check_fails_without_a_daemon,
    daemon_waits_for_kafka_and_stops_on_sigterm,
    sigterm_during_the_start_ends_the_process,
)


def size_mb(image: Image) -> float:
    """Return the size of the installed environment."""
    return sum(path.lstat().st_size for path in (image.root / "opt/collector").rglob("*")) / 1e6


def running(image: Image, etc: Path, port: int) -> AbstractContextManager[Process]:
    """Run the image's own command until the end of the block, as `docker run IMAGE` does."""
    command = [*image.config["Entrypoint"], *image.config["Cmd"]]
    return image.process(command, {"/etc/collector": etc}, COLLECTOR__HTTP__LISTEN=listen(image, port))


def health(image: Image, port: int) -> tuple[int, str]:
    """Return exit code and output of the image's health check for a port."""
    form, *command = image.config["Healthcheck"]["Test"]
    assert "CMD" == form
    with image.process(command, COLLECTOR__HTTP__LISTEN=listen(image, port)) as process:
        return process.ended()


def listen(image: Image, port: int) -> str:
    """Return the image's own `http.listen`, with another port."""
    (found,) = (each for each in image.config["Env"] if each.startswith("COLLECTOR__HTTP__LISTEN="))
    host, _, own_port = found.partition("=")[2].rpartition(":")
    assert "9464" == own_port
    return f"{host}:{port}"


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
