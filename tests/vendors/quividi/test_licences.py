"""A type of export that the account has not licensed parks its own stream, and is then requested once a day."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import anyio
import pytest
from aiohttp import web

from collector.errors import Park
from collector.vendors.http import http
from collector.vendors.quividi.licences import (
    MAYBE_TEMPORARY,
    RETRY_INTERVAL,
    USER_CHECK_INTERVAL,
    licensed_export,
    words_of,
)
from tests.simulated import START
from tests.vendors.loopback import serving
from tests.vendors.quividi.test_export_requests import lobby
from tests.vendors.quividi.vidicenter import (
    HOUR,
    TOKEN,
    USER,
    VidiCenter,
    assert_no_account,
    fetch_all,
    json_response,
    stream,
)

pytestmark = pytest.mark.anyio

HOUR_S = 3600


class Licensed(VidiCenter):
    """Refuses the types of export in `refused`. Counts the requests for the user."""

    def __init__(self, refused: Sequence[str], status: int | None = 403) -> None:
        super().__init__()
        self.refused, self.status = refused, status
        self.outcome = lambda query: "failed" if status is None and self._is_refused(query) else "finished"
        self.body: object = {"message": f"{USER} has no licence {TOKEN}", "error": status}
        self.user_checks = 0
        self.whoami: Callable[[], web.Response] | None = None

    def _is_refused(self, query: str) -> bool:
        return any(f"data_type={each}&" in query for each in self.refused)

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/api/v1/whoami/":
            self.user_checks += 1
            if self.whoami is not None:
                return self.whoami()
        if self.status is not None and self._is_refused(request.query_string):
            self.calls.append(request.raw_path)
            return json_response(self.status, self.body)
        return await super().handle(request)


async def parked(vendor: Licensed, **settings: object) -> Park:
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        with pytest.raises(Park) as raised:
            await fetch_all(stream(url, client, None, **settings), HOUR)
    assert_no_account(raised.value)
    return raised.value


@pytest.mark.parametrize(("data_type", "is_known"), [("viewers", True), ("vieuwers", False)])
def test_the_advice_for_a_type_that_is_not_known_is_to_check_how_it_is_spelt(data_type: str, is_known: bool) -> None:
    window = {"start": "2026-10-01T00:00:00", "end": "2026-10-01T00:59:59", "locations": "1"}
    advice = licensed_export({"data_type": data_type, "time_resolution": "finest", **window}).advice

    assert "licence" in advice
    assert is_known == ("data_type" not in advice)


@pytest.mark.parametrize("status", [400, 403, 404, None])
async def test_a_refusal_of_a_type_names_licence_resolution_and_ids_in_the_vendors_words(status: int | None) -> None:
    error = await parked(Licensed(["viewers"], status))

    assert "not_licensed" == error.code
    assert all(text in str(error) for text in ("viewers", "finest", "locations"))
    assert ("has no licence" if status else "no disk left for") in str(error)
    assert all(text in error.advice for text in ("licence", "resolution", "locations"))


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "not licensed", "error": 403}', "not licensed"),
        (b'{"message": null}', ""),
        (b'{"error": 403}', ""),
        (b"<html>no</html>", ""),
        (b"[" * 8000, ""),
        (b"", ""),
        (b"\xff", ""),
    ],
)
def test_the_vendors_words_are_a_documented_message(body: bytes, words: str) -> None:
    assert words == words_of(body)


async def test_long_words_are_truncated() -> None:
    vendor = Licensed(["viewers"])
    vendor.body = {"message": "x" * 3000}

    assert len(str(await parked(vendor))) < 400


@pytest.mark.parametrize("status", [402, 405, 410])
async def test_other_refusals_stay_what_they_are(status: int) -> None:
    vendor = Licensed(["viewers"], status)

    assert f"http_{status}" == (await parked(vendor)).code
    assert 0 == vendor.user_checks


async def test_a_wrong_token_is_the_accounts_error() -> None:
    vendor = Licensed([])

    assert "http_401" == (await parked(vendor, token="wrong")).code
    assert 0 == vendor.user_checks


@pytest.mark.parametrize("whoami", [401, 403, 404, 429, 500, "another user", "html"])
async def test_a_refusal_stays_what_it_is_unless_the_user_is_valid(whoami: int | str) -> None:
    def answer() -> web.Response:
        if isinstance(whoami, int):
            return json_response(whoami, {"message": "no", "error": whoami})
        return json_response(200, {"username": "bob"}) if whoami == "another user" else web.Response(body=b"<html>")

    vendor = Licensed(["viewers"])
    vendor.whoami = answer

    error = await parked(vendor)
    assert ("http_403", 0) == (error.code, error.after_s)


async def test_an_empty_export_is_licensed() -> None:
    vendor = VidiCenter()
    async with lobby(vendor, {"viewers_apc": {}}) as [one]:
        assert [0] == [result.rows async for result in one.fetch(HOUR)]


@pytest.mark.parametrize("status", [403, None])
async def test_a_type_that_was_exported_before_has_a_licence(status: int | None) -> None:
    vendor = Licensed([], status)
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        one = stream(url, client, None)
        await fetch_all(one, HOUR)
        vendor.refused = ["viewers"]
        with pytest.raises(Park) as raised:
            await fetch_all(one, HOUR)

    assert "http_403" if status else "export_failed" == raised.value.code
    assert 0 == vendor.user_checks


async def test_the_user_is_checked_once_in_ten_minutes_for_all_sources_of_the_account() -> None:
    vendor = Licensed(["viewers"])
    async with serving(vendor.handle) as url, http(vendor.clock) as client:

        async def refuse(number: int) -> None:
            with pytest.raises(Park) as raised:
                await fetch_all(stream(url, client, None, locations=[number]), HOUR)
            assert "not_licensed" == raised.value.code

        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(refuse, number)
        assert 1 == vendor.user_checks
        vendor.clock.pass_s(USER_CHECK_INTERVAL.total_seconds() - 1)
        await refuse(1)
        assert 1 == vendor.user_checks
        vendor.clock.pass_s(1)
        await refuse(1)
        assert 2 == vendor.user_checks


async def test_a_refusal_is_retried_like_others_for_an_hour_and_then_once_a_day() -> None:
    vendor, waits = Licensed(["viewers"]), []
    async with serving(vendor.handle) as url, http(vendor.clock) as client:
        one = stream(url, client, None)
        for _ in range(8):
            with pytest.raises(Park) as raised:
                await fetch_all(one, HOUR)
            waits.append(raised.value.after_s)
            vendor.clock.pass_s(600)

    assert [0.0] * 6 + [RETRY_INTERVAL.total_seconds()] * 2 == waits
    assert timedelta(hours=1) == MAYBE_TEMPORARY


@pytest.mark.parametrize("status", [400, 403, 404, None])
async def test_three_types_without_licence_cost_one_attempt_a_day_each_and_no_slot(status: int | None) -> None:
    """From the second day on. The stream with a licence is not delayed."""
    vendor = Licensed(["viewers_apc", "gate", "proof_of_play_by_location"], status)
    tables: dict[str, dict[str, object]] = {name: {} for name in ("viewers", *vendor.refused)}
    async with lobby(vendor, tables) as streams:

        async def attempt(name: str) -> float:
            [one] = [each for each in streams if each.name == name]
            with pytest.raises(Park) as raised:
                [_ async for _ in one.fetch(HOUR)]
            assert "not_licensed" == raised.value.code
            return raised.value.after_s

        while [await attempt(name) for name in vendor.refused] != [RETRY_INTERVAL.total_seconds()] * 3:
            vendor.clock.pass_s(600)
        assert vendor.clock.now() - START < timedelta(hours=3)
        for day in range(3):
            vendor.clock.pass_s(RETRY_INTERVAL.total_seconds())
            calls, builds, checks = len(vendor.calls), len(vendor.builds), vendor.user_checks
            for name in vendor.refused:
                before = vendor.clock.now()
                assert RETRY_INTERVAL.total_seconds() == await attempt(name)
                assert vendor.clock.now() - before < timedelta(seconds=30), "no waits for rebuilds"
            assert (3 if status is None else 0) == len(vendor.builds) - builds, f"day {day}"
            assert (9 if status is None else 3) >= len(vendor.calls) - calls
            assert 1 == vendor.user_checks - checks
            before = vendor.clock.now()
            [licensed] = [each for each in streams if each.name == "viewers"]
            [_ async for _ in licensed.fetch(HOUR)]
            assert vendor.clock.now() - before < timedelta(seconds=30)
