"""What `collector preview` promises: the events that would be published, as JSON lines, without a Kafka."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.harness import KEY, Ended, collector, seemetrix, write_config
from tests.contracts.kept import check

pytestmark = pytest.mark.anyio

SESSIONS = """{"objects": [
    {"d": 3024, "o": 7, "b": "2019-07-01T11:20:00.500000", "e": "2019-07-01T11:20:02", "i": 1500, "a": 3, "s": 1,
     "at": [{"a": 0, "d": 500}, {"a": 1, "d": 1000}], "em": [{"d": 1500, "e": -1}],
     "v": [{"d": 900, "i": 8482, "s": 600}]},
    {"d": 3024, "o": "eight", "b": "2019-07-01T11:30:00", "e": "2019-07-01T11:30:01"}
]}"""
HOUR = ("--start", "2019-07-01T11:00:00Z", "--end", "2019-07-01T12:00:00Z")


def lines(ended: Ended) -> list[dict[str, Any]]:
    shown = [json.loads(line) for line in ended.out.splitlines()]
    for line in shown:
        check(line["headers"], line["value"])
    return shown


async def preview(config: str, *arguments: str) -> Ended:
    ended = await collector("preview", *arguments, "--config", config)
    assert KEY not in ended.out + ended.err
    assert "Traceback" not in ended.err
    return ended


async def test_each_event_is_a_line_with_its_value_as_consumers_will_see_it(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        ended = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR)

    shown = lines(ended)
    assert ended.code == 0
    assert ["seemetrix.sessions", "seemetrix.attention", "seemetrix.attention", "seemetrix.emotions"] == [
        line["topic"] for line in shown[:4]
    ]
    assert ["seemetrix.content_views", "collector.dead_letters"] == [line["topic"] for line in shown[4:]]
    assert all(line["key"] == "3024" for line in shown)
    session = shown[0]["value"]
    digest, kind, index = session["event_id"].split("/")
    assert (32, "session", "0") == (len(digest), kind, index)
    assert session == {
        "event_id": f"{digest}/session/0",
        "record_id": session["record_id"],
        "revision": 0,
        "source": "mall",
        "device_id": 3024,
        "session_number": 7,
        "start": "2019-07-01T11:20:00.500Z",
        "end": "2019-07-01T11:20:02.000Z",
        "duration_ms": 1500,
        "attention_ms": 1000,
        "gender": "male",
        "gender_code": 1,
        "age_group": "senior",
        "age_code": 3,
        "attention_count": 2,
        "emotion_count": 1,
        "content_view_count": 1,
    }
    assert session["record_id"].startswith("3024/7/")
    assert shown[2]["value"] == {
        "event_id": f"{digest}/attention/1",
        "session_event_id": f"{digest}/session/0",
        "source": "mall",
        "device_id": 3024,
        "session_number": 7,
        "index": 1,
        "start": "2019-07-01T11:20:01.000Z",
        "end": "2019-07-01T11:20:02.000Z",
        "duration_ms": 1000,
        "gender": "male",
        "age_group": "senior",
        "looking": True,
    }
    assert (shown[3]["value"]["emotion"], shown[3]["value"]["emotion_code"]) == ("unknown", -1)
    assert (shown[4]["value"]["movie_id"], shown[4]["value"]["start"]) == (8482, "2019-07-01T11:20:01.100Z")
    assert shown[5]["value"]["reason"] == "malformed"


async def test_each_line_has_the_headers_of_its_message(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        ended = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR, "--limit", "1")

    (line,) = lines(ended)
    assert line["headers"] == {
        "ce_specversion": "1.0",
        "ce_id": line["value"]["event_id"],
        "ce_source": "/seemetrix/mall",
        "ce_type": "seemetrix.session.v1",
        "ce_subject": "device/3024/session/7",
        "ce_time": "2019-07-01T11:20:00.500Z",
        "content-type": "application/json",
    }


async def test_the_vendor_is_asked_for_the_window_in_utc(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url)
        ended = await preview(config, "mall", "sessions", "--end", "2019-07-01T14:00:00+02:00", "--last", "15m")

    assert (ended.code, ended.out) == (0, "")
    assert vendor.asked == [{"key": KEY, "b": "2019/07/01 11:45:00", "e": "2019/07/01 12:00:00", "tzo": "0"}]


async def test_the_totals_are_diagnostics(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        ended = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR)

    assert ended.err == "6 events, 1 of them dead letters\n"


async def test_no_more_events_are_printed_than_the_limit(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        ended = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR, "--limit", "2")

    assert (ended.code, len(lines(ended))) == (0, 2)


async def test_a_source_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    ended = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), "airport", "sessions")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "there is no source airport: the configuration has mall\n"


async def test_a_stream_that_there_is_not_is_told_with_those_that_there_are(tmp_path: Path) -> None:
    ended = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), "mall", "viewers")

    assert (ended.code, ended.out, ended.err) == (2, "", "mall has no stream viewers: it has sessions\n")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--last", "90"], "--last: expected a duration"),
        (["--start", "yesterday"], "--start: expected a date and time"),
        (["--end", "24:00"], "--end: expected a date and time"),
        (["--start", "2019-07-01T12:00:00Z", "--end", "2019-07-01T12:00:00Z"], "--start must be before --end"),
        (["--end", "0001-01-01T00:00:00Z", "--last", "1h"], "--"),
        (["--start", "0001-01-01T00:00:00+14:00"], "--start"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
async def test_a_window_that_is_none_is_wrong_input(tmp_path: Path, options: list[str], expected: str) -> None:
    ended = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), "mall", "sessions", *options)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(expected)


async def test_a_vendor_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        gone = vendor.base_url
    ended = await preview(write_config(tmp_path, gone), "mall", "sessions")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("sources.mall: no connection to 127.0.0.1")


async def test_a_wrong_key_is_a_failure_with_advice(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        ended = await preview(write_config(tmp_path, vendor.base_url, user_key='"the-wrong-key"'), "mall", "sessions")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("sources.mall: HTTP 401: the key is wrong: correct it")


async def test_an_answer_that_is_too_large_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    async with seemetrix('{"objects": [' + " " * 2048 + "]}") as vendor:
        config = write_config(tmp_path, vendor.base_url, more="max_response_bytes = 1024\n")
        ended = await preview(config, "mall", "sessions")

    assert (ended.code, ended.out) == (1, "")
    assert ended.err.rstrip().endswith("ask for a shorter window")
