"""The arguments, rights and ages of the simulated VidiCenter's exports."""

from datetime import timedelta

import pytest

from collector.simulator import vidicenter
from collector.simulator.export_request import DATA_TYPES, FINEST, OLD_TYPES
from collector.simulator.rules import Rules
from collector.simulator.world import World
from tests.simulator.harness import DATA, PLACE, WHOAMI, export_query, serving

pytestmark = pytest.mark.anyio

PLACES = {"locations": "3024,3035,5315"}
ARGUMENTS = {
    "group_by_demographics": "1",
    "content_ids": "content 8001",
    "average_content_duration": "15",
    "extrapolation_amount": "10",
}
PLAYS = {
    "proof_of_play_by_location",
    "proof_of_play_by_site",
    "proof_of_play_by_location_footfall_faces",
    "proof_of_play_by_site_footfall_faces",
}
ACCEPTED = {
    "group_by_demographics": {"viewers", *PLAYS},
    "content_ids": {"viewers_apc", *PLAYS},
    "average_content_duration": {"im", "im_nobackup", "targeted_im"},
    "extrapolation_amount": {"extrapolated_ots", "extrapolated_watchers"},
}


@pytest.mark.parametrize("argument", ARGUMENTS)
@pytest.mark.parametrize("data_type", DATA_TYPES)
async def test_an_argument_is_accepted_by_its_data_types_alone(data_type: str, argument: str) -> None:
    resolution = "1h" if "1h" in DATA_TYPES[data_type].resolutions else FINEST
    query = export_query(data_type=data_type, time_resolution=resolution, **{argument: ARGUMENTS[argument]})
    if data_type in ACCEPTED["extrapolation_amount"]:
        query["extrapolation_amount"] = "10"
    async with serving() as vendor:
        status, body = await vendor.get(DATA, query)
    assert 200 if data_type in ACCEPTED[argument] else 400 == status
    assert status == body.get("error", 200)


@pytest.mark.parametrize(
    "change",
    [
        {"data_type": "persons"},
        {"data_type": "extrapolated_ots", "time_resolution": "1h"},
        {"data_type": "extrapolated_ots", "time_resolution": "1h", "extrapolation_amount": "ten"},
        {"data_type": "extrapolated_ots", "time_resolution": "1h", "extrapolation_amount": "0"},
        {"data_type": "extrapolated_ots", "time_resolution": "1h", "extrapolation_amount": "2.5"},
        {"data_type": "im", "time_resolution": "1h", "average_content_duration": "0"},
        {"data_type": "im", "time_resolution": "1h", "average_content_duration": "nan"},
        {"data_type": "im", "time_resolution": "1h", "average_content_duration": ""},
    ],
    ids=lambda change: " ".join(f"{name} {value}" for name, value in change.items()),
)
async def test_missing_and_malformed_arguments_are_a_bad_request(change: dict[str, str]) -> None:
    async with serving() as vendor:
        status, body = await vendor.get(DATA, export_query(**change))
    assert (400, 400, {"message", "error"}) == (status, body["error"], body.keys())


async def test_an_extrapolation_is_the_sum_of_the_sample_in_proportion() -> None:
    hour = {**PLACES, "time_resolution": "1h"}
    async with serving() as vendor:
        measured = await vendor.export(data_type="ots", **hour)
        [projected] = await vendor.export(data_type="extrapolated_ots", extrapolation_amount="30", **hour)
        [average] = await vendor.export(data_type="extrapolated_ots", extrapolation_amount="", **hour)
    total = sum(row["ots_count"] for row in measured)
    assert (10 * total, total / 3) == (projected["ots_count"], pytest.approx(average["ots_count"]))
    assert isinstance(projected["ots_count"], int)


@pytest.mark.parametrize("data_type", ["im", "im_nobackup", "targeted_im"])
async def test_the_duration_of_contents_changes_the_multiplier(data_type: str) -> None:
    hour = {"data_type": data_type, "time_resolution": "1h"}
    async with serving() as vendor:
        [default] = await vendor.export(**hour)
        [same] = await vendor.export(average_content_duration="15", **hour)
        [double] = await vendor.export(average_content_duration="30", **hour)
    assert default == same
    assert double["im"] == pytest.approx(2 * default["im"], abs=0.02)
    assert double["im"] > default["im"]


async def test_contents_are_grouped_by_demographics_in_columns() -> None:
    day = {"data_type": "proof_of_play_by_location", "time_resolution": "1d"}
    async with serving() as vendor:
        plain = await vendor.export(**day)
        grouped = await vendor.export(group_by_demographics="1", **day)
    parts = {name for name in grouped[0] if name.startswith("watchers_")} - {"watchers_2sec"}
    assert 9 == len(parts)
    assert all(row["watchers"] == sum(row[part] for part in parts) for row in grouped)
    assert {row["content_id"]: row["watchers"] for row in plain} == {
        row["content_id"]: row["watchers"] for row in grouped
    }


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_data_type_without_licence_is_an_error_of_this_data_type(status: int) -> None:
    async with serving(rules=Rules(unlicensed={"compass": status})) as vendor:
        answer = await vendor.get(DATA, export_query(data_type="compass", time_resolution="1h"))
        assert (status, status) == (answer[0], answer[1]["error"])
        assert 200 == (await vendor.get(DATA, export_query()))[0]
    assert 1 == vendor.vidicenter.started


