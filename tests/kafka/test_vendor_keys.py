"""The vendors' keys change while the daemon runs, and appear nowhere although the vendors' responses contain them."""

import html
import json
import operator
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from aiohttp.typedefs import Handler

from collector.instants import floor_second
from collector.pipeline.rejects import MIN_REJECTS
from collector.simulator import seemetrix, vidicenter
from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.server import Simulated, serving
from collector.simulator.world import FAST, World
from tests.commands.harness import collector
from tests.kafka.daemon import Received, reading, until
from tests.kafka.scenario import ALL_TOPICS, DEVICES, MAX_CALLS, ZONE, Replica, quividi_source, seemetrix_source

pytestmark = pytest.mark.anyio

FIRST, WRONG, SECOND = 0, (1, 2), 3
MALL = tuple(f'key no. {number}: a/b & "more" <k>\'é%' for number in range(4))
AIRPORT = tuple(f"token+no={number}/?" for number in range(4))
MAX_WAIT_S = 50
"""Shorter than the wait after a third refusal, which is at least 60 s: a stream must notice the changed key before.

The collector compares the keys of a parked stream every three seconds.
"""
MAX_MALFORMED_ROWS = MIN_REJECTS // 2 - 1
"""Of each source, with each of the two accepted keys.

In total fewer than park a stream because the vendor's format seems to have changed: with a malformed row in every
response, streams were parked for that from time to time, and were not all live at any instant.
"""


class Keys:
    """The keys that the vendors accept, and the files with the daemon's keys, replaced atomically as in Kubernetes."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._home = home
        self._monkeypatch = monkeypatch
        for name in ("user_key", "token"):
            (home / name).symlink_to(f"..data/{name}")

    def accept(self, number: int) -> None:
        """Let the vendors accept these keys alone."""
        self._monkeypatch.setattr(seemetrix, "KEY", MALL[number])
        self._monkeypatch.setattr(vidicenter, "TOKEN", AIRPORT[number])

    def provide(self, number: int) -> None:
        """Write these keys into the daemon's files."""
        folder = self._home / f"..{number}"
        folder.mkdir()
        (folder / "user_key").write_text(f"{MALL[number]}\n", "utf-8")
        (folder / "token").write_text(f"{AIRPORT[number]}\r\n", "utf-8")
        new = self._home / "..data_tmp"
        new.symlink_to(folder.name)
        new.replace(self._home / "..data")

    def sources(self, vendors: Simulated, since: datetime) -> str:
        replacements = {
            f'user_key = "{seemetrix.KEY}"': f'user_key = {{ file = "{self._home}/user_key" }}',
            f'token = "{vidicenter.TOKEN}"': f'token = {{ file = "{self._home}/token" }}',
        }
        text = seemetrix_source(vendors, since) + quividi_source(vendors, since, DEVICES)
        for key, file in replacements.items():
            assert 1 == text.count(key)
            text = text.replace(key, file)
        return f'{text}[sources.mall.streams.devices]\ninterval = "1s"\n'


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keys:
    home = tmp_path / "keys"
    home.mkdir()
    return Keys(home, monkeypatch)


def forms(secret: str) -> Sequence[str]:
    """Some of the encodings in which a text may contain it."""
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
ENCODED = [form for secret in (*MALL, *AIRPORT, *BASIC) for form in forms(secret)]
REVEALING = [
    *ENCODED,
    *(json.dumps(form)[1:-1] for form in ENCODED),
    *(json.dumps(form, ensure_ascii=False)[1:-1] for form in ENCODED),
]
MALFORMED_ROWS = {"objects": ("d", "b", "e"), "data": ("location_id", "period_start")}
"""Fields of a malformed row, by the name of the list of rows in the response."""


