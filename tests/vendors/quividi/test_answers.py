"""What is not the document's answer is trouble with a reason, which names neither the token nor the user."""

import pytest
from aiohttp import web

from collector.errors import Park, RetryLater, Split
from collector.vendors import http as http_module
from collector.vendors.http import MAX_LARGE_RESPONSES, http
from tests.simulated import SimulatedClock
from tests.vendors.loopback import answering, serving
from tests.vendors.quividi.example import EXPERT_ANSWER
from tests.vendors.quividi.vidicenter import HOUR, TOKEN, USER, VidiCenter, ask, assert_keeps_the_account, stream

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (f"\n <!DOCTYPE html><p>sign in, {USER} {TOKEN}".encode(), "HTML"),
        (b'{"message": "Unauthorized", "error": 401}', "no state, and says error 401"),
        (b'{"message": "maintenance"}', "no state"),
        (b'{"data": []}', "no state"),
        (b'{"state": null, "data": []}', "no state"),
        (b'{"status": "finished", "data": []}', "no state"),
        (b'{"state": 1}', "not the document's"),
        (b'{"state": "queued"}', "unknown state: 'queued'"),
        (EXPERT_ANSWER[:-100], "not the document's"),
        (b"[]", "not the document's"),
        (b"null", "not the document's"),
        (b"", "not the document's"),
        (b'{"state": "finished", "data": [NaN, ' + b"[" * 50_000 + b"]" * 50_000 + b"]}", "not the document's"),
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
async def test_what_is_not_the_documents_answer_is_asked_for_again(body: bytes, reason: str) -> None:
    async with serving(answering(body)) as url, http(SimulatedClock()) as asking:
        with pytest.raises(RetryLater, match=reason) as raised:
            await ask(stream(url, asking, None), HOUR)

    assert_keeps_the_account(raised.value)
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
async def test_what_the_vendor_refuses_is_passed_to_the_caller(status: int, kind: type[Exception]) -> None:
    body = f'{{"message": "not for {USER}", "error": {status}}}'.encode()
    async with serving(answering(body, status=status)) as url, http(SimulatedClock()) as asking:
        with pytest.raises(kind, match=f"HTTP {status}") as raised:
            await ask(stream(url, asking, None), HOUR)

    assert_keeps_the_account(raised.value)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"error": "no such user: {USER}"}}',
        f'{{"state": "locked by {USER}"}}',
        f'{{"state": "failed", "fail_reason": "bad token {TOKEN}"}}',
    ],
    ids=["error", "state", "fail_reason"],
)
async def test_what_the_vendor_says_of_the_account_is_not_repeated(body: str) -> None:
    async with serving(answering(body.encode())) as url, http(SimulatedClock()) as asking:
        with pytest.raises((RetryLater, Park)) as raised:
            await ask(stream(url, asking, None), HOUR)

    assert_keeps_the_account(raised.value)


async def test_answers_that_fail_and_answers_that_are_taken_give_their_memory_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_module, "MAX_SMALL_BYTES", 0)
    vendor = VidiCenter()
    vendor.trouble = {1: lambda: web.Response(body=b"<html>"), 2: lambda: web.Response(body=b'{"state": "queued"}')}
    async with serving(vendor.answer) as url, http(vendor.clock) as asking:
        lobby = stream(url, asking, None)
        for _ in range(2):
            with pytest.raises(RetryLater):
                await ask(lobby, HOUR)
        await ask(lobby, HOUR)

        assert MAX_LARGE_RESPONSES == asking._large_responses.value