async def test_a_data_type_without_licence_may_always_fail() -> None:
    query = {"data_type": "im", "time_resolution": "1h"}
    async with serving(rules=Rules(unlicensed={"im": 0})) as vendor:
        for force in ({}, {"force_rebuild": "1"}):
            assert {"state": "started"} == await vendor.request_export(**query, **force)
            vendor.advance_s(5)
            body = await vendor.request_export(**query)
            assert ("failed", True) == (body["state"], bool(body["fail_reason"]))


@pytest.mark.parametrize("data_type", ["footfall", "vehicles", "vehicles_footfall"])
async def test_the_finest_resolution_may_be_refused_for_footfall_and_vehicles(data_type: str) -> None:
    async with serving(rules=Rules(has_finest_footfall=False)) as vendor:
        assert 400 == (await vendor.get(DATA, export_query(data_type=data_type)))[0]
        assert 200 == (await vendor.get(DATA, export_query(data_type=data_type, time_resolution="1h")))[0]
        assert 200 == (await vendor.get(DATA, export_query()))[0]


@pytest.mark.parametrize("value", ["1", "false", ""])
async def test_status_only_is_the_same_export_without_its_data(value: str) -> None:
    async with serving() as vendor:
        assert {"state": "started"} == await vendor.request_export(status_only=value)
        assert "in_progress" == (await vendor.request_export(status_only=value))["state"]
        vendor.advance_s(5)
        body = await vendor.request_export(status_only=value)
        assert ({"state", "creation_date"}, "finished") == (body.keys(), body["state"])
        assert "data" in await vendor.request_export()
        assert {"state": "started"} == await vendor.request_export(status_only=value, force_rebuild="false")
    assert 2 == vendor.vidicenter.started


@pytest.mark.parametrize("rules", [Rules(supports_status_only=False), Rules(has_old_names=True)])
async def test_where_status_only_is_not_known_it_is_another_export(rules: Rules) -> None:
    async with serving(rules=rules) as vendor:
        await vendor.export()
        assert {"state": "started"} == await vendor.request_export(status_only="1")
        vendor.advance_s(5)
        assert "data" in await vendor.request_export(status_only="1")


@pytest.mark.parametrize("data_type", DATA_TYPES)
async def test_the_first_version_offers_its_six_data_types(data_type: str) -> None:
    resolution = "1h" if "1h" in DATA_TYPES[data_type].resolutions else FINEST
    amount = {"extrapolation_amount": "1"} if data_type.startswith("extrapolated") else {}
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        answer = await vendor.get(DATA, export_query(data_type=data_type, time_resolution=resolution, **amount))
    assert (200 if data_type in OLD_TYPES else 400) == answer[0]


@pytest.mark.parametrize(
    ("data_type", "fields"),
    [
        ("viewers", {"watcher_count", "conversion_ratio", "dwell_time", "attention_time"}),
        ("ots", {"ots_count", "watcher_count", "duration"}),
        ("gate", {"gate_id", "in_count", "out_count", "duration"}),
        (
            "proof_of_play_by_location",
            {
                *("content_id", "content_duration", "duration", "estimated_ots"),
                *("impressions", "play_count", "watchers", "watchers_2sec"),
            },
        ),
    ],
)
async def test_the_first_version_has_the_fields_of_its_document(data_type: str, fields: set[str]) -> None:
    async with serving(rules=Rules(has_old_names=True)) as vendor:
        rows = await vendor.export(data_type=data_type, time_resolution="1h")
        grouped = await vendor.get(
            DATA, export_query(data_type=data_type, time_resolution="1h", group_by_demographics="1")
        )
    assert {"location_id", "period_start", *fields} == set().union(*rows)
    assert (200 if data_type == "viewers" else 400) == grouped[0]


async def test_requests_and_bytes_are_counted() -> None:
    async with serving() as vendor:
        sent = 0
        for path, query in ((WHOAMI, {}), (DATA, export_query()), (DATA, {}), (DATA, export_query(locations="1"))):
            async with vendor.client.get(path, params=query, headers={"Authorization": "Basic"}) as response:
                sent += len(await response.read())
        await vendor.export()
    assert (6, 1) == (vendor.vidicenter.calls, vendor.vidicenter.started)
    assert vendor.vidicenter.bytes_sent > sent > 0


async def test_the_oldest_of_too_many_exports_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vidicenter, "MAX_EXPORTS", 3)
    async with serving(world=World(devices=(PLACE,))) as vendor:
        for second in range(6):
            assert {"state": "started"} == await vendor.request_export(end=f"2026-11-06T13:59:0{second}")
            vendor.advance_s(timedelta(hours=1).total_seconds())
        assert "finished" == (await vendor.request_export(end="2026-11-06T13:59:05"))["state"]
        assert {"state": "started"} == await vendor.request_export(end="2026-11-06T13:59:00")
        assert len(vendor.vidicenter._exports) <= 4
