"""`collector preview` prints the events that would be published as JSON lines, without Kafka."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.harness import KEY, Completed, collector, seemetrix, write_config
from tests.commands.simulation import simulating
from tests.contracts.kept import check

pytestmark = pytest.mark.anyio

SESSIONS = """{"objects": [
    {"d": 3024, "o": 7, "b": "2019-07-01T11:20:00.500000", "e": "2019-07-01T11:20:02", "i": 1500, "a": 3, "s": 1,
     "at": [{"a": 0, "d": 500}, {"a": 1, "d": 1000}], "em": [{"d": 1500, "e": -1}],
     "v": [{"d": 900, "i": 8482, "s": 600}]},
    {"d": 3024, "o": "eight", "b": "2019-07-01T11:30:00", "e": "2019-07-01T11:30:01"}
]}"""
HOUR = ("--start", "2019-07-01T11:00:00Z", "--end", "2019-07-01T12:00:00Z")


def lines(result: Completed) -> list[dict[str, Any]]:
    printed = [json.loads(line) for line in result.out.splitlines()]
    for line in printed:
        check(line["headers"], line["value"])
    return printed


async def preview(config: str, *arguments: str) -> Completed:
    result = await collector("preview", *arguments, "--config", config)
    assert KEY not in result.out + result.err
    assert "Traceback" not in result.err
    return result


async def test_log_lines_do_not_get_between_events(tmp_path: Path) -> None:
    """A location in another zone than configured is logged, and the commands print only what they are asked for."""
    config = tmp_path / "config.toml"
    with simulating("--devices", "1", "--fast") as (_, printed):
        source = printed[printed.index("[sources.airport]") :].replace("Europe/Paris", "America/New_York")
        source = source.replace("[3001]", '"all"')
        config.write_text(f'[kafka]\nbootstrap_servers = "127.0.0.1:1"\n{source}', "utf-8")
        events = await collector("preview", "airport", "viewers", "--last", "6h", "--config", str(config))
        findings = await collector("check", "--json", "--config", str(config))

    assert lines(events)
    assert "zone_disagrees" in events.err
    assert "source=airport" in events.err
    [zones] = [each for each in map(json.loads, findings.out.splitlines()) if "zones" in each["what"]]
    assert not zones["ok"]
    assert "correct sources.airport.timezone" in zones["text"]
    assert "zone_disagrees" not in findings.err


async def test_each_event_is_a_line_with_the_value_of_its_message(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        result = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR)

    printed = lines(result)
    assert result.code == 0
    assert ["seemetrix.sessions", "seemetrix.attention", "seemetrix.attention", "seemetrix.emotions"] == [
        line["topic"] for line in printed[:4]
    ]
    assert ["seemetrix.content_views", "collector.dead_letters"] == [line["topic"] for line in printed[4:]]
    assert all(line["key"] == "3024" for line in printed)
    session = printed[0]["value"]
    digest, kind, index = session["event_id"].split("/")
    assert (32, "session", "0") == (len(digest), kind, index)
    origin = {"vendor": "seemetrix", "source": "mall", "record_id": session["record_id"], "revision": 0}
    assert session == {
        "event_id": f"{digest}/session/0",
        "type": "seemetrix.session.v1",
        **origin,
        "device_id": 3024,
        "session_number": 7,
        "started_at": "2019-07-01T11:20:00.500Z",
        "ended_at": "2019-07-01T11:20:02.000Z",
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
    assert session["record_id"].startswith("seemetrix/864/session/3024/7/")
    assert printed[2]["value"] == {
        "event_id": f"{digest}/attention/1",
        "type": "seemetrix.attention.v1",
        **origin,
        "session_event_id": f"{digest}/session/0",
        "device_id": 3024,
        "session_number": 7,
        "position": 1,
        "started_at": "2019-07-01T11:20:01.000Z",
        "ended_at": "2019-07-01T11:20:02.000Z",
        "duration_ms": 1000,
        "gender": "male",
        "age_group": "senior",
        "looking": True,
    }
    assert (printed[3]["value"]["emotion"], printed[3]["value"]["emotion_code"]) == ("unknown", -1)
    assert (printed[4]["value"]["movie_id"], printed[4]["value"]["started_at"]) == (8482, "2019-07-01T11:20:01.100Z")
    assert printed[5]["value"]["reason"] == "malformed"


async def test_each_line_has_the_headers_of_its_message(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        result = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR, "--limit", "1")

    (line,) = lines(result)
    assert line["headers"] == {
        "ce_specversion": "1.0",
        "ce_id": line["value"]["event_id"],
        "ce_source": "/seemetrix/mall",
        "ce_type": "seemetrix.session.v1",
        "ce_subject": "device/3024/session/7",
        "ce_time": "2019-07-01T11:20:00.500Z",
        "content-type": "application/json",
    }


async def test_the_window_is_requested_in_utc(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        config = write_config(tmp_path, vendor.base_url)
        result = await preview(config, "mall", "sessions", "--end", "2019-07-01T14:00:00+02:00", "--last", "15m")

    assert (result.code, result.out) == (0, "")
    assert vendor.requests == [{"key": KEY, "b": "2019/07/01 11:45:00", "e": "2019/07/01 12:00:00", "tzo": "0"}]


async def test_the_totals_are_written_to_stderr(tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        result = await preview(write_config(tmp_path, vendor.base_url), "mall", "sessions", *HOUR)

    assert result.err == "6 events; 1 dead letter among them\n"


@pytest.mark.parametrize(("limit", "counted"), [(1, "1 event"), (2, "2 events")])
async def test_the_limit_is_the_maximum_number_of_events(limit: int, counted: str, tmp_path: Path) -> None:
    async with seemetrix(SESSIONS) as vendor:
        config = write_config(tmp_path, vendor.base_url)
        result = await preview(config, "mall", "sessions", *HOUR, "--limit", str(limit))

    assert (result.code, len(lines(result))) == (0, limit)
    assert result.err == f"{counted}, the most that --limit allows\n"


async def test_twenty_events_are_printed_by_default_with_the_prefix_of_their_topics(tmp_path: Path) -> None:
    sessions = [
        f'{{"d": 1, "o": {n}, "b": "2019-07-01T11:20:00", "e": "2019-07-01T11:20:02", "i": 1500, "a": 3, "s": 1}}'
        for n in range(21)
    ]
    async with seemetrix(f'{{"objects": [{", ".join(sessions)}]}}') as vendor:
        config = write_config(tmp_path, vendor.base_url, more='topic_prefix = "acme."\n')
        result = await preview(config, "mall", "sessions", *HOUR)

    assert (0, 20) == (result.code, len(lines(result)))
    assert {"acme.seemetrix.sessions"} == {each["topic"] for each in lines(result)}


async def test_an_unknown_source_is_wrong_input(tmp_path: Path) -> None:
    result = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), "airport", "sessions")

    assert (result.code, result.out) == (2, "")
    assert (True, True) == ("airport" in result.err, "sources are mall" in result.err)


async def test_an_unknown_stream_is_wrong_input(tmp_path: Path) -> None:
    result = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), "mall", "viewers")

    assert (result.code, result.out) == (2, "")
    assert (True, True) == ("viewers" in result.err, "streams are sessions" in result.err)


@pytest.mark.parametrize(("names", "meant"), [(("mal", "sessions"), "mall"), (("mall", "session"), "sessions")])
async def test_a_suggestion_replaces_the_known_names(tmp_path: Path, names: tuple[str, str], meant: str) -> None:
    result = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), *names)

    assert (result.code, result.out) == (2, "")
    assert (True, False) == (f"(did you mean {meant}?)" in result.err, " are " in result.err)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--last", "90"], "--last: "),
        (["--start", "yesterday"], "--start: "),
        (["--end", "24:00"], "--end: "),
        (["--start", "2019-07-01T12:00:00Z", "--end", "2019-07-01T12:00:00Z"], "--start "),
        (["--end", "0001-01-01T00:00:00Z", "--last", "1h"], "--"),
        (["--start", "0001-01-01T00:00:00+14:00"], "--start"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, list) else "",
)
async def test_an_invalid_window_is_wrong_input(tmp_path: Path, options: list[str], expected: str) -> None:
    result = await preview(write_config(tmp_path, "http://127.0.0.1:1/api"), "mall", "sessions", *options)

    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(expected)


async def test_an_unreachable_vendor_is_a_failure(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        closed = vendor.base_url
    result = await preview(write_config(tmp_path, closed), "mall", "sessions")

    assert (result.code, result.out) == (1, "")
    assert (True, True) == (result.err.startswith("sources.mall: "), "127.0.0.1" in result.err)


async def test_a_wrong_key_is_a_failure_with_advice(tmp_path: Path) -> None:
    async with seemetrix() as vendor:
        result = await preview(write_config(tmp_path, vendor.base_url, user_key='"the-wrong-key"'), "mall", "sessions")

    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("sources.mall: HTTP 401: ")


async def test_a_response_that_is_too_large_is_a_failure_with_advice(tmp_path: Path) -> None:
    async with seemetrix('{"objects": [' + " " * 2048 + "]}") as vendor:
        config = write_config(tmp_path, vendor.base_url, more="max_response_bytes = 1024\n")
        result = await preview(config, "mall", "sessions")

    assert (result.code, result.out) == (1, "")
    assert (True, True) == (result.err.startswith("sources.mall: "), "shorter window" in result.err)
