"""A real Apache Kafka with a listener for each security protocol, and for some broken configurations of one."""

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

from tests.kafka.broker import START_S, Broker, Listener, free_port

USER, PASSWORD = "counter", "let me/in+73"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
PROTOCOLS = {
    "TLS": "SSL",
    "MTLS": "SSL",
    "WRONG_HOSTNAME": "SSL",
    "EXPIRED": "SSL",
    "SASL": "SASL_PLAINTEXT",
    "SASL_TLS": "SASL_SSL",
    "FORWARDED": "SASL_SSL",
    "MISADVERTISED": "SSL",
}
"""Security protocols by listener.

MTLS requires a client certificate. The certificates of WRONG_HOSTNAME and EXPIRED are invalid. FORWARDED advertises
`forwarded_port`, where a test may listen and forward what it likes; it accepts only the last of the mechanisms.
MISADVERTISED advertises an address for which its certificate is invalid.
"""
_JAAS = "org.apache.kafka.common.security"


class SecureBroker(Broker):
    """One node. `address` requires no authentication: it is for the tests themselves."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.ca = trustme.CA()
        self.ca_file = home / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.forwarded_port = free_port()
        self._ports = {name: free_port() for name in PROTOCOLS}
        listeners = {
            name: Listener(f"127.0.0.1:{port}", self._advertised(name), PROTOCOLS[name])
            for name, port in self._ports.items()
        }
        self.configure(listeners, "\n".join(self._properties(home)))

    def listener(self, name: str) -> str:
        """The address of a listener."""
        return f"localhost:{self._ports[name]}"

    def _advertised(self, name: str) -> str:
        others = {
            "FORWARDED": f"localhost:{self.forwarded_port}",
            "MISADVERTISED": self.listener(name).replace("localhost", "127.0.0.1"),
        }
        return others.get(name, self.listener(name))

    def set_password(self, password: str) -> None:
        """Change the password of the SCRAM user; existing connections stay open."""
        client = AdminClient({"bootstrap.servers": self.address})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            credential = ScramCredentialInfo(mechanism, 4096)
            change = UserScramCredentialUpsertion(USER, credential, password.encode())
            for changed in client.alter_user_scram_credentials([change]).values():
                changed.result(START_S)

    def _properties(self, home: Path) -> Iterator[str]:
        now = datetime.now(UTC)
        valid = write_pem(home / "valid.pem", self.ca.issue_cert("localhost"))
        yesterday = now - timedelta(days=1)
        expired = self.ca.issue_cert("localhost", not_before=now - timedelta(days=2), not_after=yesterday)
        invalid = {
            "WRONG_HOSTNAME": write_pem(home / "wrong-hostname.pem", self.ca.issue_cert("elsewhere.example")),
            "EXPIRED": write_pem(home / "expired.pem", expired),
        }
        for name, protocol in PROTOCOLS.items():
            prefix = f"listener.name.{name.lower()}"
            if protocol.endswith("SSL"):
                yield f"{prefix}.ssl.keystore.type=PEM"
                yield f"{prefix}.ssl.keystore.location={invalid.get(name, valid)}"
            if name == "MTLS":
                yield f"{prefix}.ssl.client.auth=required"
                yield f"{prefix}.ssl.truststore.type=PEM"
                yield f"{prefix}.ssl.truststore.location={self.ca_file}"
            if protocol.startswith("SASL"):
                mechanisms = MECHANISMS[-1:] if name == "FORWARDED" else MECHANISMS
                yield f"{prefix}.sasl.enabled.mechanisms={','.join(mechanisms)}"
                plain = f'{_JAAS}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
                yield f"{prefix}.plain.sasl.jaas.config={plain}"
                for mechanism in MECHANISMS[1:]:
                    login = f"{_JAAS}.scram.ScramLoginModule required;"
                    yield f"{prefix}.{mechanism.lower()}.sasl.jaas.config={login}"


def write_pem(path: Path, certificate: trustme.LeafCert, password: bytes = b"") -> Path:
    """Write the key and the certificate into one file, as Kafka and Python read it; the key as PKCS #8, for Java."""
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    text = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    path.write_bytes(text + b"".join(each.bytes() for each in certificate.cert_chain_pems))
    return path


@contextmanager
def running(home: Path) -> Iterator[SecureBroker]:
    broker = SecureBroker(home)
    try:
        broker.start()
        broker.set_password(PASSWORD)
        yield broker
    finally:
        broker.kill()
