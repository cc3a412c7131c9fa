"""Settings that VidiCenter would penalise or reject are errors at start."""

import pytest
from pydantic import ValidationError

from collector.model import Account
from collector.vendors.quividi.settings import QuividiSource
from tests.vendors.quividi.vidicenter import TOKEN, USER

LOBBY = {"vendor": "quividi", "username": USER, "token": TOKEN, "locations": [1056], "timezone": "Europe/Paris"}


def source(**changes: object) -> QuividiSource:
    return QuividiSource.model_validate(LOBBY | changes)


def error_of(**changes: object) -> str:
    with pytest.raises(ValidationError) as raised:
        source(**changes)
    text = str(raised.value)
    assert TOKEN not in text
    return text


def test_the_defaults_are_the_vendors_limits() -> None:
    lobby = source()

    assert "https://vidicenter.quividi.com/api/v1" == lobby.base_url
    assert (2, 50) == (lobby.max_concurrency, lobby.max_requests_per_minute)
    assert Account("quividi", USER) == lobby.account


def test_plain_http_is_rejected() -> None:
    assert "https" in error_of(base_url="http://vidicenter.quividi.com/api/v1")


@pytest.mark.parametrize("selector", ["locations", "sites", "location_tags", "site_tags"])
def test_one_selector_is_enough_and_its_ids_are_sorted_and_unique(selector: str) -> None:
    assert {selector: (1, 20, 300)} == source(**({"locations": None} | {selector: [300, 1, 20, 1]})).selectors


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"locations": None}, "location_tags"),
        ({"locations": []}, "locations"),
        ({"locations": [-1]}, "locations"),
        ({"locations": ["Hall"]}, "locations"),
        ({"sites": [1.5]}, "sites"),
        ({"site": [178]}, "site"),  # as in one of the document's examples
        ({"timezone": ""}, "IANA"),
        ({"timezone": "../Europe/Paris"}, "IANA"),
        ({"timezone": "Europe"}, "IANA"),
        ({"username": ""}, "username"),
        ({"username": "ann:bob"}, "username"),
        ({"token": ""}, "token"),
    ],
)
def test_invalid_settings_are_rejected(changes: dict[str, object], reason: str) -> None:
    assert reason in error_of(**changes)


@pytest.mark.parametrize("timezone", ["Paris", "Europe/Pariss", "CEST", "+02:00"])
def test_an_unknown_time_zone_is_rejected(timezone: str) -> None:
    assert "IANA" in error_of(timezone=timezone)


@pytest.mark.parametrize("name", ["username", "token", "timezone"])
def test_username_token_and_timezone_are_required(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        QuividiSource.model_validate({given: value for given, value in LOBBY.items() if given != name})
