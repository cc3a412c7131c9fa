"""Responses that all simulated vendors send."""

import json

from aiohttp import web


def json_response(value: object) -> web.Response:
    return web.Response(body=json.dumps(value).encode(), content_type="application/json")


def api_error(kind: type[web.HTTPException], message: str) -> web.HTTPException:
    """An error with VidiCenter's body, to raise."""
    body = {"message": message, "error": kind.status_code}
    return kind(text=json.dumps(body), content_type="application/json")
