"""A source sends its key only over https or to loopback, and sources of one account have equal limits."""

from pathlib import Path

import pytest

from collector.config import load
from collector.errors import InvalidConfiguration, Problem
from collector.vendors import AnySource


def source(name: str = "mall", *, user_id: int = 864, more: str = "") -> str:
    return f'[sources.{name}]\nvendor = "seemetrix"\nuser_id = {user_id}\nuser_key = "invented-key-42"\n{more}\n'


def loaded(folder: Path, text: str) -> dict[str, AnySource]:
    path = folder / "config.toml"
    path.write_text(text, "utf-8")
    return load(path).sources


def problem(folder: Path, text: str) -> Problem:
    """The only problem of the configuration."""
    with pytest.raises(InvalidConfiguration) as raised:
        loaded(folder, text)
    (found,) = raised.value.problems
    return found


@pytest.mark.parametrize(
    "base_url",
    [
        "https://vendor.example/api",
        "https://cloud.seemetrix.3divi.com/analytics/api",
        "https://vendor.example:8443/api/v1",
        "http://localhost:8080/api",
        "http://127.0.0.1:8080/api",
        "http://127.3.2.1/api",
        "http://[::1]:8080/api",
    ],
)
def test_keys_are_sent_over_https_and_to_loopback(tmp_path: Path, base_url: str) -> None:
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
def test_keys_are_not_sent_over_plain_http_to_another_machine(tmp_path: Path, base_url: str) -> None:
    found = problem(tmp_path, source(more=f'base_url = "{base_url}"'))

    assert ("sources.mall", "invalid_value") == (found.path, found.code)
    assert not [fact for fact in ("base_url", "https", "insecure_http = true") if fact not in found.text]


def test_insecure_http_allows_plain_http_to_another_machine(tmp_path: Path) -> None:
    text = source(more='base_url = "http://simulator:8080/api"\ninsecure_http = true')
    assert loaded(tmp_path, text)["mall"].base_url == "http://simulator:8080/api"


@pytest.mark.parametrize(
    ("own", "of_events"),
    [('topic_prefix = "acme."', "acme."), ('topic_prefix = ""', ""), ("", "shop.")],
)
def test_a_prefix_of_the_source_is_that_of_its_events_and_dead_letters(
    tmp_path: Path, own: str, of_events: str
) -> None:
    (path := tmp_path / "config.toml").write_text(f'kafka.topic_prefix = "shop."\n{source(more=own)}', "utf-8")
    found = load(path)

    events, letters = f"{of_events}seemetrix.sessions", f"{of_events}collector.dead_letters"
    assert {events, letters, "shop.collector.progress"} <= found.topics().keys()
    assert {of_events} == {name.rpartition("seemetrix.")[0] for name in found.topics() if "seemetrix." in name}
    assert ["shop.collector.progress"] == sorted(found.compacted_topics())
    assert "shop.collector.state" == found.kafka.state_topic


def own_prefix(prefix: str) -> str:
    return f'topic_prefix = "{prefix}"'


@pytest.mark.parametrize(
    ("mall", "annex", "is_refused"),
    [
        ("acme.", "acme_", True),
        ("a.b.", "a_b.", True),
        ("", "_", False),
        ("acme.", "acme.", False),
        ("acme.", "acmeX", False),
        ("acme.", "acme-", False),
    ],
)
def test_topics_differ_in_more_than_dots_and_underscores(
    tmp_path: Path, mall: str, annex: str, is_refused: bool
) -> None:
    """Brokers refuse such topics with INVALID_TOPIC_EXCEPTION: their metrics would have one name."""
    text = source("mall", more=own_prefix(mall)) + source("annex", user_id=865, more=own_prefix(annex))
    if not is_refused:
        assert {"mall", "annex"} == loaded(tmp_path, text).keys()
        return
    found = problem(tmp_path, text)

    assert ("", "invalid_value") == (found.path, found.code)
    facts = (f"{mall}seemetrix.sessions of sources.mall", f"{annex}seemetrix.sessions of sources.annex", "topic_prefix")
    assert not [fact for fact in facts if fact not in found.text]


@pytest.mark.parametrize("prefix", ["a b", "ä", "a/", "x" * 101])
def test_a_prefix_has_only_characters_of_topics(tmp_path: Path, prefix: str) -> None:
    assert "sources.mall.topic_prefix" == problem(tmp_path, source(more=f'topic_prefix = "{prefix}"')).path


@pytest.mark.parametrize("scheme", ["ftp", "file", "javascript"])
def test_insecure_http_allows_no_other_scheme(tmp_path: Path, scheme: str) -> None:
    text = source(more=f'base_url = "{scheme}://simulator/api"\ninsecure_http = true')
    assert "sources.mall.base_url" == problem(tmp_path, text).path


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
def test_a_base_url_has_only_scheme_host_and_path(tmp_path: Path, base_url: str) -> None:
    found = problem(tmp_path, source(more=f'base_url = "{base_url}"'))

    assert ("sources.mall.base_url", "invalid_value") == (found.path, found.code)
    assert "s3cret" not in found.text


LIMITS = [
    ("max_concurrency", "1", "2"),
    ("max_requests_per_minute", "10", "20"),
    ("max_response_bytes", "1048576", "2097152"),
    ("timeout", '"30s"', '"60s"'),
]


@pytest.mark.parametrize(("limit", "one", "other"), LIMITS)
def test_sources_of_one_account_must_have_equal_limits(tmp_path: Path, limit: str, one: str, other: str) -> None:
    found = problem(tmp_path, source("mall", more=f"{limit} = {one}") + source("annex", more=f"{limit} = {other}"))

    assert not [word for word in ("mall", "annex", limit) if word not in found.text]
    assert not [other for other, *_ in LIMITS if other != limit and other in found.text]


def test_sources_of_different_accounts_may_have_different_limits(tmp_path: Path) -> None:
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
