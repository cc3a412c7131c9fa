"""Responses without rows in an undocumented form are accepted as empty only while it is known that they are."""

from datetime import timedelta

import pytest

from collector.errors import RetryLater
from collector.model import Window
from collector.vendors.empties import MAX_UNPROVEN, Empties, Request, has_undocumented_form
from tests.simulated import START

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def request(first: timedelta, length: timedelta = MINUTE, device: int | None = None) -> Request:
    window = Window(START + first, START + first + length)
    return Request("/data/", {"b": window.start.isoformat()}, window, device)


PROOF = request(-HOUR)


def proven() -> Empties:
    empties = Empties()
    empties.received(PROOF, 3)
    return empties


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 204, True),
        (b"{}", 200, True),
        (b"\xef\xbb\xbf{}", 203, True),
        (b'{"objects": null}', 200, True),
        (b'{"objects": null, "total": 0}', 200, True),
        (b'{"ok": 1, "data": null}', 200, True),
        (b'{"objects": null, "total": 7}', 200, False),
        (b'{"ok": 0, "data": null}', 200, False),
        (b'{"objects": []}', 200, False),
        (b'{"objects": null, "message": "maintenance"}', 200, False),
        (b"", 200, False),
        (b"null", 200, False),
        (b"[]", 200, False),
        (b"{", 200, False),
    ],
)
def test_the_forms(body: bytes, status: int, expected: bool) -> None:
    assert expected == has_undocumented_form(body, status)


def test_without_any_rows_before_it_is_not_empty() -> None:
    empties = Empties()
    empties.received(PROOF, 0)
    with pytest.raises(RetryLater) as raised:
        empties.judge(request(HOUR))
    assert "response_undocumented" == raised.value.code


def test_after_rows_of_another_window_it_is_empty() -> None:
    assert proven().judge(request(HOUR)) is None


@pytest.mark.parametrize("window", [PROOF, request(-2 * HOUR, 4 * HOUR)])
def test_a_window_that_contains_rows_received_before_is_not_empty(window: Request) -> None:
    with pytest.raises(RetryLater):
        proven().judge(window)


def test_the_same_window_of_another_device_may_be_empty() -> None:
    assert proven().judge(request(-HOUR, device=7)) is None


def test_the_proof_is_repeated_after_as_many_responses_as_are_accepted() -> None:
    empties = proven()
    assert [None] * MAX_UNPROVEN == [empties.judge(request(nth * MINUTE)) for nth in range(MAX_UNPROVEN)]
    assert PROOF == empties.judge(request(HOUR))
    assert PROOF == empties.judge(request(HOUR))
    empties.received(PROOF, 3)
    assert empties.judge(request(HOUR)) is None


def test_the_proof_is_repeated_after_a_day_of_the_streams_time() -> None:
    empties = proven()
    assert [None, None, None, PROOF] == [empties.judge(request(nth * 8 * HOUR, 8 * HOUR)) for nth in range(4)]


def test_overlapping_windows_count_once() -> None:
    empties = proven()
    assert [None] * 9 == [empties.judge(request(nth * HOUR, 16 * HOUR)) for nth in range(9)]


def test_a_response_in_the_documented_form_starts_the_count_again() -> None:
    empties = proven()
    for nth in range(5 * MAX_UNPROVEN):
        assert empties.judge(request(nth * MINUTE)) is None
        if nth % 10 == 0:
            empties.received(request(nth * MINUTE), 0)
