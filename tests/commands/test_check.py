"""`collector check` reports a finding for each thing that the daemon needs, with advice if it fails."""

import json
from pathlib import Path

import pytest

from tests.commands.harness import KEY, Completed, collector, seemetrix, write_config

pytestmark = pytest.mark.anyio


def findings(result: Completed) -> dict[str, tuple[bool, str]]:
    """`ok` and `text` of each finding of `--json`, by its `what`."""
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert all({"what", "ok", "text", "warning"} == line.keys() for line in lines)
    return {line["what"]: (line["ok"], line["text"]) for line in lines}


async def check(config: str) -> Completed:
    result = await collector("check", "--json", "--config", config)
    assert KEY not in result.out + result.err
    assert "Traceback" not in result.err
    return result


async def test_offline_validates_only_the_configuration(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1/api")

    result = await collector("check", "--offline", "--config", config)

    assert (result.code, result.err) == (0, "")
    (line,) = result.out.splitlines()
    assert line.startswith(f"ok     {config}: ")


async def test_an_invalid_configuration_is_wrong_input_and_nothing_else_is_checked(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url, more="nope = 1\n")
        result = await check(config)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("sources.mall.nope: ")
    assert not vendor.requests


async def test_the_configuration_the_account_its_clock_and_kafka_are_a_finding_each(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url, more="device_ids = [3024, 3035]\n")
        result = await check(config)

    found = findings(result)
    assert result.code == 1
    host = vendor.base_url.removeprefix("http://").removesuffix("/api")
    assert {config, "sources.mall", f"clock of {host}", "kafka"} == found.keys()
    assert found[config][0]
    assert found["sources.mall"] == (True, "3 devices")
    assert found[f"clock of {host}"][0]
    ok, text = found["kafka"]
    assert not ok
    assert not [fact for fact in ("127.0.0.1:", "Connection refused", "kafka.bootstrap_servers") if fact not in text]


async def test_without_json_each_finding_is_a_line_of_text(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url)
        result = await collector("check", "--config", config)

    assert result.code == 1
    first, *others = result.out.splitlines()
    assert first.startswith(f"ok     {config}: ")
    assert "ok     sources.mall: 3 devices" in others
    assert ["failed kafka: "] == [line[:14] for line in others if line.startswith("failed")]


async def test_a_wrong_key_fails_without_showing_it(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        result = await check(write_config(tmp_path, vendor.base_url, user_key='"the-wrong-key"'))

    assert result.code == 1
    ok, text = findings(result)["sources.mall"]
    assert (False, True) == (ok, text.startswith("HTTP 401: "))
    assert "the-wrong-key" not in result.out + result.err


async def test_a_user_without_access_fails(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        result = await check(write_config(tmp_path, vendor.base_url, user_id=865))

    ok, text = findings(result)["sources.mall"]
    assert (result.code, ok) == (1, False)
    assert text.startswith("HTTP 403: ")


async def test_a_device_of_another_account_fails_with_its_number_and_key(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        result = await check(write_config(tmp_path, vendor.base_url, more="device_ids = [3024, 4711]\n"))

    ok, text = findings(result)["sources.mall"]
    assert (result.code, ok) == (1, False)
    assert not [fact for fact in ("4711", "sources.mall.device_ids") if fact not in text]
    assert "3024" not in text


async def test_a_wrong_path_fails_with_advice_to_check_base_url(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        result = await check(write_config(tmp_path, vendor.base_url + "/v3"))

    ok, text = findings(result)["sources.mall"]
    assert (result.code, ok) == (1, False)
    assert text.startswith("HTTP 404: ")
    assert "base_url" in text


async def test_kafka_is_checked_although_the_vendor_is_unreachable(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        closed = vendor.base_url
    result = await check(write_config(tmp_path, closed))

    found = findings(result)
    assert result.code == 1
    assert "kafka" in found
    ok, text = found["sources.mall"]
    assert not ok
    assert not [fact for fact in (closed.split("/")[2].partition(":")[0], "base_url") if fact not in text]


async def test_a_missing_secret_is_a_failure_of_its_source(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        result = await check(write_config(tmp_path, vendor.base_url, user_key='{ env = "NO_KEY" }'))

    ok, text = findings(result)["sources.mall"]
    assert (result.code, ok) == (1, False)
    assert not [fact for fact in ("NO_KEY", "sources.mall.user_key") if fact not in text]


SASL = {
    "password": 'mechanism = "PLAIN"\nusername = "me"\npassword = {secret}\n',
    "token": 'mechanism = "OAUTHBEARER"\ntoken = {secret}\n',
    "client_secret": 'mechanism = "OAUTHBEARER"\ntoken_url = "https://127.0.0.1:1/"\nclient_id = "me"\n'
    "client_secret = {secret}\n",
}


@pytest.mark.parametrize("key", SASL)
@pytest.mark.parametrize(
    ("secret", "facts"),
    [('{ file = "no-such-file" }', "no-such-file"), ('{ env = "NO_SECRET" }', "NO_SECRET")],
    ids=["file", "variable"],
)
async def test_a_secret_for_kafka_that_cannot_be_read_is_named_although_no_broker_is_reached(
    tmp_path: Path, key: str, secret: str, facts: str
) -> None:
    async with seemetrix() as vendor:
        more = f"[kafka.sasl]\n{SASL[key].format(secret=secret)}"
        result = await check(write_config(tmp_path, vendor.base_url, more=more))

    ok, text = findings(result)["kafka.sasl"]
    assert (result.code, ok) == (1, False)
    assert not [fact for fact in (facts, f"kafka.sasl.{key}") if fact not in text]
    assert 1 == result.out.count(facts)
    assert (key != "password") == ("kafka" in findings(result)), "the brokers are tried unless the password is missing"


async def test_every_source_is_checked_although_one_fails(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        second = f"""
            [sources.annex]
            vendor = "seemetrix"
            base_url = "{vendor.base_url}"
            user_id = 864
            user_key = "{KEY}"
        """
        result = await check(write_config(tmp_path, vendor.base_url, user_key='"the-wrong-key"', more=second))

    found = findings(result)
    assert (False, True) == (found["sources.mall"][0], found["sources.annex"][0])
