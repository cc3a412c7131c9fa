"""A real Apache Kafka for the tests: KRaft nodes on loopback, run from the published jars."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from tests.java import QUICK_START
from tests.maven import fetched
from tests.needs import absent

NEWEST = Path(__file__).with_name("pom.xml")
"""The newest release line of Apache Kafka, which all tests run by default."""
OLDEST = Path(__file__).with_name("pom-oldest.xml")
"""The oldest release line that the collector supports: before version 2 of transactions (KIP-890)."""
START_S = 60
_API_VERSIONS_REQUEST = bytes.fromhex("0000000a0012000000000001ffff")
"""Version 0 of the request that every client sends first."""

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


def unavailable_reason() -> str:
    """Why no broker can be started on this machine; empty if one can."""
    return absent("java", "mvn")


def jars(release: Path = NEWEST) -> Path:
    """The folder of the broker's jars, of the release in this POM."""
    return fetched("kafka", release, "copy-dependencies", "-DincludeScope=runtime")


def _class_archive(release: Path) -> Path | None:
    """The classes of a broker as the JVM has them in memory, stored once: a broker then starts in half of the CPU time.

    None while another process stores them.
    """
    archive = jars(release) / "classes.jsa"
    if not archive.exists():
        unfinished = archive.with_suffix(".unfinished")
        try:
            unfinished.mkdir()
        except FileExistsError:
            return None
        with TemporaryDirectory() as home:
            broker = Broker(Path(home), release=release, archive=f"-XX:ArchiveClassesAtExit={unfinished / 'jsa'}")
            try:
                broker.start()
                broker.stop()
            finally:
                broker.kill()
        (unfinished / "jsa").rename(archive)
        unfinished.rmdir()
    return archive


def _formatted(release: Path, config: Path, node: int, *, is_controller: bool) -> Path:
    """The data of a node that was never started, which Kafka's own tool has written once, given its configuration."""
    formatted = jars(release) / f"{'controller' if is_controller else 'broker'}-{node}"
    if not formatted.exists():
        with TemporaryDirectory(dir=formatted.parent) as home:
            properties = Path(home) / "server.properties"
            properties.write_text(f"{config.read_text('utf-8')}\nlog.dirs={home}/data\n", "utf-8")
            words = ["kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", str(properties)]
            command = ["java", *QUICK_START, "-cp", f"{jars(release)}/*", *words]
            subprocess.run(command, check=True, capture_output=True, timeout=START_S)
            with suppress(OSError):  # another process was faster
                (Path(home) / "data").rename(formatted)
    return formatted


def free_port() -> int:
    """A TCP port of loopback on which nothing listens, reserved until this process ends.

    A socket that never listens stays bound to it. Servers may reuse its address, as all that the tests start do; but
    while one restarts, no other process, and no connection, gets its port.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    port = int(reserved.getsockname()[1])
    reserved.detach()  # it stays open
    return port


class Listener(Struct, frozen=True):
    """A listener: where it listens, the address that it advertises to its clients, and its security protocol."""

    address: str
    advertised: str
    protocol: str = "PLAINTEXT"


class Broker:
    """One node, which can be killed and restarted with the data that it has on disk.

    `controllers` are the controller ports of the first nodes of the cluster; a node after those is a broker only.
    `nodes` is the size of the cluster, by default the number of controllers. `release` is the POM of its jars, and
    `classes` is a folder of further classes. `options` are those of the JVM: a benchmark needs others. `archive` is the
    option for the archive of its classes, by default to use it.
    """

    def __init__(
        self,
        home: Path,
        node: int = 1,
        controllers: Sequence[int] = (),
        nodes: int = 0,
        *,
        release: Path = NEWEST,
        classes: Path | None = None,
        options: Sequence[str] = QUICK_START,
        archive: str | None = None,
    ) -> None:
        controllers = controllers or (free_port(),)
        nodes, is_controller = nodes or len(controllers), node <= len(controllers)
        home.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._home = home
        self._config = home / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        class_path = f"{jars(release)}/*" if classes is None else f"{jars(release)}/*:{classes}"
        if archive is None and (stored := _class_archive(release)) is not None:
            archive = f"-XX:SharedArchiveFile={stored}"
        log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        self._java = ["java", *options, *([archive] if archive else []), "-cp", class_path, log]
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
        shutil.copytree(_formatted(release, self._config, node, is_controller=is_controller), home / "data")

    def configure(self, listeners: Mapping[str, Listener], properties: str = "") -> None:
        """Add listeners, by name, and properties. They apply from the next start."""
        text = self._config.read_text("utf-8")
        for key, values in (
            ("listeners", [f"{name}://{listener.address}" for name, listener in listeners.items()]),
            ("advertised.listeners", [f"{name}://{listener.advertised}" for name, listener in listeners.items()]),
            ("listener.security.protocol.map", [f"{name}:{listener.protocol}" for name, listener in listeners.items()]),
        ):
            assert 1 == text.count(f"\n{key}=")
            text = text.replace(f"\n{key}=", f"\n{key}={','.join(values)},")
        self._config.write_text(text + properties, encoding="utf-8")

    def advertise_controller(self, address: str) -> None:
        """Advertise another address of this node's controller to the other nodes. It applies from the next start."""
        text, key = self._config.read_text("utf-8"), "\nadvertised.listeners="
        assert 1 == text.count(key)
        self._config.write_text(text.replace(key, f"{key}CONTROLLER://{address},"), encoding="utf-8")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id. It runs."""
        assert self._process is not None
        return self._process.pid

    def log_dir(self, topic: str, partition: int) -> Path:
        """The folder of a partition's log."""
        return self._home / "data" / f"{topic}-{partition}"

    def start(self) -> None:
        """Start it, and return when it responds to requests."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start the process without waiting: a node responds only once a majority of the controllers runs."""
        heap = ["-Xms128m", "-Xmx512m", "-XX:+UseSerialGC"]
        with (self._home / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, *heap, "kafka.Kafka", str(self._config)], stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        """Return when it responds to requests.

        Raises:
            RuntimeError: It does not within `START_S`, or has ended; the text is the end of its log.

        """
        deadline = time.monotonic() + START_S
        while not self._responds():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._home / "broker.log").read_text("utf-8")[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """End the process at once with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Stop it cleanly with SIGTERM."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_S)

    def _responds(self) -> bool:
        """Whether it responds to a request: it accepts connections long before it does."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(_API_VERSIONS_REQUEST)
                return bool(connection.recv(4))
        except OSError:
            return False


@contextmanager
def running(home: Path, release: Path = NEWEST, options: Sequence[str] = QUICK_START) -> Iterator[Broker]:
    """A broker with its files in `home`, killed at the end of the block."""
    broker = Broker(home, release=release, options=options)
    try:
        broker.start()
        yield broker
    finally:
        broker.kill()
