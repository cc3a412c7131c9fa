"""Undocumented responses raise errors with a code, which contain neither the token nor the user."""

import pytest
from aiohttp import web

from collector.errors import CollectorError, Park, RetryLater, Split
from collector.vendors import http as http_module
from collector.vendors.http import MAX_LARGE_RESPONSES, http
from tests.simulated import SimulatedClock
from tests.vendors.loopback import responding, serving
from tests.vendors.quividi.example import EXPERT_RESPONSE
from tests.vendors.quividi.vidicenter import HOUR, TOKEN, USER, VidiCenter, assert_no_account, fetch_all, stream

pytestmark = pytest.mark.anyio

DEEP = b"[" * 1_000_000 + b"]" * 1_000_000  # Python 3.14 limits the depth by the size of the stack


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"\n <!DOCTYPE html><p>sign in, {USER} {TOKEN}".encode(), "response_is_html"),
        (b'{"message": "Unauthorized", "error": 401}', "export_state_missing"),
        (b'{"message": "maintenance"}', "export_state_missing"),
        (b'{"data": []}', "export_state_missing"),
        (b'{"state": null, "data": []}', "export_state_missing"),
        (b'{"status": "finished", "data": []}', "export_state_missing"),
        (b'{"state": 1}', "response_undocumented"),
        (b'{"state": "queued"}', "export_state_unknown"),
        (EXPERT_RESPONSE[:-100], "response_undocumented"),
        (b"[]", "response_undocumented"),
        (b"null", "response_undocumented"),
        (b"", "response_undocumented"),
        (b'{"state": "finished", "creation_date": ' + DEEP + b', "data": []}', "response_undocumented"),
    ],
    ids=[
        "html",
        "401",
        "message",
        "none",
        "null",
        "status",
        "number",
        "unknown",
        "half",
        "list",
        "no",
        "empty",
        "deep",
    ],
)
async def test_an_undocumented_response_raises_retry_later(body: bytes, code: str) -> None:
    async with serving(responding(body)) as url, http(SimulatedClock()) as client:
        with pytest.raises(RetryLater) as raised:
            await fetch_all(stream(url, client, None), HOUR)

    assert code == raised.value.code
    assert_no_account(raised.value)
    assert "maintenance" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, Park),
        (400, Park),
        (401, Park),
        (403, Park),
        (404, Park),
        (413, Split),
        (500, RetryLater),
        (503, RetryLater),
    ],
)
async def test_error_statuses_are_passed_to_the_caller(status: int, kind: type[CollectorError]) -> None:
    body = f'{{"message": "not for {USER}", "error": {status}}}'.encode()
    async with serving(responding(body, status=status)) as url, http(SimulatedClock()) as client:
        with pytest.raises(kind) as raised:
            await fetch_all(stream(url, client, None), HOUR)

    assert f"http_{status}" == raised.value.code
    assert_no_account(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error": "no such user: {USER}"}}',
        f'{{"state": "locked by {USER}"}}',
        f'{{"state": "failed", "fail_reason": "bad token {TOKEN}"}}',
    ],
    ids=["error", "state", "fail_reason"],
)
async def test_errors_do_not_contain_the_account(body: str) -> None:
    async with serving(responding(body.encode())) as url, http(SimulatedClock()) as client:
        with pytest.raises((RetryLater, Park)) as raised:
            await fetch_all(stream(url, client, None), HOUR)

    assert_no_account(raised.value)


async def test_all_responses_free_their_share_of_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_module, "MAX_SMALL_BYTES", 0)
    vendor = VidiCenter()
    vendor.overrides = {1: lambda: web.Response(body=b"<html>"), 2: lambda: web.Response(body=b'{"state": "queued"}')}
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        lobby = stream(url, client, None)
        for _ in range(2):
            with pytest.raises(RetryLater):
                await fetch_all(lobby, HOUR)
        await fetch_all(lobby, HOUR)

        assert MAX_LARGE_RESPONSES == client._large_responses.value


@pytest.mark.parametrize("status", [202, 203])
async def test_a_state_counts_whatever_the_status_of_success_is(status: int) -> None:
    vendor = VidiCenter()

    async def handler(request: web.BaseRequest) -> web.Response:
        response = await vendor.handle(request)
        response.set_status(status)
        return response

    async with serving(handler) as url, http(vendor.clock) as client:
        [result] = await fetch_all(stream(url, client, None), HOUR)

    assert 0 == result.rows
    assert len(vendor.calls) > 2


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (202, b"", "response_undocumented"),
        (202, b"{}", "export_state_missing"),
        (204, b"", "response_undocumented"),
        (200, b"{}", "export_state_missing"),
    ],
)
async def test_without_a_state_a_status_of_success_is_no_response(status: int, body: bytes, code: str) -> None:
    async with serving(responding(body, status=status)) as url, http(SimulatedClock()) as client:
        with pytest.raises(RetryLater) as raised:
            await fetch_all(stream(url, client, None), HOUR)

    assert code == raised.value.code
