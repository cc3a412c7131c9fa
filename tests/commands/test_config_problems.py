"""Every wrong key of config.toml is one problem with a path, a code and a text."""

from pathlib import Path

import pytest

from collector.errors import InvalidConfiguration
from tests.commands.configuration import KEY, MALL, SESSIONS, problems, settings

AIRPORT = f"""[sources.airport]
vendor = "quividi"
username = "airport"
token = "{KEY}"
timezone = "Europe/Paris"
"""


ALL_WRONG = """
[kafka]
partitions = "6"
create_topics = "yes"
bootstrap = "localhost:9092"
[http]
port = 9464
[log]
level = 3
colour = true
[metrics]
[sources.mall]
vendor = "seemetrix"
user_id = "864"
since = 2026-11-01T00:00:00
devices = [1]
[sources.mall.streams.session]
[sources.mall.streams.sessions]
every = "60s"
interval = 60
"""


def test_all_problems_are_reported_at_once_with_their_paths(tmp_path: Path) -> None:
    assert {
        "kafka.partitions": "wrong_type",
        "kafka.create_topics": "wrong_type",
        "kafka.bootstrap": "unknown_key",
        "http.port": "unknown_key",
        "log.level": "not_allowed",
        "log.colour": "unknown_key",
        "metrics": "unknown_key",
        "sources.mall.user_id": "wrong_type",
        "sources.mall.user_key": "missing",
        "sources.mall.since": "missing_offset",
        "sources.mall.devices": "unknown_key",
        "sources.mall.streams.session": "unknown_key",
        "sources.mall.streams.sessions.every": "unknown_key",
        "sources.mall.streams.sessions.interval": "invalid_duration",
    } == problems(tmp_path, ALL_WRONG)


