"""What a source's table promises: its key goes to no stranger, and its account is asked by one set of rules."""

from pathlib import Path

import pytest

from collector.config import load
from collector.errors import UserError
from collector.vendors import AnySource


def source(name: str = "mall", *, user_id: int = 864, more: str = "") -> str:
    return f'[sources.{name}]\nvendor = "seemetrix"\nuser_id = {user_id}\nuser_key = "invented-key-42"\n{more}\n'


def loaded(folder: Path, text: str) -> dict[str, AnySource]:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return load(path).sources


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(UserError) as told:
        loaded(folder, text)
    return str(told.value)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://vendor.example/api",
        "https://vendor.example:8443/api/v1",
        "http://localhost:8080/api",
        "http://127.0.0.1:8080/api",
        "http://127.3.2.1/api",
        "http://[::1]:8080/api",
    ],
)
def test_keys_may_go_over_https_and_to_this_machine(tmp_path: Path, base_url: str) -> None:
    assert base_url == loaded(tmp_path, source(more=f'base_url = "{base_url}"'))["mall"].base_url


@pytest.mark.parametrize(
    "base_url",
    [
        "http://vendor.example/api",
        "http://10.0.0.7:8080/api",
        "http://localhost.vendor.example/api",
        "http://127.0.0.1.vendor.example/api",
        "HTTP://vendor.example/api",
    ],
)
def test_keys_go_in_the_clear_to_no_other_machine(tmp_path: Path, base_url: str) -> None:
    told = refusal(tmp_path, source(more=f'base_url = "{base_url}"'))

    assert told.startswith("sources.mall: base_url must be https")
    assert "insecure_http = true" in told


def test_insecure_http_allows_plain_http_to_another_machine(tmp_path: Path) -> None:
    text = source(more='base_url = "http://simulator:8080/api"\ninsecure_http = true')
    assert loaded(tmp_path, text)["mall"].base_url == "http://simulator:8080/api"


@pytest.mark.parametrize("scheme", ["ftp", "file", "javascript"])
def test_insecure_http_allows_nothing_else(tmp_path: Path, scheme: str) -> None:
    text = source(more=f'base_url = "{scheme}://simulator/api"\ninsecure_http = true')
    assert refusal(tmp_path, text).startswith("sources.mall.base_url: ")


@pytest.mark.parametrize(
    "base_url",
    [
        "https://me:s3cret@vendor.example/api",
        "https://me@vendor.example/api",
        "https://vendor.example/api?key=s3cret",
        "https://vendor.example/api#s3cret",
        "https://vendor.example:99999/api",
        "https://vendor.example:s3cret/api",
        "https:///api",
        "vendor.example/api",
        "",
    ],
)
def test_a_base_url_is_a_scheme_a_host_and_a_path(tmp_path: Path, base_url: str) -> None:
    told = refusal(tmp_path, source(more=f'base_url = "{base_url}"'))

    assert told.startswith("sources.mall.base_url: expected a URL")
    assert "s3cret" not in told


LIMITS = [
    ("max_concurrency", "1", "2"),
    ("max_requests_per_minute", "10", "20"),
    ("max_response_bytes", "1048576", "2097152"),
    ("timeout", '"30s"', '"60s"'),
]


@pytest.mark.parametrize(("limit", "one", "other"), LIMITS)
def test_sources_of_one_account_must_agree_on_its_limits(tmp_path: Path, limit: str, one: str, other: str) -> None:
    told = refusal(tmp_path, source("mall", more=f"{limit} = {one}") + source("annex", more=f"{limit} = {other}"))

    assert not [word for word in ("mall", "annex", limit) if word not in told]


def test_sources_of_one_account_may_agree_and_those_of_two_may_differ(tmp_path: Path) -> None:
    text = (
        source("mall", more="max_concurrency = 2")
        + source("annex", more="max_concurrency = 2")
        + source("airport", user_id=865, more="max_concurrency = 3")
    )
    assert {name: each.max_concurrency for name, each in loaded(tmp_path, text).items()} == {
        "mall": 2,
        "annex": 2,
        "airport": 3,
    }
