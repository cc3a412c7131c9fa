"""Breakdown: the documented trees in both shapes, requests and pages."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from collector.errors import RetryLater, Split
from collector.model import Record, Reject, Window
from collector.vendors.seemetrix import breakdown
from tests.vendors.loopback import Handler, responding, serving
from tests.vendors.seemetrix.documented import (
    AGES,
    DATES,
    DEVICE_NODES,
    EMOTIONS,
    FULL_TREE,
    GENDERS,
    MOVIES,
    TREE_AS_LIST,
    TREE_AS_OBJECT,
    tree,
)
from tests.vendors.seemetrix.fetching import events, fetched, stream_of

pytestmark = pytest.mark.anyio

DAY = Window(datetime(2017, 6, 7, tzinfo=UTC), datetime(2017, 6, 8, tzinfo=UTC))
HALF_YEAR = Window(datetime(2017, 1, 1, tzinfo=UTC), datetime(2017, 7, 1, tzinfo=UTC))


def levels(*names: str, **also: object) -> dict[str, object]:
    return {"levels": list(names), **also}


NO_PATH = dict.fromkeys(f"path_{each}" for each in ("device", "movie", "date", "gender", "age", "emotion"))


def step(level: str, name: str, value: str | None = None) -> dict[str, str]:
    return {"level": level, "name": name, "value": value or name}


async def groups(body: bytes, table: dict[str, object]) -> list[Record[Any] | Reject]:
    """What is found in a tree, without its root."""
    found = await fetched(body, "breakdown", DAY, table)
    return [row for row in found if isinstance(row, Reject) or row.payload.path]


@pytest.mark.parametrize("body", [TREE_AS_LIST, TREE_AS_OBJECT], ids=["list", "object"])
async def test_documented_tree_as_list_and_as_object(body: bytes) -> None:
    start = "2017-06-07T00:00:00.000Z"
    assert [
        {
            "key": "1842",
            "subject": f"user/632/breakdown/1d/{start}/device=1842",
            "time": start,
            "record_id": f"seemetrix/632/breakdown/all/devices/1d/{start}/device=1842",
            "revision": 0,
            "user_id": 632,
            "device_id": 1842,
            "period_start": start,
            "period_end": "2017-06-08T00:00:00.000Z",
            "resolution": "1d",
            "depth": 1,
            "is_leaf": True,
            "level": "device",
            "path": [step("device", "1842")],
            **NO_PATH,
            "path_device": "1842",
            "date_format": None,
            "cyclic": False,
            "views": 64,
            "views_ms": 1360572,
            "ots": 64,
            "ots_ms": 1360572,
            "timezone": "UTC",
            "utc_offset_s": 0,
            "period_start_local": "2017-06-07T00:00:00",
        },
        {
            "key": "user/632",
            "subject": f"user/632/breakdown/1d/{start}",
            "time": start,
            "record_id": f"seemetrix/632/breakdown/all/devices/1d/{start}",
            "revision": 0,
            "user_id": 632,
            "device_id": None,
            "period_start": start,
            "period_end": "2017-06-08T00:00:00.000Z",
            "resolution": "1d",
            "depth": 0,
            "is_leaf": False,
            "level": None,
            "path": [],
            **NO_PATH,
            "date_format": None,
            "cyclic": False,
            "views": 64,
            "views_ms": 1360572,
            "ots": 64,
            "ots_ms": 1360572,
            "timezone": "UTC",
            "utc_offset_s": 0,
            "period_start_local": "2017-06-07T00:00:00",
        },
    ] == await events(body, "breakdown", DAY, levels("devices"))


async def test_documented_full_tree() -> None:
    table = levels("devices", "dates", "emotions", dt_format="MM", resolution="6M", anchor=datetime(2017, 1, 1).date())  # noqa: DTZ001
    found = await events(FULL_TREE, "breakdown", HALF_YEAR, table)
    device, month = step("device", "1842"), step("date", "05")
    words = {"angry": "angry", "happy": "happy", "neutral": "neutral", "surprise": "surprised", "undefined": "unknown"}
    views = {"neutral": (63, 1359042)}
    assert [
        ([device], 63, 1359042, 63, 1359042),
        ([device, month], 63, 1359042, 63, 1359042),
        *(
            ([device, month, step("emotion", name, word)], *views.get(name, (0, 0)), None, None)
            for name, word in words.items()
        ),
        ([], 63, 1359042, 63, 1359042),
    ] == [tuple(each[name] for name in ("path", "views", "views_ms", "ots", "ots_ms")) for each in found]
    assert {("2017-01-01T00:00:00.000Z", "2017-07-01T00:00:00.000Z", "6M", "MM", True)} == {
        tuple(each[name] for name in ("period_start", "period_end", "resolution", "date_format", "cyclic"))
        for each in found
    }
    assert ["1842"] * 7 + ["user/632"] == [each["key"] for each in found]
    assert [(1, False), (2, False), *[(3, True)] * 5, (0, False)] == [
        (each["depth"], each["is_leaf"]) for each in found
    ]
    assert [{"path_device": "1842", "path_date": "05", "path_emotion": word} for word in words.values()] == [
        {name: value for name, value in each.items() if name.startswith("path_") and value} for each in found[2:7]
    ]
    assert 8 == len({each["record_id"] for each in found})


@pytest.mark.parametrize(
    ("level", "nodes", "expected"),
    [
        (
            "emotions",
            EMOTIONS,
            [("angry", 0, 0), ("happy", 0, 0), ("neutral", 131, 1722237), ("surprised", 0, 5250), ("unknown", 2, 8635)],
        ),
        (
            "ages",
            AGES,
            [
                ("adult", 24, 576918),
                ("child", 0, 0),
                ("senior", 0, 0),
                ("unknown", 0, 0),
                ("young_adult", 111, 1164209),
            ],
        ),
        ("genders", GENDERS, [("female", 134, 1734514), ("male", 1, 6613), ("unknown", 0, 0)]),
        ("devices", DEVICE_NODES, [("1888", 5, 33959), ("1891", 2, 15155), ("1892", 1, 20922), ("1893", 19, 163903)]),
        ("movies", MOVIES, [("1", 5, 33959), ("2", 2, 15155), ("3", 1, 20922), ("4", 19, 163903)]),
        (
            "dates",
            DATES,
            [("2017-06-02", 5, 33959), ("2017-06-06", 22, 199980), ("2017-06-07", 109, 1508488)],
        ),
    ],
)
async def test_documented_example_of_each_level(level: str, nodes: bytes, expected: list[Any]) -> None:
    *found, root = await events(tree(nodes), "breakdown", DAY, levels(level))
    assert (0, 1, 1) == (root["depth"], root["views"], root["views_ms"])
    assert expected == [(each["path"][0]["value"], each["views"], each["views_ms"]) for each in found]
    has_ots = level in ("devices", "movies", "dates")
    assert all((each["ots"] is not None) == has_ots for each in found), "a missing ots is not 0"
    if level == "dates":
        assert [(5, 33959), (22, 199980), (111, 1516682)] == [(each["ots"], each["ots_ms"]) for each in found]
        assert {"YYYY-MM-DD"} == {each["date_format"] for each in found}


async def test_each_period_has_a_request_as_documented() -> None:
    seen: list[str] = []
    table = levels("movies", "dates", dt_format="HH")
    week = Window(DAY.start, DAY.start + timedelta(days=2))
    async with serving(responding(tree(MOVIES), seen=seen)) as url, stream_of(url, "breakdown", table) as stream:
        _ = [result async for result in stream.fetch(week)]
    assert ["/api/v2/statistics/user/632/movies/dates/"] * 2 == [path.partition("?")[0] for path in seen]
    assert [
        f"b=2017/06/0{n}%2000:00:00&e=2017/06/0{n + 1}%2000:00:00&tzo=0&to_object=0&dt_format=HH&page=0&obj_in_page=100"
        for n in (7, 8)
    ] == [path.partition("&")[2] for path in seen]


async def test_each_device_id_has_a_request_of_its_own() -> None:
    seen: list[str] = []
    table = levels("genders")
    async with (
        serving(responding(tree(GENDERS), seen=seen)) as url,
        stream_of(url, "breakdown", table, device_ids=[2, 1]) as stream,
    ):
        rows = [row async for result in stream.fetch(DAY) for row in result.records]
        [[first], [_], [_], [root], [other], *_] = [
            list(stream.explode(row, "0", 0)) for row in rows if isinstance(row, Record)
        ]
    assert ["&d=1", "&d=2"] == [path[-4:] for path in seen]
    assert ("1", "1", "2") == (first.key, root.key, other.key)
    assert 8 == len({row.key for row in rows if isinstance(row, Record)})


def paging(pages: list[list[str]], seen: list[str]) -> Handler:
    async def handler(request: web.BaseRequest) -> web.Response:
        number = int(request.query["page"])
        seen.append(request.query["page"])
        nodes = ", ".join(f'{{"n": "{name}", "t": "device", "v": 1, "vd": 5, "o": []}}' for name in pages[number])
        body = tree(f"[{nodes}]".encode(), page=str(number).encode(), pages_total=str(len(pages)).encode())
        return web.Response(body=body)

    return handler


async def test_all_pages_are_one_result() -> None:
    seen: list[str] = []
    pages = [["1", "2"], [], ["3", "4"], ["5"]]
    async with (
        serving(paging(pages, seen)) as url,
        stream_of(url, "breakdown", levels("devices")) as stream,
    ):
        [result] = [result async for result in stream.fetch(DAY)]
        rows = list(result.records)
    assert ["0", "1", "2", "3"] * 2 == seen, "a second reading shows that nothing has shifted"
    assert ["1", "2", "3", "4", "5"] == [
        row.payload.path[0].name for row in rows if isinstance(row, Record) and row.payload.path
    ]


async def test_a_page_that_shifts_while_it_is_read_costs_no_node() -> None:
    """Node 1 disappears after the first page was read, so that node 3 moves to it."""
    readings = [[["1", "2"], ["3", "4"]], [["2", "3"], ["4"]], [["2", "3"], ["4"]]]
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        reading = readings[min((len(seen) + 1) // 2, 2)]
        return await paging(reading, seen)(request)

    async with serving(handler) as url, stream_of(url, "breakdown", levels("devices")) as stream:
        [result] = [result async for result in stream.fetch(DAY)]
        rows = list(result.records)
    assert ["1", "2", "3", "4"] == sorted(
        row.payload.path[0].name for row in rows if isinstance(row, Record) and row.payload.path
    )


async def test_pages_that_never_agree_raise_retry_later() -> None:
    seen: list[str] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return await paging([[f"{len(seen)}"], ["1"]], seen)(request)

    async with serving(handler) as url, stream_of(url, "breakdown", levels("devices")) as stream:
        with pytest.raises(RetryLater) as raised:
            _ = [result async for result in stream.fetch(DAY)]
    assert "pages_shift" == raised.value.code


async def test_pages_that_stay_empty_raise_retry_later() -> None:
    with pytest.raises(RetryLater) as raised:
        await fetched(paging([[]] * 1000, []), "breakdown", DAY, levels("devices"))

    assert "pages_empty" == raised.value.code


@pytest.mark.parametrize(("page", "pages", "ok"), [(b"0.0", b"1.0", b"1.0"), (b"0", b"1.0", b"1")])
async def test_numbers_about_pages_may_be_written_as_floats(page: bytes, pages: bytes, ok: bytes) -> None:
    body = tree(DEVICE_NODES, page=page, pages_total=pages).replace(b'"ok": 1', b'"ok": ' + ok)

    assert 4 == len(await groups(body, levels("devices")))


async def test_a_wrong_page_raises_retry_later() -> None:
    with pytest.raises(RetryLater) as raised:
        await fetched(tree(DEVICE_NODES, page=b"3", pages_total=b"4"), "breakdown", DAY, levels("devices"))

    assert "wrong_page" == raised.value.code


async def test_pages_that_together_are_too_large_raise_split() -> None:
    pages = [[str(100 * page + n) for n in range(100)] for page in range(50)]
    with pytest.raises(Split, match="max_response_bytes") as raised:
        await fetched(paging(pages, []), "breakdown", DAY, levels("devices"), max_response_bytes=100_000)

    assert "response_too_large" == raised.value.code


@pytest.mark.parametrize("ok", [b"0", b"2", b"false", b"null"])
async def test_ok_other_than_1_raises_retry_later(ok: bytes) -> None:
    with pytest.raises(RetryLater, match="ok") as raised:
        await fetched(TREE_AS_LIST.replace(b'"ok": 1', b'"ok": ' + ok), "breakdown", DAY, levels("devices"))

    assert "response_undocumented" == raised.value.code


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (b'{"n": "9", "t": "movie", "v": 1, "vd": 1}', "Expected a device, got 'movie' - at `$.t`"),
        (b'{"n": "9", "t": "device", "v": -1, "vd": null}', "Expected `int | float`, got `null` - at `$.vd`"),
        (b'{"n": "9", "t": "device", "v": 1e300, "vd": 1}', "Expected `float` < 9.2"),
        (b'{"n": "9", "t": "device", "v": 1, "vd": 1e400}', "Expected `float` < 9.2"),
        (b'{"n": "9", "v": 1, "vd": 1, "o": [{"n": "1", "v": 1, "vd": 1}]}', "More levels than requested - at `$.o`"),
    ],
)
async def test_a_malformed_subtree_is_one_reject(node: bytes, error: str) -> None:
    found = await groups(tree(DEVICE_NODES[:-2] + b"," + node + b"]"), levels("devices"))
    assert 4 == sum(isinstance(each, Record) for each in found)
    [reject] = [each for each in found if isinstance(each, Reject)]
    assert reject.error.startswith(error)


async def test_ots_that_cannot_be_a_count_are_null() -> None:
    node = b'[{"n": "9", "t": "device", "v": 1, "vd": 1, "ots": 1e300, "otsd": 5}]'

    [event, _] = await events(tree(node), "breakdown", DAY, levels("devices"))
    assert (1, None, 5) == (event["views"], event["ots"], event["ots_ms"])


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (levels("devices", "dates", "devices"), "levels"),
        (levels(), "levels"),
        ({}, "levels"),
        (levels("devices", dt_format="MM"), "dt_format"),
        (levels("devices", resolution="7M"), "resolution"),
        (levels("devices", resolution="1M", anchor=datetime(2018, 1, 29).date()), "anchor: .*28th"),  # noqa: DTZ001
    ],
)
async def test_invalid_settings_are_rejected(table: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        async with stream_of("http://127.0.0.1:9", "breakdown", table):
            pass


@pytest.mark.parametrize("change", [{"n": "x" * 1001}, {"t": "x" * 100_000}])
async def test_a_node_with_a_long_name_or_type_is_a_small_reject(change: dict[str, str]) -> None:
    node = {"n": "1", "t": "device", "v": 1, "vd": 5, "o": []}
    [good, bad] = await groups(tree(json.dumps([node, node | {"n": "2"} | change]).encode()), levels("devices"))
    assert isinstance(good, Record)
    assert isinstance(bad, Reject)
    assert len(bad.error) < 200


async def test_names_in_the_paths_of_all_nodes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breakdown, "MAX_PATHS", 1000)
    leaf = {"n": "1", "t": "age", "v": 1, "vd": 5}
    node = {"n": "x" * 100, "t": "device", "v": 1, "vd": 5, "o": [leaf] * 10}
    with pytest.raises(Split):
        await fetched(tree(json.dumps([node]).encode()), "breakdown", DAY, levels("devices", "ages"))


async def test_a_malformed_node_does_not_replace_a_valid_one_of_the_same_name() -> None:
    node = {"n": "7", "t": "device", "v": 1, "vd": 1}
    found = await groups(tree(json.dumps([node, node | {"v": "x"}]).encode()), levels("devices"))
    assert [Record, Reject] == [type(row) for row in found]


ROOT = b'"v": 1, "vd": 1, "o"'


@pytest.mark.parametrize("totals", [b'"o"', b'"v": 1, "o"', b'"vd": 1, "o"', b'"v": "x", "vd": {}, "ots": [], "o"'])
async def test_a_root_without_totals_is_the_sum_of_the_first_level(totals: bytes) -> None:
    body = tree(DEVICE_NODES).replace(ROOT, totals)

    *_, root = await events(body, "breakdown", DAY, levels("devices"))
    assert (27, 233939) == (root["views"], root["views_ms"])


LARGE = ", ".join(f'{{"n": "{number}", "v": {2**62}, "vd": 1}}' for number in range(5)).encode()


@pytest.mark.parametrize("nodes", [b"[]", b'[{"n": "9", "t": "device", "v": 1, "vd": null}]', b"[" + LARGE + b"]"])
async def test_a_root_is_not_the_sum_of_what_is_not_known(nodes: bytes) -> None:
    found = await fetched(tree(nodes).replace(ROOT, b'"o"'), "breakdown", DAY, levels("devices"))

    assert not [row for row in found if isinstance(row, Record) and not row.payload.path]


async def test_a_root_without_nodes_is_a_leaf() -> None:
    [root] = await events(tree(b"[]").replace(ROOT, b'"v": 0, "vd": 0.0, "o"'), "breakdown", DAY, levels("devices"))

    assert (0, True, 0, 0, None) == (root["depth"], root["is_leaf"], root["views"], root["views_ms"], root["ots"])


@pytest.mark.parametrize(("totals", "expected"), [((7, 7), 7), ((3, 4), 2)])
async def test_the_totals_of_pages_count_once_if_they_agree(totals: tuple[int, int], expected: int) -> None:
    """The document does not state whether they are those of the page. If they differ, the nodes are added up."""

    async def handler(request: web.BaseRequest) -> web.Response:
        page = int(request.query["page"])
        body = tree(b'[{"n": "%d", "t": "device", "v": 1, "vd": 5}]' % page, page=b"%d" % page, pages_total=b"2")
        return web.Response(body=body.replace(ROOT, b'"v": %d, "vd": 5, "o"' % totals[page]))

    *_, root = await events(handler, "breakdown", DAY, levels("devices"))
    assert expected == root["views"]


async def test_the_name_of_a_device_that_is_no_number_is_no_id() -> None:
    [group, _] = await events(tree(b'[{"n": "lobby", "v": 1, "vd": 5}]'), "breakdown", DAY, levels("devices"))

    assert ("lobby", None, "user/632") == (group["path_device"], group["device_id"], group["key"])
