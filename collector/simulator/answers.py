"""How both vendors answer."""

import json

from aiohttp import web


def answer(value: object) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")
