"""A real schema registry for the tests: Apicurio Registry with its storage in memory, on loopback."""

import http.client
import os
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import anyio.to_thread

from tests.java import QUICK_START
from tests.kafka.broker import free_port
from tests.maven import fetched
from tests.needs import absent

POM = Path(__file__).with_name("pom.xml")
START_S = 90
STOP_S = 20
API = "/apis/ccompat/v7"
"""Where Apicurio serves Confluent's API."""
_INHERITED = ("PATH", "HOME", "JAVA_HOME")


def unavailable_reason() -> str:
    """Why no registry can be started on this machine; empty if one can."""
    return absent("java", "mvn")


@contextmanager
def running(home: Path, port: int | None = None) -> Iterator[str]:
    """Run a registry with its log in `home` until the end of the block; yield the URL of its Confluent API."""
    (jar,) = fetched("registry", POM, "unpack-dependencies").glob("*-runner.jar")
    port = port or free_port()
    options = ["-Xmx384m", "-XX:+UseSerialGC", *QUICK_START]
    options += [f"-Dquarkus.http.port={port}", "-Dquarkus.http.host=127.0.0.1"]
    environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    log = home / "registry.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["java", *options, "-jar", str(jar)], stdout=output, stderr=output, cwd=home, env=environment
        )
    try:
        _wait_until_ready(process, port, log)
        yield f"http://127.0.0.1:{port}{API}"
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@asynccontextmanager
async def running_beside(home: Path, port: int) -> AsyncIterator[str]:
    """As `running`; meanwhile the event loop serves on, for tests that are a vendor or an authorization server too."""
    with ExitStack() as stack:
        yield await anyio.to_thread.run_sync(stack.enter_context, running(home, port))


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when the registry responds. Raises RuntimeError with the end of its log if it does not."""
    deadline = time.monotonic() + START_S
    while not _responds(port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text("utf-8")[-2000:])
        time.sleep(0.1)


def _responds(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", f"{API}/subjects")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
