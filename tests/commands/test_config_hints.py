"""Problems name what was probably meant, or everything that is known."""

import re
from pathlib import Path

import pytest

from collector.errors import InvalidConfiguration
from tests.commands.configuration import MALL, settings
from tests.commands.test_config_problems import AIRPORT, ALL_WRONG


def suggestions(folder: Path, text: str) -> dict[str, str]:
    """The suggested keys, by the path of the unknown key."""
    with pytest.raises(InvalidConfiguration) as raised:
        settings(folder, text)
    found = {problem.path: re.search(r"\(did you mean (\w+)\?\)", problem.text) for problem in raised.value.problems}
    return {path: match[1] for path, match in found.items() if match}


def test_a_similar_key_is_suggested_for_an_unknown_one(tmp_path: Path) -> None:
    assert {
        "kafka.bootstrap": "bootstrap_servers",
        "sources.mall.devices": "device_ids",
        "sources.mall.streams.session": "sessions",
        "sources.mall.streams.sessions.every": "sweep_every",
    } == suggestions(tmp_path, ALL_WRONG)


@pytest.mark.parametrize("name", ["streams", "zones", "token", "seemetrix", "quividi"])
def test_a_source_may_be_named_like_a_key_or_a_vendor(tmp_path: Path, name: str) -> None:
    text = MALL.replace("sources.mall", f"sources.{name}")

    assert {f"sources.{name}.user_idd": "user_id"} == suggestions(tmp_path, f"{text}\nuser_idd = 1\n")


STREAMS = "sources.mall.streams"
HINTS = [
    ("kafka.sasl.mechanism", '[kafka.sasl]\nmechanism = "AWS_MSK_IAM"\n', ["OAUTHBEARER", "aws_region"]),
    ("kafka.sasl.mechanism", '[kafka.sasl]\nmechanism = "GSSAPI"\n', ["Kerberos", "not supported"]),
    ("kafka.sasl.mechanism", '[kafka.sasl]\nmechanism = "SCRAM-SHA512"\n', ["did you mean SCRAM-SHA-512?"]),
    ("kafka.sasl.mechanism", '[kafka.sasl]\nmechanism = "plain"\n', ["did you mean PLAIN?"]),
    (
        "kafka.sasl",
        '[kafka.sasl]\nmechanism = "OAUTHBEARER"\n',
        ["token;", "token_url", "client_id", "client_secret", "aws_region"],
    ),
    (
        "kafka.sasl.extensions",
        '[kafka.sasl]\nmechanism = "OAUTHBEARER"\ntoken = "x-42"\nextensions = { logical-cluster = "a" }\n',
        ["logical-cluster", "letters"],
    ),
    ("kafka.replication_factor", "[kafka]\nreplication_factor = -1\n", ["leave", "brokers' default"]),
    ("kafka.replication_factor", "[kafka]\nreplication_factor = 0\n", ["leave", "brokers' default"]),
    (STREAMS + ".session", f"[{STREAMS}.session]\n", ["did you mean sessions?"]),
    (STREAMS + ".viewers", f"[{STREAMS}.viewers]\n", ["the streams are sessions, devices, counters"]),
    (
        STREAMS + ".sessions",
        f'[{STREAMS}.sessions]\nsettle = "36h"\nallowed_lateness = "1d"\n',
        ["settle (36h)", "below allowed_lateness (1d)"],
    ),
    *(
        ("sources.airport.timezone", AIRPORT.replace("Europe/Paris", given) + "locations = [1]\n", [expected])
        for given, expected in (
            ("Paris", "did you mean Europe/Paris?"),
            ("europe/paris", "did you mean Europe/Paris?"),
            ("New York", "did you mean America/New_York?"),
            ("Europe/Parys", "did you mean Europe/Paris?"),
            ("Pacific/Aukland", "did you mean Pacific/Auckland?"),
        )
    ),
    (
        "sources.airport.streams.viewers@America/New_York",
        f'{AIRPORT}locations = [1]\n[sources.airport.streams."viewers@America/New_York"]\n',
        ["viewers", "zones"],
    ),
]
"""Path, what is added to the configuration, and what the text contains."""


@pytest.mark.parametrize(("path", "more", "facts"), HINTS, ids=[f"{path} {facts[0]}" for path, _, facts in HINTS])
def test_what_was_probably_meant_is_suggested(tmp_path: Path, path: str, more: str, facts: list[str]) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        settings(tmp_path, MALL + more)

    (problem,) = (each for each in raised.value.problems if each.path == path)
    assert not [fact for fact in facts if fact not in problem.text]


UNKNOWN = [
    ("colour", "include, kafka, http, log, sources", "colour = true\n" + MALL),
    ("includes", "did you mean include?", 'includes = "x"\n' + MALL),
    ("kafka.tls.password", "ca_file, cert_file, key_file", MALL + '[kafka.tls]\npassword = "x"\n'),
    ("kafka.tls.cafile", "did you mean ca_file?", MALL + '[kafka.tls]\ncafile = "x"\n'),
    (STREAMS + ".viewers", "sessions, devices, counters", f"{MALL}[{STREAMS}.viewers]\n"),
    (STREAMS + ".session", "did you mean sessions?", f"{MALL}[{STREAMS}.session]\n"),
    ("sources.mall.vendor", "seemetrix, quividi", MALL.replace("seemetrix", "acme")),
    ("sources.mall.vendor", "did you mean seemetrix?", MALL.replace("seemetrix", "seemetricks")),
]
"""Path, the hint, and the configuration."""


@pytest.mark.parametrize(("path", "hint", "text"), UNKNOWN, ids=[f"{path} {hint}" for path, hint, _ in UNKNOWN])
def test_an_unknown_name_has_a_suggestion_or_else_the_known_names(
    tmp_path: Path, path: str, hint: str, text: str
) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        settings(tmp_path, text)

    (problem,) = raised.value.problems
    assert (path, True) == (problem.path, hint in problem.text)
    assert ("did you mean" in hint) == (" are " not in problem.text)


@pytest.mark.parametrize("given", ["UTC+2", "GMT+2", "+02:00", "x" * 100])
def test_no_zone_is_suggested_for_an_offset(tmp_path: Path, given: str) -> None:
    """Etc/GMT+2 is two hours behind UTC."""
    with pytest.raises(InvalidConfiguration) as raised:
        settings(tmp_path, AIRPORT.replace("Europe/Paris", given) + "locations = [1]\n")

    assert "did you mean" not in str(raised.value)