class Echo(Faults):
    """Puts every key that was ever received into its responses: into errors, headers and rows."""

    def __init__(self) -> None:
        super().__init__()
        self.received_secrets: dict[str, list[str]] = {"mall": [], "airport": []}
        self.errors = {"mall": 2, "airport": 2}
        """Invalid responses that are left to send, by source."""
        self._malformed_rows = Counter[tuple[str, str]]()
        """By source and key."""

    def _source_of(self, request: web.Request) -> str:
        """The source of the request, whose key is recorded."""
        basic = request.headers.get("Authorization", "").removeprefix("Basic ")
        if not basic:
            self.received_secrets["mall"].append(request.query["key"])
            return "mall"
        self.received_secrets["airport"] += [basic, b64decode(basic).decode().partition(":")[2]]
        return "airport"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        source = self._source_of(request)
        secrets = self.received_secrets[source]
        key, text = secrets[-1], " ".join(form for secret in dict.fromkeys(secrets) for form in forms(secret))
        if self.errors[source]:
            self.errors[source] -= 1
            if self.errors[source]:
                headers = dict.fromkeys(("X-Key", "Retry-After", "WWW-Authenticate"), quote(text))
                return web.Response(status=500, reason=quote(text), text=text, headers=headers)
            return web.json_response(dict.fromkeys(("state", "objects", "online", "error"), text))
        response = await handler(request)
        assert isinstance(response, web.Response)
        assert isinstance(response.body, bytes)
        body = json.loads(response.body)
        if isinstance(body, dict) and "online" in body:
            return web.json_response(body | {"online": [row | {"n": text} for row in body["online"]]})
        return web.json_response(self._with_malformed_row(body, text, (source, key)))

    def _with_malformed_row(self, body: Any, text: str, key: tuple[str, str]) -> Any:  # noqa: ANN401 - any JSON
        """The response with one malformed row that contains the text, if it has rows."""
        rows = next((name for name in MALFORMED_ROWS if isinstance(body, dict) and name in body), None)
        if rows is None or self._malformed_rows[key] >= MAX_MALFORMED_ROWS:
            return body
        self._malformed_rows[key] += 1
        return body | {rows: [*body[rows], dict.fromkeys(MALFORMED_ROWS[rows], text)]}


async def test_changed_keys_are_used_without_a_restart_and_appear_nowhere(
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
        keys.provide(FIRST)
        keys.accept(FIRST)

        async def statuses() -> list[dict[str, Any]]:
            bodies = [(await daemon.get(path))[1] for path in ("/api/status", "/metrics", "/readyz", "/healthz")]
            shown.extend(bodies)
            return json.loads(bodies[0])["streams"] if bodies[0] else []

        async def all_are(state: str) -> bool:
            return {state} == {row["state"] for row in await statuses()}

        async def published() -> bool:
            return _has_all(await reader.poll())

        async def refused_at() -> list[str]:
            """The times of the parked streams' last errors."""
            return [row["last_error"]["at"] for row in await statuses() if row["state"] == "parked"]

        try:
            daemon.start()
            await until(lambda: all_are("live"), "all streams are live after the invalid responses")
            await until(published, "a device and a dead letter of each vendor are published")
            shown += await _commands(daemon)

            keys.accept(SECOND)
            await until(lambda: all_are("parked"), "all streams are parked")
            assert {"HTTP 401"} == {row["last_error"]["error"] for row in await statuses()}
            for number in WRONG:
                before = await refused_at()
                keys.provide(number)

                async def refused_again(before: list[str] = before) -> bool:
                    now = await refused_at()
                    return len(now) == len(before) and all(map(operator.ne, before, now))

                await until(refused_again, "the next wrong key is refused", MAX_WAIT_S)
            keys.provide(SECOND)
            await until(lambda: all_are("live"), "all streams are live again", MAX_WAIT_S)
            assert set(MALL) == set(echo.received_secrets["mall"])
            assert {*AIRPORT, *BASIC} == set(echo.received_secrets["airport"])
        finally:
            daemon.close()
        messages = await reader.to_the_end()
    assert "[secret]" in json.dumps([each.value for each in messages if each.topic.endswith("devices")])
    texts = [daemon.log.read_text("utf-8"), *shown, *(repr((each.key, each.headers, each.value)) for each in messages)]
    texts += [json.dumps(each.value, ensure_ascii=False) for each in messages if not each.topic.endswith("state")]
    assert not [(form, text[:200]) for form in REVEALING for text in texts if form in text]
    assert "Traceback" not in texts[0]
    lines = [json.loads(line) for line in texts[0].splitlines()]
    assert {"HTTP 401"} == {line["error"] for line in lines if line["event"] == "stream_parked"}


def _has_all(messages: Sequence[Received]) -> bool:
    """Whether a device and a dead letter of each vendor are among the messages."""
    letters = {each.value["source"] for each in messages if each.topic.endswith("dead_letters")}
    return letters == {"mall", "airport"} and any(each.topic.endswith("seemetrix.devices") for each in messages)


async def _commands(daemon: Replica) -> list[str]:
    """The output of every command that polls the vendors or reads the state."""
    config = ("--config", str(daemon.config))
    results = [
        await collector("check", *config),
        await collector("check", "--json", *config),
        await collector("preview", "mall", "devices", *config),
        await collector("preview", "mall", "sessions", "--last", "1m", *config),
        await collector("preview", "airport", "viewers", "--last", "1m", *config),
        await collector("state", "show", *config),
    ]
    assert not [each.code for each in results if each.code]
    assert "[secret]" in results[2].out
    return [each.out + each.err for each in results]
