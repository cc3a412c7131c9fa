"""Too many open files are passing trouble: reported as such, retried, and never taken for a wrong setting."""

import errno
import os
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, Failed, KafkaMisconfigured, RetryLater
from collector.kafka import causes, connection
from collector.kafka.settings import KafkaSettings
from collector.raw_config import load_file
from collector.secrets import Secret
from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.vendors import time_zones
from collector.vendors.failures import translate
from collector.web import listening
from collector.web.server import serve_http
from tests.simulated import SimulatedClock

pytestmark = pytest.mark.anyio

each_number = pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])


def refusing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let no file be opened."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    monkeypatch.setattr(time_zones, "ZoneInfo", refuse)
    monkeypatch.setattr(ssl, "create_default_context", refuse)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("0123456789", "utf-8")
    return path


@each_number
def test_a_secret_file_is_retried(monkeypatch: pytest.MonkeyPatch, file: Path, number: int) -> None:
    secret = Secret.model_validate({"file": str(file)})
    with monkeypatch.context() as patch:
        refusing(patch, number)
        with pytest.raises(RetryLater) as raised:
            secret.reveal()
        assert OUT_OF_FILES == raised.value.code
        assert RAISE_FILE_LIMIT in str(raised.value)
        assert secret.peek() is None
    assert "0123456789" == secret.reveal()


@each_number
def test_the_configuration_and_time_zones(monkeypatch: pytest.MonkeyPatch, file: Path, number: int) -> None:
    refusing(monkeypatch, number)
    with pytest.raises(Failed) as raised:
        load_file(file)
    assert OUT_OF_FILES == raised.value.code
    with pytest.raises(Failed) as raised:
        time_zones.check_zone("Europe/Paris")
    assert OUT_OF_FILES == raised.value.code


@each_number
def test_a_secret_counts_as_unchanged(monkeypatch: pytest.MonkeyPatch, file: Path, number: int) -> None:
    """A parked stream would otherwise retry at once, although its secret has not changed."""
    secret = Secret.model_validate({"file": str(file)})
    assert "0123456789" == secret.peek()
    with monkeypatch.context() as patch:
        refusing(patch, number)
        assert "0123456789" == secret.peek()
    file.unlink()
    assert secret.peek() is None


@each_number
def test_the_credentials_of_kafka_count_as_unchanged(monkeypatch: pytest.MonkeyPatch, file: Path, number: int) -> None:
    """The group would otherwise be left, with the reason that the password or the certificates have changed."""
    sasl = {"mechanism": "PLAIN", "username": "collector", "password": {"file": str(file)}}
    tls = {"ca_file": str(file)}
    for more in ({"sasl": sasl}, {"tls": tls}):
        file.write_text("0123456789", "utf-8")
        settings = KafkaSettings.model_validate({"bootstrap_servers": "localhost:9092", **more}, strict=False)
        used = connection.credentials_digest(settings)
        with monkeypatch.context() as patch:
            refusing(patch, number)
            assert not connection.have_credentials_changed(settings, used)
            with pytest.raises(KafkaMisconfigured) as raised:
                connection.credentials_digest(settings)
            assert (OUT_OF_FILES, RAISE_FILE_LIMIT) == (raised.value.code, raised.value.advice)
        assert not connection.have_credentials_changed(settings, used)
        file.write_text("9876543210", "utf-8")
        assert connection.have_credentials_changed(settings, used)
        file.unlink()
        assert connection.have_credentials_changed(settings, used), "a file that is missing is a change"


@each_number
async def test_the_http_server(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(listening, "_listening", refuse)
    with pytest.raises(Failed) as raised:
        async with serve_http(("127.0.0.1", 9), ProcessStatus("1", "g"), Metrics().registry, SimulatedClock()):
            pass
    assert OUT_OF_FILES == raised.value.code


@each_number
def test_kafka_password_and_certificates(monkeypatch: pytest.MonkeyPatch, file: Path, number: int) -> None:
    sasl = {"mechanism": "PLAIN", "username": "collector", "password": {"file": str(file)}}
    tls = {"cert_file": str(file), "key_file": str(file)}
    refusing(monkeypatch, number)
    every: list[dict[str, object]] = [{"sasl": sasl}, {"tls": tls}, {"tls": {"ca_file": str(file)}}, {"tls": {}}]
    for more in every:
        settings = KafkaSettings.model_validate({"bootstrap_servers": "localhost:9092", **more}, strict=False)
        with pytest.raises(KafkaMisconfigured) as raised:
            connection.options(settings)
        assert (OUT_OF_FILES, RAISE_FILE_LIMIT) == (raised.value.code, raised.value.advice)


@each_number
def test_a_connection_to_kafka(number: int) -> None:
    reason, advice = causes.connection_failure(OSError(number, ""))
    assert (os.strerror(number), RAISE_FILE_LIMIT) == (reason, advice)


@each_number
def test_a_request_to_a_vendor(number: int) -> None:
    key = ConnectionKey(
        "vendor.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
    )
    system = OSError(number, os.strerror(number))
    errors = [aiohttp.ClientConnectorError(key, system), aiohttp.ClientProxyConnectionError(key, system), system]
    for error in errors:
        found = translate(error, "https://vendor.example/api", 60)
        assert isinstance(found, RetryLater)
        assert OUT_OF_FILES == found.code
        assert RAISE_FILE_LIMIT in str(found)


ENDING = """
import resource
from collector.commands.ending import end
from collector.errors import Failed
resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
end(Failed("no more files [red]", code="out_of_files"))
"""


def test_a_command_that_fails_for_lack_of_files_prints_why() -> None:
    """What styles the text is imported with the first one, and an import opens files."""
    ended = subprocess.run([sys.executable, "-c", ENDING], capture_output=True, check=False, text=True)
    assert (1, "no more files [red]\n") == (ended.returncode, ended.stderr)
