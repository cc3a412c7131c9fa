"""Keys that name files. What no path can be is a problem of its key: without one, the system's functions fail."""

from pathlib import Path

import pytest

from tests.commands.configuration import KEY, MALL, problems

FILE = '{ file = "/run/a\\u0000b" }'
AIRPORT = f"""[sources.airport]
vendor = "quividi"
username = "airport"
token = {FILE}
timezone = "Europe/Paris"
locations = "all"
"""
TOKENS = 'mechanism = "OAUTHBEARER"\n'
BY_CLIENT = f'{TOKENS}token_url = "https://login.example/token"\nclient_id = "me"\n'
REGISTRY = 'url = "https://registry.example"\nusername = "me"\n'
WITH_NUL = {
    "include": f'include = "a\\u0000b/*.toml"\n{MALL}',
    "sources.mall.user_key": MALL.replace(f'"{KEY}"', FILE),
    "sources.airport.token": AIRPORT,
    "kafka.tls.ca_file": f'{MALL}[kafka.tls]\nca_file = "a\\u0000b"\n',
    "kafka.tls.cert_file": f'{MALL}[kafka.tls]\ncert_file = "a\\u0000b"\nkey_file = "key.pem"\n',
    "kafka.tls.key_file": f'{MALL}[kafka.tls]\ncert_file = "cert.pem"\nkey_file = "a\\u0000b"\n',
    "kafka.sasl.password": f'{MALL}[kafka.sasl]\nmechanism = "PLAIN"\nusername = "me"\npassword = {FILE}\n',
    "kafka.sasl.token": f"{MALL}[kafka.sasl]\n{TOKENS}token = {FILE}\n",
    "kafka.sasl.client_secret": f"{MALL}[kafka.sasl]\n{BY_CLIENT}client_secret = {FILE}\n",
    "kafka.schema_registry.password": f"{MALL}[kafka.schema_registry]\n{REGISTRY}password = {FILE}\n",
}
"""A configuration for each key."""


@pytest.mark.parametrize("key", WITH_NUL)
def test_a_path_with_a_nul_character_is_a_problem_of_its_key(tmp_path: Path, key: str) -> None:
    assert {key: "invalid_value"} == problems(tmp_path, WITH_NUL[key])


def test_a_pattern_with_a_nul_character_is_refused_although_its_folder_exists(tmp_path: Path) -> None:
    assert {"include": "invalid_value"} == problems(tmp_path, f'include = "*\\u0000.toml"\n{MALL}')
