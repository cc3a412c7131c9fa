"""A schema registry on loopback, in memory: as Confluent's API describes it, with failures on demand."""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import anyio
from aiohttp import web

from tests.vendors.loopback import serving

GUID = UUID("89791762-2336-4186-9674-299b90a802e2")


class Stub:
    """Compares schemas as texts; every new version is compatible, unless `refuses`."""

    def __init__(self, *, has_guids: bool = False) -> None:
        self.url = ""
        self.is_away = False
        self.refuses = False
        self.delay = anyio.Event()
        """Requests wait for it."""
        self.delay.set()
        self.requests = Counter[str]()
        """By method and kind: `POST versions`."""
        self.versions: dict[str, list[str]] = defaultdict(list)
        """By subject."""
        self.compatibility: dict[str, str] = {}
        self._ids: dict[str, int] = {}
        self._has_guids = has_guids

    async def respond(self, request: web.BaseRequest) -> web.StreamResponse:
        kind, name, *rest = request.path.strip("/").split("/")
        subject = unquote(name)
        self.requests[f"{request.method} {' '.join([kind, *rest])}"] += 1
        await self.delay.wait()
        if self.is_away:
            return web.Response(status=503)
        given = json.loads(await request.text()) if request.method != "GET" else {}
        if kind == "config":
            return self._config(subject, given)
        match request.method, kind, rest:
            case "POST", "subjects", ["versions"]:
                if self.refuses:
                    return web.json_response({"error_code": 409, "message": "a field is missing"}, status=409)
                if given["schema"] not in self.versions[subject]:
                    self.versions[subject].append(given["schema"])
                return web.json_response({"id": self._described(subject, given["schema"])["id"]} | self._guid())
            case "POST", "subjects", []:
                if given["schema"] not in self.versions[subject]:
                    return unknown(40403 if self.versions[subject] else 40401)
                return web.json_response(self._described(subject, given["schema"]))
            case "GET", "subjects", ["versions", "latest"]:
                if not self.versions[subject]:
                    return unknown(40401)
                return web.json_response(self._described(subject, self.versions[subject][-1]))
        return web.Response(status=404)

    def _config(self, subject: str, given: dict[str, str]) -> web.Response:
        if given:
            self.compatibility[subject] = given["compatibility"]
        found = self.compatibility.get(subject)
        return unknown(40408) if found is None else web.json_response({"compatibilityLevel": found})

    def _described(self, subject: str, schema: str) -> dict[str, Any]:
        schema_id = self._ids.setdefault(schema, 200 + len(self._ids))
        version = 1 + self.versions[subject].index(schema)
        return {"subject": subject, "id": schema_id, "version": version, "schema": schema} | self._guid()

    def _guid(self) -> dict[str, str]:
        return {"guid": str(GUID)} if self._has_guids else {}


def unknown(code: int) -> web.Response:
    return web.json_response({"error_code": code, "message": "not found"}, status=404)


@asynccontextmanager
async def stub_registry(*, has_guids: bool = False) -> AsyncIterator[Stub]:
    """Serve a registry until the end of the block."""
    stub = Stub(has_guids=has_guids)
    async with serving(stub.respond) as url:
        stub.url = url
        yield stub
