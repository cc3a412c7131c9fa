"""What the image promises: built of locked packages, run by nobody in particular, with a root that is only read."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from collector import __version__
from tests.commands.harness import closed_port
from tests.container import base
from tests.container.image import BUILD_ARGS, Image, Process, built
from tests.needs import need

WITHIN_S = 60
"""How long a test waits for what must happen; it goes on as soon as it has."""
LARGEST_MB = 100
"""Of the environment, without the base: wheels, and the bytecode made of them. It was 68 when this was written."""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    need("BUILDAH", base.why_not())
    with built(tmp_path) as made:
        yield made


@pytest.mark.timeout(600)
def test_the_image_keeps_its_promises(
    image: Image, tmp_path: Path, subtests: pytest.Subtests, capsys: pytest.CaptureFixture[str]
) -> None:
    """One test, because what takes its time is the building."""
    with capsys.disabled():
        print(f"\nthe environment in the image: {size_mb(image):.0f} MB")  # noqa: T201 - a number to look at
    etc = configured(tmp_path / "etc")
    for promise in PROMISES:
        with subtests.test(promise.__name__):
            promise(image, etc)


def configured(etc: Path) -> Path:
    """A configuration whose Kafka is nowhere, and a secret beside it."""
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


def it_says_what_it_is_and_how_it_wants_to_be_run(image: Image, _: Path) -> None:
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


def it_holds_what_runs_and_nothing_that_builds(image: Image, _: Path) -> None:
    environment = image.root / "opt/collector"
    there = {path.name for path in (environment / "lib/python3.11/site-packages").iterdir()}
    assert {"collector", "aiokafka", "aiohttp"} <= there
    assert not {"pip", "hatchling", "pytest", "confluent_kafka", "editables"} & there
    assert not [name for name in ("build", "opt/build") if (image.root / name).exists()]
    assert not [path for path in (environment / "bin").iterdir() if path.name.startswith("pip")]

    assert size_mb(image) < LARGEST_MB


def it_says_its_version(image: Image, _: Path) -> None:
    assert (0, f"collector {__version__}\n") == image.run("--version")


def nothing_can_be_written(image: Image, _: Path) -> None:
    program = "import os; print(os.getpid(), os.getuid(), os.getgid(), os.getgroups()); open('/tmp/x', 'w')"
    with image.process(["/opt/collector/bin/python", "-c", program]) as process:
        code, output = process.ended()
    assert "1 10001 10001 []" == output.splitlines()[0]
    assert (1, True) == (code, "Read-only file system" in output)


def there_is_no_shell_to_need(image: Image, _: Path) -> None:
    """Of this runner: what passes here passes with an image that has none."""
    with image.process(
        ["/opt/collector/bin/python", "-c", "import subprocess; subprocess.run('true', shell=True)"]
    ) as process:
        code, output = process.ended()
    assert (1, True) == (code, "Permission denied: '/bin/sh'" in output)


def nothing_is_compiled_at_the_start(image: Image, _: Path) -> None:
    with image.process(["/opt/collector/bin/python", "-v", "-c", "import collector.cli, collector.app"]) as process:
        code, output = process.ended()
    loaded = [line for line in output.splitlines() if line.startswith("# code object from ")]
    assert 0 == code
    assert loaded
    assert not [line for line in loaded if not line.endswith(".pyc'")]


def it_checks_the_configuration_that_is_mounted(image: Image, etc: Path) -> None:
    told = image.run("check", "--offline", mounts={"/etc/collector": etc})
    assert (0, "ok     config.toml: valid, 1 source\n") == told


def it_is_not_healthy_when_nothing_runs(image: Image, _: Path) -> None:
    port = closed_port()
    code, output = health(image, port)
    assert 1 == code
    assert output.startswith(f"http://127.0.0.1:{port}/healthz does not answer (Connection refused): ")


def it_waits_for_kafka_and_ends_when_it_is_told_to(image: Image, etc: Path) -> None:
    port = closed_port()
    with running(image, etc, port) as process:
        until(lambda: health(image, port) == (0, ""), "it is healthy, with Kafka away")
        assert "10001\t10001\t10001\t10001" == process.status["Uid"]
        assert int(process.status["CapEff"], 16) == 0
        process.terminate()
        code, output = process.ended()
    assert 0 == code
    assert "stopping" in [json.loads(line)["event"] for line in output.splitlines()]


def it_ends_when_it_is_told_to_before_it_has_begun(image: Image, etc: Path) -> None:
    """Signals to the first process are lost, unless it asked for them."""
    with running(image, etc, closed_port()) as process:
        until(lambda: process.handles(signal.SIGTERM), "SIGTERM is handled")
        process.terminate()
        assert process.ended()[0] in (0, 128 + signal.SIGTERM)


PROMISES: tuple[Callable[[Image, Path], None], ...] = (
    it_says_what_it_is_and_how_it_wants_to_be_run,
    it_holds_what_runs_and_nothing_that_builds,
    it_says_its_version,
    nothing_can_be_written,
    there_is_no_shell_to_need,
    nothing_is_compiled_at_the_start,
    it_checks_the_configuration_that_is_mounted,
    it_is_not_healthy_when_nothing_runs,
    it_waits_for_kafka_and_ends_when_it_is_told_to,
    it_ends_when_it_is_told_to_before_it_has_begun,
)


def size_mb(image: Image) -> float:
    """Of what was installed."""
    return sum(path.lstat().st_size for path in (image.root / "opt/collector").rglob("*")) / 1e6


def running(image: Image, etc: Path, port: int) -> AbstractContextManager[Process]:
    """`docker run IMAGE`, until the end of the block."""
    command = [*image.config["Entrypoint"], *image.config["Cmd"]]
    return image.process(command, {"/etc/collector": etc}, COLLECTOR__HTTP__LISTEN=f"127.0.0.1:{port}")


def health(image: Image, port: int) -> tuple[int, str]:
    """What the image's health check says of the process that listens there."""
    how, *command = image.config["Healthcheck"]["Test"]
    assert "CMD" == how
    with image.process(command, COLLECTOR__HTTP__LISTEN=f"127.0.0.1:{port}") as process:
        return process.ended()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
