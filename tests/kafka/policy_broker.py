"""A real Kafka as a service rents it out: with protected settings of topics, limited clients, and short sessions."""

import json
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msgspec import Struct

from tests.kafka.broker import NEWEST, START_S, Listener, free_port, jars
from tests.kafka.strict_broker import StrictBroker
from tests.needs import absent

SOURCES = Path(__file__).with_name("policies")
SESSION_MS = 10_000
"""The broker ends a session that a token has opened at the end of the token, and at the latest after this time."""
_TOKENS = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"
_PROPERTIES = f"""
create.topic.policy.class.name=TopicCreation
alter.config.policy.class.name=ConfigChange
listener.name.token.sasl.enabled.mechanisms=OAUTHBEARER
listener.name.token.oauthbearer.sasl.jaas.config={_TOKENS} required unsecuredLoginStringClaim_sub="broker";
listener.name.token.oauthbearer.connections.max.reauth.ms={SESSION_MS}
default.replication.factor={{nodes}}
"""


class Policy(Struct, frozen=True):
    """What a service refuses when a topic is created or changed."""

    allowed_configs: Sequence[str] = ()
    """The settings that a client may choose; all if empty."""
    min_segment_bytes: int = 0
    replication_factor: int = 0
    """The only one that a client may choose; any if 0."""
    error: str = "POLICY_VIOLATION"
    """The code of a refused setting; INVALID_CONFIG is the other one that services use."""

    def properties(self) -> str:
        """The properties of a broker that has this policy."""
        values = {
            "allowed.configs": ",".join(self.allowed_configs),
            "min.segment.bytes": self.min_segment_bytes,
            "replication.factor": self.replication_factor,
            "error": self.error,
        }
        return "".join(f"tests.policy.{name}={value}\n" for name, value in values.items())


PROTECTED = Policy(allowed_configs=("cleanup.policy", "retention.ms"))
"""All other settings are protected."""
MINIMUM = Policy(min_segment_bytes=50 << 20)
"""All settings are free, within limits."""


def unavailable_reason() -> str:
    """Why the classes of the policies cannot be compiled; empty if they can. The name for `need` is JAVA."""
    return absent("javac")


def compiled(folder: Path, release: Path = NEWEST) -> Path:
    """The folder with the classes of the policies."""
    command = ["javac", "-Xlint:all", "-Werror", "--release", "17", "-cp", f"{jars(release)}/*", "-d", str(folder)]
    subprocess.run([*command, *map(str, sorted(SOURCES.glob("*.java")))], check=True, timeout=START_S)
    return folder


def unsecured_token(user: str, lifetime_s: int = SESSION_MS // 1000) -> str:
    """A token of this user, without a signature: the broker accepts it until its end."""
    now_s = int(time.time())
    header, claims = {"alg": "none"}, {"sub": user, "iat": now_s, "exp": now_s + lifetime_s}
    parts = (urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join((*parts, ""))


class PolicyBroker(StrictBroker):
    """A node with a policy.

    Clients of `address` may do everything that the policy allows. Clients of `sasl_address` authenticate with a
    password, and need ACLs; clients of `token_address` authenticate with an unsecured token, whose subject is the user.
    """

    def __init__(
        self,
        home: Path,
        policy: Policy,
        controllers: Sequence[int],
        node: int,
        nodes: int,
        release: Path,
        classes: Path,
    ) -> None:
        super().__init__(home, node, controllers, nodes, release=release, classes=classes)
        self.token_address = f"127.0.0.1:{free_port()}"
        listener = Listener(self.token_address, self.token_address, "SASL_PLAINTEXT")
        self.configure({"TOKEN": listener}, _PROPERTIES.format(nodes=nodes) + policy.properties())


@contextmanager
def running(home: Path, policy: Policy, nodes: int = 1, release: Path = NEWEST) -> Iterator[PolicyBroker]:
    """The first node of a cluster with a policy, until the end of the block; each topic has a replica on each node."""
    home.mkdir(parents=True, exist_ok=True)
    classes = compiled(home / "classes", release)
    controllers = [free_port()]
    with ExitStack() as stack:
        started = []
        for node in range(1, nodes + 1):
            broker = PolicyBroker(home / f"node{node}", policy, controllers, node, nodes, release, classes)
            stack.callback(broker.kill)
            broker.launch()
            started.append(broker)
        for broker in started:
            broker.wait_until_ready()
        yield started[0]
