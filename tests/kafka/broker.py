"""A real Apache Kafka for the tests: one KRaft node on loopback, from its published jars."""

import hashlib
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from tests.needs import absent

POM = Path(__file__).with_name("pom.xml")
START_S = 60
_ASKED = bytes.fromhex("0000000a0012000000000001ffff")
"""ApiVersions, of version 0: what every client asks first."""

_PROPERTIES = """
process.roles={roles}
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port}{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
offsets.topic.replication.factor={nodes}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={in_sync}
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


def why_not() -> str:
    """Why no broker can be started here; empty when one can."""
    return absent("java", "mvn")


def jars() -> Path:
    """The broker's jars, fetched into a cache outside the tree once for each POM."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "collector-tests"
    version = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    there = cache / f"kafka-{version}"
    if not there.exists():
        partial = cache / f"kafka-{version}.{os.getpid()}"
        command = ["mvn", "-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
        subprocess.run([*command, f"-DoutputDirectory={partial}"], check=True, timeout=600)
        partial.rename(there)
    return there


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


class Door(Struct, frozen=True):
    """A listener: where it is, where clients who come by it are told that the broker is, and what it speaks."""

    address: str
    advertised: str
    protocol: str = "PLAINTEXT"


class Broker:
    """One node, which can be killed and started again with what it had on disk.

    `controllers` are the ports of the first nodes of its cluster, which agree on what is where; a node after them only
    serves clients. There are as many `nodes` as controllers, unless there are more.
    """

    def __init__(self, home: Path, node: int = 1, controllers: Sequence[int] = (), nodes: int = 0) -> None:
        controllers = controllers or (free_port(),)
        nodes, is_controller = nodes or len(controllers), node <= len(controllers)
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._home = home
        self._config = home / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self._java = ["java", "-cp", f"{jars()}/*", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._config.write_text(
            _PROPERTIES.format(
                roles="broker,controller" if is_controller else "broker",
                port=self.port,
                controller=f",CONTROLLER://127.0.0.1:{controllers[node - 1]}" if is_controller else "",
                data=home / "data",
                node=node,
                voters=",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(controllers, 1)),
                nodes=nodes,
                in_sync=(nodes + 1) // 2,
            ),
            encoding="utf-8",
        )
        format_ = ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", str(self._config)]
        subprocess.run([*self._java, *format_], check=True, capture_output=True, timeout=START_S)

    def configure(self, doors: Mapping[str, Door], more: str = "") -> None:
        """Before it is started: listeners besides its own, by their names, and properties."""
        text = self._config.read_text("utf-8")
        for key, values in (
            ("listeners", [f"{name}://{door.address}" for name, door in doors.items()]),
            ("advertised.listeners", [f"{name}://{door.advertised}" for name, door in doors.items()]),
            ("listener.security.protocol.map", [f"{name}:{door.protocol}" for name, door in doors.items()]),
        ):
            assert 1 == text.count(f"\n{key}=")
            text = text.replace(f"\n{key}=", f"\n{key}={','.join(values)},")
        self._config.write_text(text + more, encoding="utf-8")

    def advertise_controller(self, address: str) -> None:
        """Before it is started: where other nodes reach the controller that it is, instead of where it listens."""
        text, key = self._config.read_text("utf-8"), "\nadvertised.listeners="
        assert 1 == text.count(key)
        self._config.write_text(text.replace(key, f"{key}CONTROLLER://{address},"), encoding="utf-8")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def folder(self, topic: str, partition: int) -> Path:
        """Where it keeps a partition's log."""
        return self._home / "data" / f"{topic}-{partition}"

    def start(self) -> None:
        """Start it, and return when it answers."""
        self.launch()
        self.await_answer()

    def launch(self) -> None:
        """Start it; of several nodes none answers before most are there."""
        heap = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"]
        with (self._home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, *heap, "kafka.Kafka", str(self._config)], stdout=log, stderr=log
            )

    def await_answer(self) -> None:
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._home / "broker.log").read_text("utf-8")[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it cleanly."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_S)

    def _answers(self) -> bool:
        """It lets clients connect long before it listens to them."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as asking:
                asking.sendall(_ASKED)
                return bool(asking.recv(4))
        except OSError:
            return False


@contextmanager
def running(home: Path) -> Iterator[Broker]:
    broker = Broker(home)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
