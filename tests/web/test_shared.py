"""/metrics and /api/status are rendered once for all who request them at the same time, and not in the event loop."""

import json
import threading

import aiohttp
import anyio
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from collector.telemetry.status import ProcessStatus
from collector.web import server
from collector.web.server import serve_http
from collector.web.shared import MAX_AGE_S, Shared
from tests.kafka.broker import free_port
from tests.simulated import START, SimulatedClock

pytestmark = pytest.mark.anyio

CLIENTS = 40
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


class Counting(Collector):
    """Counts how often the metrics are rendered, and in which threads."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def collect(self) -> list[GaugeMetricFamily]:
        self.threads.append(threading.get_ident())
        return [GaugeMetricFamily("times", "", len(self.threads))]


async def bodies(url: str, clients: int = CLIENTS, headers: dict[str, str] | None = None) -> list[str]:
    """The responses to clients that send their requests at the same time."""
    found: list[str] = []

    async with aiohttp.ClientSession() as session, anyio.create_task_group() as tasks:

        async def request() -> None:
            async with session.get(url, headers=headers) as response:
                found.append(await response.text())

        for _ in range(clients):
            tasks.start_soon(request)
    return found


async def test_the_metrics_are_rendered_once_a_second_in_another_thread() -> None:
    registry, port, clock, counting = CollectorRegistry(), free_port(), SimulatedClock(), Counting()
    registry.register(counting)
    counting.threads.clear()
    async with serve_http(("127.0.0.1", port), ProcessStatus("1", "g"), registry, clock):
        url = f"http://127.0.0.1:{port}/metrics"
        assert CLIENTS == len(found := await bodies(url))
        assert 1 == len(set(found)) == len(counting.threads)
        assert threading.get_ident() not in counting.threads

        assert "# EOF" in (await bodies(url, 1, OPENMETRICS))[0]  # another format
        assert 2 == len(counting.threads)

        clock.pass_s(MAX_AGE_S)
        assert found[0] != (await bodies(url, 1))[0]
        assert 3 == len(counting.threads)


@pytest.mark.parametrize("version", ["1.0.1", "999.0.0", "one", "1" * 5000])
async def test_a_client_cannot_make_a_format_of_its_own(version: str) -> None:
    registry, port, counting = CollectorRegistry(), free_port(), Counting()
    registry.register(counting)
    counting.threads.clear()
    async with serve_http(("127.0.0.1", port), ProcessStatus("1", "g"), registry, SimulatedClock()):
        url = f"http://127.0.0.1:{port}/metrics"
        for kind in ("application/openmetrics-text", "text/plain"):
            for escaping in ("values", "dots", "allow-utf-8", "none"):
                headers = {"Accept": f"{kind}; version={version}; escaping={escaping}"}
                async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
                    assert 200 == response.status
                    assert version not in response.headers["Content-Type"]
    assert len(counting.threads) <= 2


async def test_the_status_is_encoded_once_a_second_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads, encode = [], server._encode_status

    def counting(snapshot: dict[str, object]) -> tuple[bytes, bytes]:
        threads.append(threading.get_ident())
        return encode(snapshot)

    monkeypatch.setattr(server, "_encode_status", counting)
    status, port, clock = ProcessStatus("1", "g"), free_port(), SimulatedClock()
    async with serve_http(("127.0.0.1", port), status, CollectorRegistry(), clock):
        url = f"http://127.0.0.1:{port}/api/status"
        assert 1 == len(set(await bodies(url)))
        (plain,) = await bodies(url, 1, {"Accept-Encoding": "identity"})
        assert "g" == json.loads(plain)["group"]
        assert 1 == len(threads)
        assert threading.get_ident() not in threads

        status.group = "h"
        clock.pass_s(MAX_AGE_S)
        assert "h" == json.loads((await bodies(url, 1))[0])["group"]


async def test_an_error_is_not_shared_with_later_requests() -> None:
    results: list[int | Exception] = [ValueError("first"), 7]

    async def compute() -> int:
        result = results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    shared = Shared(compute, SimulatedClock(START), MAX_AGE_S)
    with pytest.raises(ValueError, match="first"):
        await shared.get()
    assert (7, 7) == (await shared.get(), await shared.get())
