"""Responses that all simulated vendors send."""

import json

from aiohttp import web


def json_response(value: object) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")
