"""Brokers with TLS, authentication, ACLs and sessions. One that runs costs more than to start it once for a module."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kafka import acl_broker as acl_broker_module
from tests.kafka import secure_broker as secure_broker_module
from tests.kafka import token_broker as token_broker_module
from tests.kafka.acl_broker import AclBroker
from tests.kafka.broker import OLDEST, unavailable_reason
from tests.kafka.secure_broker import SecureBroker
from tests.kafka.shared import shared
from tests.kafka.tls_material import TlsMaterial
from tests.kafka.token_broker import TokenBroker
from tests.needs import need


@pytest.fixture(scope="session")
def oldest_kafka(shared_folder: Path) -> Iterator[str]:
    """The address of a broker of the oldest supported release; always started here."""
    need("KAFKA", unavailable_reason())
    with shared(shared_folder / "oldest_kafka", OLDEST) as address:
        yield address


@pytest.fixture(params=["kafka", "oldest_kafka"])
def each_kafka(request: pytest.FixtureRequest) -> str:
    """The address of a broker: a test that uses it runs on the newest and on the oldest supported release."""
    address: str = request.getfixturevalue(request.param)
    return address


@pytest.fixture(scope="module")
def secure_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """A broker with a listener for each security protocol; always started here, never taken from the environment."""
    need("KAFKA", unavailable_reason())
    with secure_broker_module.running(tmp_path_factory.mktemp("secure_broker")) as broker:
        yield broker


@pytest.fixture
def tls_material(tmp_path: Path, secure_broker: SecureBroker) -> TlsMaterial:
    return TlsMaterial(tmp_path, secure_broker)


@pytest.fixture(scope="module")
def acl_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AclBroker]:
    """A broker with one SASL user, whose operations a test can deny."""
    need("KAFKA", unavailable_reason())
    with acl_broker_module.running(tmp_path_factory.mktemp("acl_broker")) as broker:
        yield broker


@pytest.fixture(scope="module")
def token_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenBroker]:
    """A broker that ends sessions after ten seconds."""
    need("KAFKA", unavailable_reason())
    with token_broker_module.running(tmp_path_factory.mktemp("token_broker")) as broker:
        yield broker