def test_the_text_of_a_wrong_type_names_both_types(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as raised:
        settings(tmp_path, ALL_WRONG)

    texts = {problem.path: problem.text for problem in raised.value.problems}
    assert ("an integer" in texts["kafka.partitions"], "a string" in texts["kafka.partitions"]) == (True, True)
    assert ("true or false" in texts["kafka.create_topics"], "a string" in texts["kafka.create_topics"]) == (True, True)


TOKEN_URL = '"OAUTHBEARER"\ntoken_url = "https://login.example/token"\n'
CLIENT = 'client_id = "me"\nclient_secret = "x-42-secret"\n'
SASL_PROBLEMS = [
    ("kafka.sasl.username", "missing", '"PLAIN"\npassword = "x-42"'),
    ("kafka.sasl.token", "invalid_value", '"PLAIN"\nusername = "me"\npassword = "x-42"\ntoken = "x-42-token"'),
    (
        "kafka.sasl.aws_region",
        "invalid_value",
        '"SCRAM-SHA-256"\nusername = "me"\npassword = "x-42"\naws_region = "eu-west-1"',
    ),
    ("kafka.sasl", "invalid_value", '"OAUTHBEARER"'),
    ("kafka.sasl.username", "invalid_value", '"OAUTHBEARER"\ntoken = "x-42-token"\nusername = "me"'),
    ("kafka.sasl.aws_region", "invalid_value", '"OAUTHBEARER"\ntoken = "x-42-token"\naws_region = "eu-west-1"'),
    ("kafka.sasl.scope", "invalid_value", '"OAUTHBEARER"\naws_region = "eu-west-1"\nscope = "kafka"'),
    ("kafka.sasl.client_secret", "missing", TOKEN_URL + 'client_id = "me"'),
    ("kafka.sasl.token_url", "invalid_value", TOKEN_URL + CLIENT + 'token = "x-42-token"'),
    ("kafka.sasl.aws_region", "invalid_value", '"OAUTHBEARER"\naws_region = "Ireland (west)"'),
    *(
        ("kafka.sasl.token_url", "invalid_value", f'"OAUTHBEARER"\ntoken_url = "{url}"\n{CLIENT}')
        for url in (
            "http://login.example/token",
            "login.example/token",
            "https://me:secret@login.example/token",
            "https://login.example/token#part",
            "https://login.example/to ken",
            "https://login.example/token?tenant=a b",
            "https://login.example/token?tenant=a\\tb",
            "https://login.example/token?tenant=a\\u0000b",
            "https://login.example/token\\n",
        )
    ),
    *(
        ("kafka.sasl.extensions", code, f'"OAUTHBEARER"\ntoken = "x-42-token"\nextensions = {given}')
        for code, given in (
            ("wrong_type", '"logicalCluster"'),
            ("wrong_type", "{ logicalCluster = 3 }"),
            ("invalid_value", '{ auth = "x" }'),
            ("invalid_value", '{ logical_cluster = "lkc-1" }'),
            ("invalid_value", '{ "" = "lkc-1" }'),
            ("invalid_value", '{ logicalCluster = "" }'),
            ("invalid_value", '{ logicalCluster = "a\\u0001b=c" }'),
            ("invalid_value", '{ logicalCluster = "lkç-1" }'),
        )
    ),
    (
        "kafka.sasl.extensions",
        "invalid_value",
        '"PLAIN"\nusername = "me"\npassword = "x-42"\nextensions = { logicalCluster = "lkc-1" }',
    ),
]
"""Path, code, and the table after `mechanism = `."""

SEVERAL_SASL_PROBLEMS = [
    ('"SCRAM-SHA-512"', {"username": "missing", "password": "missing"}),
    (TOKEN_URL, {"client_id": "missing", "client_secret": "missing"}),
    (
        '"PLAIN"\nusername = 3\ntoken = "x-42-token"\nscope = "kafka"\nextensions = { a = "b" }',
        {
            "username": "wrong_type",
            "password": "missing",
            "token": "invalid_value",
            "scope": "invalid_value",
            "extensions": "invalid_value",
        },
    ),
    (
        '"OAUTHBEARER"\nusername = "me"\npassword = "x-42"\nclient_id = ""\nscop = "kafka"',
        {
            "": "invalid_value",
            "username": "invalid_value",
            "password": "invalid_value",
            "client_id": "out_of_range",
            "scop": "unknown_key",
        },
    ),
    (
        TOKEN_URL + 'token = "x-42-token"\naws_region = "eu-west-1"',
        {
            "token_url": "invalid_value",
            "aws_region": "invalid_value",
            "client_id": "missing",
            "client_secret": "missing",
        },
    ),
]
"""The table after `mechanism = `, and the codes by key."""

PROBLEMS = [
    ("sources.mall.user_id", "missing", MALL.replace("user_id = 864\n", "")),
    ("sources.mall.user_key", "missing", MALL.replace(f'user_key = "{KEY}"\n', "")),
    ("sources.mall.vendor", "missing", MALL.replace('vendor = "seemetrix"\n', "")),
    ("sources.mall.vendor", "not_allowed", MALL.replace("seemetrix", "seemetricks")),
    ("sources.mall.since", "missing_offset", MALL + "since = 2026-11-01T00:00:00\n"),
    ("sources.mall.since", "wrong_type", MALL + "since = 2026-11-01\n"),
    ("sources.mall.since", "wrong_type", MALL + 'since = "2026-11-01T00:00:00Z"\n'),
    ("sources.mall.until", "not_whole_seconds", MALL + "until = 2026-11-01T00:00:00.5Z\n"),
    ("sources.mall", "invalid_value", MALL + "since = 2026-11-01T00:00:00Z\nuntil = 2026-11-01T00:00:00Z\n"),
    ("sources.mall", "invalid_value", MALL + "since = 2026-11-02T00:00:00Z\nuntil = 2026-11-01T00:00:00Z\n"),
    ("sources.mall.device_ids", "invalid_value", MALL + "device_ids = []\n"),
    ("sources.mall.device_ids.1", "wrong_type", MALL + 'device_ids = [1, "2"]\n'),
    ("sources.mall.device_ids.0", "out_of_range", MALL + "device_ids = [-1]\n"),
    ("sources.airport.locations", "invalid_value", AIRPORT + 'locations = "All"\n'),
    ("sources.airport.locations", "invalid_value", AIRPORT + "locations = []\n"),
    ("sources.airport.locations", "wrong_type", AIRPORT + "locations = 3\n"),
    ("sources.airport.locations.0", "wrong_type", AIRPORT + 'locations = ["all"]\n'),
    ("sources.mall.max_concurrency", "out_of_range", MALL + "max_concurrency = 0\n"),
    ("sources.mall.timeout", "out_of_range", MALL + 'timeout = "0s"\n'),
    ("sources.mall.insecure_http", "wrong_type", MALL + 'insecure_http = "true"\n'),
    ("sources.mall.streams.sessions.settle", "out_of_range", SESSIONS + 'settle = "0s"\n'),
    ("sources.mall.streams.sessions", "invalid_value", SESSIONS + 'settle = "24h"\n'),
    ("sources.mall.streams.sessions", "invalid_value", SESSIONS + 'interval = "24h"\n'),
    ("sources.mall.streams.sessions", "invalid_value", SESSIONS + 'interval = "2d"\nallowed_lateness = "1d"\n'),
    ("sources.mall.streams.sessions.span", "out_of_range", SESSIONS + 'span = "59s"\n'),
    ("sources.mall.streams.viewers", "unknown_key", MALL + "[sources.mall.streams.viewers]\n"),
    ("sources.Mall", "invalid_value", MALL.replace("sources.mall", "sources.Mall")),
    ("sources.2nd", "invalid_value", MALL.replace("sources.mall", "sources.2nd")),
    ("sources.the-mall", "invalid_value", MALL.replace("sources.mall", "sources.the-mall")),
    ("sources", "missing", ""),
    ("sources", "invalid_value", "[sources]\n"),
    ("sources.mall", "wrong_type", "[sources]\nmall = 3\n"),
    ("kafka", "wrong_type", "kafka = 3\n" + MALL),
    ("kafka.transaction_timeout", "out_of_range", MALL + '[kafka]\ntransaction_timeout = "2s"\n'),
    ("kafka.compression", "not_allowed", MALL + '[kafka]\ncompression = "brotli"\n'),
    ("kafka", "invalid_value", MALL + '[kafka.tls]\ncert_file = "cert.pem"\n'),
    ("kafka.sasl.password", "missing", MALL + '[kafka.sasl]\nmechanism = "PLAIN"\nusername = "me"\n'),
    (
        "kafka.sasl.mechanism",
        "not_allowed",
        MALL + '[kafka.sasl]\nmechanism = "OAUTH"\nusername = "me"\npassword = "x-42"\n',
    ),
    *((path, code, MALL + f"[kafka.sasl]\nmechanism = {keys}\n") for path, code, keys in SASL_PROBLEMS),
    *(
        (f"kafka.schema_registry{key}", code, f"{MALL}[kafka.schema_registry]\n{keys}\n")
        for key, code, keys in (
            (".url", "missing", "header = false"),
            (".url", "invalid_value", 'url = "registry.example:8081"'),
            (".url", "invalid_value", 'url = "https://ann:secret@registry.example"'),
            (".url", "invalid_value", 'url = "https://registry.example/a b"'),
            (".url", "invalid_value", 'url = "https://registry.example/\\u007f"'),
            ("", "invalid_value", 'url = "https://registry.example"\nusername = "ann"'),
            ("", "invalid_value", 'url = "https://registry.example"\npassword = "a secret"'),
            ("", "invalid_value", 'url = "http://registry.example"\nusername = "ann"\npassword = "a secret"'),
            (".username", "invalid_value", 'url = "https://registry.example"\nusername = "a:b"\npassword = "a secret"'),
            (".register", "wrong_type", 'url = "https://registry.example"\nregister = 1'),
            (".headers", "unknown_key", 'url = "https://registry.example"\nheaders = false'),
        )
    ),
    ("kafka.replication_factor", "out_of_range", MALL + "[kafka]\nreplication_factor = 10\n"),
    *(
        ("sources.mall.base_url", "invalid_value", f'{MALL}base_url = "{url}"\n')
        for url in ("https://vendor.example/a b", "https://vendor.example/api\\n", "https://vendor.example/\\u0007")
    ),
    ("http.listen", "invalid_value", MALL + '[http]\nlisten = "9464"\n'),
    ("http.listen", "invalid_value", MALL + '[http]\nlisten = "127.0.0.1:99999"\n'),
    ("http.listen", "invalid_value", MALL + '[http]\nlisten = "local\\u0000host:9464"\n'),
    ("log.level", "not_allowed", MALL + '[log]\nlevel = "loud"\n'),
    ("_env_file", "unknown_key", '_env_file = "x"\n' + MALL),
]


@pytest.mark.parametrize(("path", "code", "text"), PROBLEMS, ids=[f"{path} {code}" for path, code, _ in PROBLEMS])
def test_a_wrong_key_is_one_problem_with_a_code(tmp_path: Path, path: str, code: str, text: str) -> None:
    assert {path: code} == problems(tmp_path, text)


@pytest.mark.parametrize(("table", "expected"), SEVERAL_SASL_PROBLEMS)
def test_all_that_is_wrong_in_the_table_of_sasl_is_reported_at_once(
    tmp_path: Path, table: str, expected: dict[str, str]
) -> None:
    found = problems(tmp_path, f"{MALL}[kafka.sasl]\nmechanism = {table}\n")
    assert {f"kafka.sasl.{key}".rstrip("."): code for key, code in expected.items()} == found
