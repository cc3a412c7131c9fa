"""What VidiCenter would punish, or could not answer, is refused before anything is asked."""

import pytest
from pydantic import ValidationError

from collector.model import Account
from collector.vendors.quividi.settings import QuividiSource
from tests.vendors.quividi.vidicenter import TOKEN, USER

LOBBY = {"vendor": "quividi", "username": USER, "token": TOKEN, "locations": [1056], "timezone": "Europe/Paris"}


def source(**changes: object) -> QuividiSource:
    return QuividiSource.model_validate(LOBBY | changes)


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as raised:
        source(**changes)
    text = str(raised.value)
    assert TOKEN not in text
    return text


def test_by_default_the_vendor_s_limits_are_kept() -> None:
    lobby = source()

    assert "https://vidicenter.quividi.com/api/v1" == lobby.base_url
    assert (2, 50) == (lobby.max_concurrency, lobby.max_requests_per_minute)
    assert Account("quividi", USER) == lobby.account


def test_a_token_is_never_sent_over_plain_http_which_would_revoke_it() -> None:
    assert "https" in refusal(base_url="http://vidicenter.quividi.com/api/v1")


@pytest.mark.parametrize("selector", ["locations", "sites", "location_tags", "site_tags"])
def test_any_of_the_document_s_sources_is_enough_and_each_id_is_chosen_once_and_in_order(selector: str) -> None:
    assert {selector: (1, 20, 300)} == source(**({"locations": None} | {selector: [300, 1, 20, 1]})).selectors


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"locations": None}, "at least one of locations, sites, location_tags and site_tags"),
        ({"locations": []}, "at least one id"),
        ({"locations": [-1]}, "locations"),
        ({"locations": ["Hall"]}, "locations"),
        ({"sites": [1.5]}, "sites"),
        ({"site": [178]}, "site"),  # as one of the document's examples has it
        ({"timezone": ""}, "IANA"),
        ({"timezone": "../Europe/Paris"}, "IANA"),
        ({"timezone": "Europe"}, "IANA"),
        ({"username": ""}, "username"),
        ({"username": "ann:bob"}, "without a colon"),
        ({"token": ""}, "token"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_with_the_reason(changes: dict[str, object], reason: str) -> None:
    assert reason in refusal(**changes)


@pytest.mark.parametrize("timezone", ["Paris", "Europe/Pariss", "CEST", "+02:00"])
def test_a_zone_that_there_is_not_is_refused_with_the_reason(timezone: str) -> None:
    assert "IANA" in refusal(timezone=timezone)


@pytest.mark.parametrize("name", ["username", "token", "timezone"])
def test_what_nobody_can_guess_must_be_there(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        QuividiSource.model_validate({given: value for given, value in LOBBY.items() if given != name})
