"""What `collector check` promises: one line for each thing that the daemon needs, and what to do about it."""

import json
from pathlib import Path

import pytest

from tests.commands.harness import KEY, Ended, collector, seemetrix, write_config

pytestmark = pytest.mark.anyio


def findings(ended: Ended) -> dict[str, tuple[bool, str]]:
    """What was found, by what it is about, of `--json`."""
    lines = [json.loads(line) for line in ended.out.splitlines()]
    assert all({"what", "ok", "text"} == line.keys() for line in lines)
    return {line["what"]: (line["ok"], line["text"]) for line in lines}


async def checked(config: str) -> Ended:
    ended = await collector("check", "--json", "--config", config)
    assert KEY not in ended.out + ended.err
    assert "Traceback" not in ended.err
    return ended


async def test_offline_only_the_configuration_is_read(tmp_path: Path) -> None:
    config = write_config(tmp_path, "http://127.0.0.1:1/api")

    ended = await collector("check", "--offline", "--config", config)

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [f"ok     {config}: is right: 1 source"]


async def test_a_configuration_that_is_wrong_is_wrong_input_and_nothing_else_is_asked(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url, more="nope = 1\n")
        ended = await checked(config)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "sources.mall.nope: unknown key\n"


async def test_an_account_that_answers_and_a_kafka_that_does_not_are_a_line_each(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url, more="device_ids = [3024, 3035]\n")
        ended = await checked(config)

    found = findings(ended)
    assert ended.code == 1
    host = vendor.base_url.removeprefix("http://").removesuffix("/api")
    assert {config, "sources.mall", f"clock of {host}", "kafka"} == found.keys()
    assert found[config] == (True, "is right: 1 source")
    assert found["sources.mall"] == (True, "3 devices")
    assert found[f"clock of {host}"] == (True, "agrees with this machine's")
    ok, text = found["kafka"]
    assert not ok
    assert text.startswith("no broker answers at 127.0.0.1:")
    assert text.endswith(": Connection refused: check kafka.bootstrap_servers, and whether the brokers run")


async def test_for_people_each_finding_is_a_line_too(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url)
        ended = await collector("check", "--config", config)

    assert ended.code == 1
    first, *others = ended.out.splitlines()
    assert f"ok     {config}: is right: 1 source" == first
    assert "ok     sources.mall: 3 devices" in others
    assert ["failed kafka: no broker answers at"] == [line[:34] for line in others if line.startswith("failed")]


async def test_a_wrong_key_is_told_with_what_to_do(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        ended = await checked(write_config(tmp_path, vendor.base_url, user_key='"the-wrong-key"'))

    assert ended.code == 1
    assert findings(ended)["sources.mall"] == (
        False,
        "HTTP 401: the key is wrong: correct it; the collector notices by itself",
    )
    assert "the-wrong-key" not in ended.out + ended.err


async def test_a_user_that_the_key_is_not_of_is_told(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        ended = await checked(write_config(tmp_path, vendor.base_url, user_id=865))

    ok, text = findings(ended)["sources.mall"]
    assert (ended.code, ok) == (1, False)
    assert text.startswith("HTTP 403: ")
    assert "check the user" in text


async def test_a_device_of_another_account_is_told_by_its_number(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        ended = await checked(write_config(tmp_path, vendor.base_url, more="device_ids = [3024, 4711]\n"))

    ok, text = findings(ended)["sources.mall"]
    assert (ended.code, ok) == (1, False)
    assert text.startswith("the account has no device 4711: correct sources.mall.device_ids")


async def test_a_wrong_path_is_told_as_a_matter_of_base_url(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        ended = await checked(write_config(tmp_path, vendor.base_url + "/v3"))

    ok, text = findings(ended)["sources.mall"]
    assert (ended.code, ok) == (1, False)
    assert text.startswith("HTTP 404: ")
    assert "check base_url" in text


async def test_a_vendor_that_is_not_there_is_told_and_kafka_is_asked_all_the_same(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        gone = vendor.base_url
    ended = await checked(write_config(tmp_path, gone))

    found = findings(ended)
    assert ended.code == 1
    assert "kafka" in found
    ok, text = found["sources.mall"]
    assert not ok
    assert text.startswith("no connection to 127.0.0.1")
    assert text.endswith("check base_url, and whether this machine may connect there")


async def test_a_secret_that_is_missing_is_a_finding_of_its_source(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        ended = await checked(write_config(tmp_path, vendor.base_url, user_key='{ env = "NO_KEY" }'))

    ok, text = findings(ended)["sources.mall"]
    assert (ended.code, ok) == (1, False)
    assert "NO_KEY is not set" in text
    assert "sources.mall.user_key" in text


async def test_every_source_is_asked_though_one_fails(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        second = f"""
            [sources.annex]
            vendor = "seemetrix"
            base_url = "{vendor.base_url}"
            user_id = 864
            user_key = "{KEY}"
        """
        ended = await checked(write_config(tmp_path, vendor.base_url, user_key='"the-wrong-key"', more=second))

    found = findings(ended)
    assert (False, True) == (found["sources.mall"][0], found["sources.annex"][0])
