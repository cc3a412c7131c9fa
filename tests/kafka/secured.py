"""A real Apache Kafka with a door for each way of keeping strangers out."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from confluent_kafka.admin import AdminClient, ScramCredentialInfo, ScramMechanism, UserScramCredentialUpsertion
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.kafka.broker import START_S, Broker, Door, free_port

USER, PASSWORD = "counter", "let me/in+73"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
DOORS = {
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "MISNAMED": "SSL",
    "EXPIRED": "SSL",
    "SASL": "SASL_PLAINTEXT",
    "BOTH": "SASL_SSL",
    "CUT": "SASL_SSL",
    "ASTRAY": "SSL",
}
"""What each listener speaks.

MUTUAL asks for a client's certificate; those of two others are not right. Who comes by CUT is told that the broker is
at `cut_port`, where a test may listen and pass on what it likes; it takes the last of the mechanisms alone. Who comes
by ASTRAY is led to where the certificate is not right.
"""
_JAAS = "org.apache.kafka.common.security"


class SecuredBroker(Broker):
    """One node. `address` is open to everybody, for the tests themselves."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.authority = trustme.CA()
        self.authority_file = home / "authority.pem"
        self.authority.cert_pem.write_to_path(self.authority_file)
        self.cut_port = free_port()
        self._ports = {door: free_port() for door in DOORS}
        doors = {
            door: Door(f"127.0.0.1:{port}", self._advertised(door), DOORS[door]) for door, port in self._ports.items()
        }
        self.configure(doors, "\n".join(self._properties(home)))

    def door(self, name: str) -> str:
        return f"localhost:{self._ports[name]}"

    def _advertised(self, door: str) -> str:
        others = {"CUT": f"localhost:{self.cut_port}", "ASTRAY": self.door(door).replace("localhost", "127.0.0.1")}
        return others.get(door, self.door(door))

    def set_password(self, password: str) -> None:
        """What SCRAM asks for from now on; who is connected stays so."""
        client = AdminClient({"bootstrap.servers": self.address})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            salted = ScramCredentialInfo(mechanism, 4096)
            change = UserScramCredentialUpsertion(USER, salted, password.encode())
            for changed in client.alter_user_scram_credentials([change]).values():
                changed.result(START_S)

    def _properties(self, home: Path) -> Iterator[str]:
        now = datetime.now(UTC)
        right = write(home / "right.pem", self.authority.issue_cert("localhost"))
        files = {
            "MISNAMED": write(home / "misnamed.pem", self.authority.issue_cert("elsewhere.example")),
            "EXPIRED": write(
                home / "expired.pem",
                self.authority.issue_cert(
                    "localhost", not_before=now - timedelta(days=2), not_after=now - timedelta(days=1)
                ),
            ),
        }
        for door, protocol in DOORS.items():
            prefix = f"listener.name.{door.lower()}"
            if protocol.endswith("SSL"):
                yield f"{prefix}.ssl.keystore.type=PEM"
                yield f"{prefix}.ssl.keystore.location={files.get(door, right)}"
            if door == "MUTUAL":
                yield f"{prefix}.ssl.client.auth=required"
                yield f"{prefix}.ssl.truststore.type=PEM"
                yield f"{prefix}.ssl.truststore.location={self.authority_file}"
            if protocol.startswith("SASL"):
                taken = MECHANISMS[-1:] if door == "CUT" else MECHANISMS
                yield f"{prefix}.sasl.enabled.mechanisms={','.join(taken)}"
                plain = f'{_JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
                yield f"{prefix}.plain.sasl.jaas.config={plain}"
                for mechanism in MECHANISMS[1:]:
                    login = f"{_JAAS}.scram.ScramLoginModule required;"
                    yield f"{prefix}.{mechanism.lower()}.sasl.jaas.config={login}"


def write(path: Path, certificate: trustme.LeafCert, password: bytes = b"") -> Path:
    """The key and the certificate in one file, as Kafka and Python take them; the key in the form that Java wants."""
    lock = BestAvailableEncryption(password) if password else NoEncryption()
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)
    path.write_bytes(text + b"".join(each.bytes() for each in certificate.cert_chain_pems))
    return path


@contextmanager
def running(home: Path) -> Iterator[SecuredBroker]:
    broker = SecuredBroker(home)
    try:
        broker.start()
        broker.set_password(PASSWORD)
        yield broker
    finally:
        broker.kill()
