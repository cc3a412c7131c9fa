"""The vendors' keys: changed while the daemon runs, and said back by vendors that do not know what a secret is."""

import html
import json
import operator
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from collector.instants import floor_second
from collector.simulator import seemetrix, vidicenter
from collector.simulator.faults import Faults
from collector.simulator.server import Simulated, serving
from collector.simulator.vidicenter import Rules
from collector.simulator.world import FAST, World
from tests.commands.harness import collector
from tests.kafka.daemon import Received, reading, until
from tests.kafka.scenario import ALL_TOPICS, DEVICES, MAX_CALLS, ZONE, Replica, quividi_source, seemetrix_source

pytestmark = pytest.mark.anyio

FIRST, WRONG, SECOND = 0, (1, 2), 3
MALL = tuple(f'key no. {number}: a/b & "more" <k>\'é%' for number in range(4))
AIRPORT = tuple(f"token+no={number}/?" for number in range(4))
PATIENCE_S = 50
"""Less than a stream waits whose key was refused thrice, if it does not notice that the key is another."""


class Keys:
    """What the vendors take, and what the daemon is given: files that are swapped at once, as in Kubernetes."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._home = home
        self._monkeypatch = monkeypatch
        for name in ("user_key", "token"):
            (home / name).symlink_to(f"..data/{name}")

    def locks(self, number: int) -> None:
        self._monkeypatch.setattr(seemetrix, "KEY", MALL[number])
        self._monkeypatch.setattr(vidicenter, "TOKEN", AIRPORT[number])

    def give(self, number: int) -> None:
        folder = self._home / f"..{number}"
        folder.mkdir()
        (folder / "user_key").write_text(f"{MALL[number]}\n", "utf-8")
        (folder / "token").write_text(f"{AIRPORT[number]}\r\n", "utf-8")
        fresh = self._home / "..data_tmp"
        fresh.symlink_to(folder.name)
        fresh.replace(self._home / "..data")

    def sources(self, vendors: Simulated, since: datetime) -> str:
        by_file = {
            f'user_key = "{seemetrix.KEY}"': f'user_key = {{ file = "{self._home}/user_key" }}',
            f'token = "{vidicenter.TOKEN}"': f'token = {{ file = "{self._home}/token" }}',
        }
        text = seemetrix_source(vendors, since) + quividi_source(vendors, since, DEVICES)
        for given, file in by_file.items():
            assert 1 == text.count(given)
            text = text.replace(given, file)
        return f'{text}[sources.mall.streams.devices]\ninterval = "1s"\n'


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    home = tmp_path / "keys"
    home.mkdir()
    return Keys(home, monkeypatch)


def forms(secret: str) -> Sequence[str]:
    """How it may stand in a text; not all that there are."""
    return (
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote(secret, safe="/:,"),
        quote_plus(secret),
        html.escape(secret),
        b64encode(secret.encode()).decode(),
    )


BASIC = [b64encode(f"{vidicenter.USERNAME}:{token}".encode()).decode() for token in AIRPORT]
EVERYTHING = [form for secret in (*MALL, *AIRPORT, *BASIC) for form in forms(secret)]
REVEALING = [
    *EVERYTHING,
    *(json.dumps(form)[1:-1] for form in EVERYTHING),
    *(json.dumps(form, ensure_ascii=False)[1:-1] for form in EVERYTHING),
]


class Echo(Faults):
    """Says back whatever key it was ever given, wherever there is room for words: in errors, in headers, in rows."""

    def __init__(self) -> None:
        super().__init__()
        self.received_secrets: dict[str, list[str]] = {"mall": [], "airport": []}
        self.errors = {"mall": 2, "airport": 2}
        """That are still to come."""

    def _hear(self, request: web.Request) -> str:
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        if not basic:
            self.received_secrets["mall"].append(request.query["key"])
            return "mall"
        self.received_secrets["airport"] += [basic, b64decode(basic).decode().partition(":")[2]]
        return "airport"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        who = self._hear(request)
        words = " ".join(form for secret in dict.fromkeys(self.received_secrets[who]) for form in forms(secret))
        if self.errors[who]:
            self.errors[who] -= 1
            if self.errors[who]:
                checkpoint = {"X-Key": quote(words), "Retry-After": quote(words), "WWW-Authenticate": quote(words)}
                return web.Response(status=500, reason=quote(words), text=words, headers=checkpoint)
            return web.json_response({"state": words, "objects": words, "online": words, "error": words})
        response = await handler(request)
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        return web.json_response(_with(json.loads(response.body), words))


def _with(told: Any, words: str) -> Any:  # noqa: ANN401 - any JSON
    """The answer, its free texts these words, and beside its rows one that is none."""
    if isinstance(told, dict) and "online" in told:
        return told | {"online": [row | {"n": words} for row in told["online"]]}
    if isinstance(told, dict) and "objects" in told:
        return told | {"objects": [*told["objects"], {"d": words, "b": words, "e": words}]}
    if isinstance(told, dict) and "data" in told:
        return told | {"data": [*told["data"], {"location_id": words, "period_start": words}]}
    return told


async def test_keys_that_are_changed_are_noticed_and_shown_nowhere(
    kafka: str, prefix: str, tmp_path: Path, keys: Keys
) -> None:
    since = floor_second(datetime.now(UTC)) - timedelta(minutes=2)
    world = World(devices=DEVICES, rate=60.0, pace=FAST)
    rules, echo, shown = Rules(zone=ZONE, export_s=0.2, calls_per_minute=MAX_CALLS), Echo(), list[str]()
    topics = [prefix + topic for topic in (*ALL_TOPICS, "seemetrix.devices", "collector.state")]
    async with (
        serving(world, host="127.0.0.1", port=0, rules=rules, faults=echo) as vendors,
        reading(kafka, topics) as reader,
    ):
        daemon = Replica(tmp_path, kafka, prefix, keys.sources(vendors, since))
        keys.give(FIRST)
        keys.locks(FIRST)

        async def look() -> list[dict[str, Any]]:
            bodies = [(await daemon.get(path))[1] for path in ("/api/status", "/metrics", "/readyz", "/healthz")]
            shown.extend(bodies)
            return json.loads(bodies[0])["streams"] if bodies[0] else []

        async def all_are(state: str) -> bool:
            return {state} == {row["state"] for row in await look()}

        async def published() -> bool:
            return _has_all(await reader.poll())

        async def refused_at() -> list[str]:
            return [row["last_error"]["at"] for row in await look() if row["state"] == "parked"]

        try:
            daemon.start()
            await until(lambda: all_are("live"), "all are live after what the vendors said")
            await until(published, "a device, and a dead letter of each vendor")
            shown += await _commands(daemon)

            keys.locks(SECOND)
            await until(lambda: all_are("parked"), "all are parked")
            assert {"HTTP 401"} == {row["last_error"]["error"] for row in await look()}
            for number in WRONG:
                before = await refused_at()
                keys.give(number)

                async def refused_again(before: list[str] = before) -> bool:
                    now = await refused_at()
                    return len(now) == len(before) and all(map(operator.ne, before, now))

                await until(refused_again, "another key is tried, and is wrong too", PATIENCE_S)
            keys.give(SECOND)
            await until(lambda: all_are("live"), "all are live again", PATIENCE_S)
            assert set(MALL) == set(echo.received_secrets["mall"])
            assert {*AIRPORT, *BASIC} == set(echo.received_secrets["airport"])
        finally:
            daemon.close()
        told = await reader.to_the_end()
    assert "[secret]" in json.dumps([each.value for each in told if each.topic.endswith("devices")])
    texts = [daemon.log.read_text("utf-8"), *shown, *(repr((each.key, each.headers, each.value)) for each in told)]
    texts += [json.dumps(each.value, ensure_ascii=False) for each in told if not each.topic.endswith("state")]
    assert not [(form, text[:200]) for form in REVEALING for text in texts if form in text]
    assert "Traceback" not in texts[0]


def _has_all(told: Sequence[Received]) -> bool:
    """A device, and a dead letter of each vendor."""
    letters = {each.value["source"] for each in told if each.topic.endswith("dead_letters")}
    return letters == {"mall", "airport"} and any(each.topic.endswith("seemetrix.devices") for each in told)


async def _commands(daemon: Replica) -> list[str]:
    """What the commands print."""
    config = ("--config", str(daemon.config))
    ended = [
        await collector("check", *config),
        await collector("check", "--json", *config),
        await collector("preview", "mall", "devices", *config),
        await collector("preview", "mall", "sessions", "--last", "1m", *config),
        await collector("preview", "airport", "viewers", "--last", "1m", *config),
        await collector("state", "show", *config),
    ]
    assert not [each.code for each in ended if each.code]
    assert "[secret]" in ended[2].out
    return [each.out + each.err for each in ended]
