"""A page in a browser cannot read a server on loopback under another name; probes and Prometheus are not affected."""

import pytest
from pydantic import ValidationError

from collector.telemetry.metrics import Metrics
from collector.telemetry.status import ProcessStatus
from collector.web.hosts import accepted_hosts
from collector.web.server import serve_http
from collector.web.settings import HttpSettings
from tests.kafka.broker import free_port
from tests.simulated import SimulatedClock
from tests.web.test_connections import response, status_of

pytestmark = pytest.mark.anyio

LOOPBACK_NAMES = ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.9.1", "[::1]"]
OTHER_NAMES = [
    "evil.example",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.localhost",
    "a@b",
    "[::1",
    "",
    " ",
]
IP_ADDRESSES = ["10.1.2.3", "[fd00::7]"]


def accepted(listen: str, addresses: list[str], configured: list[str], host: str) -> bool:
    hosts = accepted_hosts(listen, addresses, configured)
    return hosts is None or (hosts.accepts(host) and hosts.accepts(f"{host}:9464"))


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["::1"], ["::1", "127.0.0.1"]])
def test_a_server_on_loopback_accepts_loopback_names_and_configured_ones(addresses: list[str]) -> None:
    found = {
        host
        for host in (*LOOPBACK_NAMES, *OTHER_NAMES, *IP_ADDRESSES, "status.example", "STATUS.example.", "shop-1")
        if accepted("shop-1", addresses, ["status.example"], host)
    }
    assert {*LOOPBACK_NAMES, "status.example", "STATUS.example.", "shop-1"} == found


@pytest.mark.parametrize("host", [*LOOPBACK_NAMES, *OTHER_NAMES, *IP_ADDRESSES, "collector-1"])
def test_a_server_beyond_loopback_accepts_all_names_by_default(host: str) -> None:
    assert accepted("::", ["::", "0.0.0.0"], [], host)  # noqa: S104 - nothing listens


def test_a_server_beyond_loopback_with_configured_names_accepts_these_and_ip_addresses() -> None:
    found = {
        host
        for host in (*LOOPBACK_NAMES, *OTHER_NAMES, *IP_ADDRESSES, "collector-1")
        if accepted("::", ["::"], ["collector-1"], host)
    }
    assert {*LOOPBACK_NAMES, *IP_ADDRESSES, "collector-1"} == found


@pytest.mark.parametrize("path", ["/", "/api/status", "/metrics", "/healthz", "/readyz", "/absent"])
async def test_a_request_for_another_name_is_rejected_with_the_key(path: str) -> None:
    port = free_port()
    status, registry = ProcessStatus("1", "secret-group"), Metrics().registry
    async with serve_http(("127.0.0.1", port), status, registry, SimulatedClock(), hosts=["status.example"]):

        async def of(*hosts: str) -> bytes:
            lines = [f"GET {path} HTTP/1.1", *(f"Host: {each}" for each in hosts), "", ""]
            return await response(port, "\r\n".join(lines).encode())

        rejected = await of(f"evil.example:{port}")
        assert 421 == status_of(rejected)
        assert b"http.hosts" in rejected
        assert b"evil.example" not in rejected
        assert b"Content-Type: text/plain" in rejected
        for host in (f"localhost:{port}", "status.example"):
            assert status_of(await of(host)) != 421
        assert status_of(await of("localhost", "evil.example")) in (400, 421)


async def test_http_1_0_needs_no_host() -> None:
    port = free_port()
    async with serve_http(("127.0.0.1", port), ProcessStatus("1", "g"), Metrics().registry, SimulatedClock()):
        assert 200 == status_of(await response(port, b"GET /healthz HTTP/1.0\r\n\r\n"))


@pytest.mark.parametrize("wrong", ["http://a.example", "a.example:9464", "a b", "", "*", "*.example", "a.example/x"])
def test_a_configured_host_is_a_name_only(wrong: str) -> None:
    with pytest.raises(ValidationError, match=r"without scheme and port"):
        HttpSettings.model_validate({"hosts": ["good.example", wrong]})


def test_configured_hosts_are_normalized() -> None:
    assert ("a.example", "::1", "10.0.0.7") == HttpSettings.model_validate(
        {"hosts": ["A.example.", "[::1]", "10.0.0.7"]}
    ).hosts
