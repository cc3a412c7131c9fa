"""The events of the newer aggregated types, field by field, from invented rows in the documented forms."""

from typing import Any

import msgspec
import pytest

from tests.vendors.quividi.aggregated import DIGEST, aggregates, event_value, events, value
from tests.vendors.quividi.example import ABSENT, finished_export
from tests.vendors.quividi.newer import NEWER, NEWER_OTS, NEWER_PLAY

TEN: dict[str, Any] = {
    "vendor": "quividi",
    "source": "mall",
    "revision": 0,
    "resolution": "1h",
    "period_start": "2018-01-29T09:00:00.000Z",
    "period_end": "2018-01-29T10:00:00.000Z",
    "period_start_local": "2018-01-29T10:00:00",
    "utc_offset_s": 3600,
    "ambiguous": False,
    "quality": "observed",
}
WATCHED: dict[str, Any] = {
    "content_id": "spring/1",
    "content_duration_ms": 118_500,
    "duration_ms": 3_600_000,
    "impressions": 140.0,
    "impressions_per_play": 17.5,
    "play_count": 8,
    "watchers": 12,
    "watchers_over_2s": 7,
    "dwell_ms": 90_500,
    "attention_ms": 24_000,
    "avg_dwell_ms": 7500,
    "avg_attention_ms": 2000,
    "watchers_masked": 1,
    "watchers_child_male": 0,
    "watchers_young_adult_male": 2,
    "watchers_adult_male": 3,
    "watchers_senior_male": 1,
    "watchers_child_female": 1,
    "watchers_young_adult_female": 1,
    "watchers_adult_female": 2,
    "watchers_senior_female": 1,
}
PASSED: dict[str, Any] = {
    "content_id": "spring/1",
    "content_duration_ms": 118_500,
    "duration_ms": 3_600_000,
    "play_count": 8,
    "vehicle_count": 31,
    "vehicle_impressions": 47.0,
    "footfall_impressions": 12.0,
    "total_impressions": 59.0,
    "vehicle_presence_ms": 403_000,
    "footfall_presence_ms": 66_000,
    "total_presence_ms": 670_500,
    "avg_vehicle_presence_ms": 13_000,
    "avg_footfall_presence_ms": 5500,
    "avg_presence_ms": 11_300,
    "total_impressions_per_play": 7.375,
}
IAB: dict[str, Any] = {
    "im": 1.84,
    "im_footfall": 0.64,
    "im_vehicle": 1.2,
    "backup_value": "",
    "active": True,
    "analysis_window_ms": 3_600_000,
    "vehicle_count": 220,
    "vehicle_presence_ms": 2_880_000,
    "footfall_impressions": 410.0,
    "footfall_presence_ms": 2_304_000,
    "vehicle_impressions": 330.0,
    "impressions_per_vehicle": 1.5,
}
BY_OTS: dict[str, Any] = {
    "im": 0.73,
    "backup_value": "",
    "active": True,
    "analysis_window_ms": 3_600_000,
    "ots_count": 96,
    "watcher_count": 31,
    "dwell_ms": 221_000,
    "attention_ms": 64_000,
}
AGES = ("12_17", "18_24", "25_34", "35_44", "45_54", "55_64", "65_plus")
EXPECTED: dict[str, tuple[str, dict[str, Any]]] = {
    "proof_of_play_by_location_footfall_faces": ("/spring%2F1", WATCHED),
    "proof_of_play_by_site_footfall_faces": ("/spring%2F1", WATCHED),
    "proof_of_play_vehicle_person_by_location": ("/spring%2F1", PASSED),
    "proof_of_play_vehicle_person_by_site": ("/spring%2F1", PASSED),
    "content_plays": (
        "/spring%2F1",
        {"content_id": "spring/1", "content_duration_ms": 240_000, "play_count": 16},
    ),
    "footfall_aggregated": ("", {"footfall_impressions": 87.0, "footfall_presence_ms": 912_000}),
    "vehicles_aggregated": (
        "",
        {
            "vehicle_count": 220,
            "vehicle_impressions": 325.5,
            "vehicle_presence_ms": 2_880_000,
            "impressions_per_vehicle": 1.48,
        },
    ),
    "vehicles_footfall_aggregated": (
        "",
        {
            "vehicle_count": 220,
            "vehicle_impressions": 325.5,
            "vehicle_presence_ms": 2_880_000,
            "footfall_impressions": 87.0,
            "footfall_presence_ms": 912_000,
            "total_impressions": 412.5,
            "total_presence_ms": 5_174_400,
            "impressions_per_vehicle": 1.48,
            "avg_presence_ms": 12_500,
        },
    ),
    "im": ("", IAB),
    "im_nobackup": ("", IAB),
    "im_ots": ("", BY_OTS),
    "im_ots_nobackup": ("", BY_OTS),
    "targeted_im": (
        "",
        {
            "im": 2.1,
            "male_total_im": 1.1503,
            "female_total_im": 0.9494,
            **{f"all_age_{ages}_im": 0.3 for ages in AGES},
            **{f"male_age_{ages}_im": 0.1643 for ages in AGES},
            **{f"female_age_{ages}_im": 0.1356 for ages in AGES},
        },
    ),
    "compass": (
        "",
        {
            "location_name": "Hall 3, north door",
            "ots_count": 310,
            "nearby_ots_count": 122,
            "effective_ots_count": 190,
            "presence_ms": 4_012_000,
            "far_share": 0.481,
            "mid_range_share": 0.327,
            "near_share": 0.192,
            "north_share": 0.136,
            "north_east_share": 0.091,
            "east_share": 0.136,
            "south_east_share": 0.182,
            "south_share": 0.091,
            "south_west_share": 0.136,
            "west_share": 0.136,
            "north_west_share": 0.091,
        },
    ),
    "retail_analytics_footfall_aggregated": (
        "/9",
        {
            "zone_id": 9,
            "zone_name": "Till",
            "total_impressions": 340.0,
            "visit_count": 51,
            "visit_count_above_threshold": 20,
            "dwell_ms": 811_400,
            "dwell_above_threshold_ms": 602_250,
            "dwell_threshold_ms": 10_000,
        },
    ),
    "pmp_sales_by_demographics_aggregated": (
        "/Mint%20tea%2C%2020%20bags",
        {
            "product": "Mint tea, 20 bags",
            "touch_count": 14,
            "put_back_count": 5,
            "estimated_sales": 9.0,
            "estimated_sales_adult_female": 3.0,
            "estimated_sales_adult_male": 2.0,
            "estimated_sales_child_female": 0.0,
            "estimated_sales_child_male": 0.0,
            "estimated_sales_senior_female": 1.0,
            "estimated_sales_senior_male": 0.0,
            "estimated_sales_young_adult_female": 2.0,
            "estimated_sales_young_adult_male": 1.0,
            "estimated_sales_masked": 0.0,
        },
    ),
    "pmp_sales_funnel_aggregated": (
        "/2-3",
        {
            "gender": "female",
            "gender_code": 2,
            "age_group": "adult",
            "age_code": 3,
            "touch_count": 6,
            "put_back_count": 2,
            "estimated_sales": 4.0,
            "dwell_ms": 132_000,
            "attention_ms": 41_000,
            "watcher_count": 11,
            "passer_by_count": None,
        },
    ),
}
SELECTED = {"selection": "0f1e2d3c4b5a6978", "extrapolation_amount": 100}
EXTRAPOLATED: dict[str, dict[str, Any]] = {
    "extrapolated_ots": {"ots_count": 48_210.0, "watcher_count": 11_050.0, "duration_ms": 3_600_000},
    "extrapolated_watchers": {"watcher_count": 11_050.0, "dwell_ms": 81_230_000, "attention_ms": 20_170_000},
}


def test_every_newer_type_is_here() -> None:
    assert NEWER.keys() == EXPECTED.keys() | EXTRAPOLATED.keys()


@pytest.mark.parametrize("stream", EXPECTED)
def test_a_row_becomes_this_event(stream: str) -> None:
    more, fields = EXPECTED[stream]
    place, number = ("site", 340) if "_by_site" in stream else ("location", 5120)
    event = events(aggregates(stream), NEWER[stream])[0]

    identity = {
        "event_id": f"{DIGEST}/{stream}/0",
        "type": f"quividi.{stream}.v1",
        "record_id": f"quividi/acme/{stream}/{number}/2018-01-29T10:00:00/1h{more}",
        f"{place}_id": number,
    }
    assert {**identity, **TEN, **fields} == value(event)
    assert (f"quividi.{stream}", f"quividi.{stream}.v1") == (event.type.topic, event.type.name)
    assert (str(number), f"{place}/{number}/{stream}/2018-01-29T10:00:00/1h{more}") == (event.key, event.subject)


@pytest.mark.parametrize("stream", EXTRAPOLATED)
def test_an_extrapolation_is_about_the_selection_of_the_account(stream: str) -> None:
    event = events(aggregates(stream), NEWER[stream])[0]

    name = f"{stream}/0f1e2d3c4b5a6978/2018-01-29T10:00:00/1h/extrapolation_amount=100"
    identity = {
        "event_id": f"{DIGEST}/{stream}/0",
        "type": f"quividi.{stream}.v1",
        "record_id": f"quividi/acme/{name}",
        **SELECTED,
    }
    assert {**identity, **TEN, "quality": "extrapolated", **EXTRAPOLATED[stream]} == value(event)
    assert ("user/acme", f"user/acme/{name}") == (event.key, event.subject)


def test_newer_rows_of_plays_have_the_same_values_as_those_of_the_newer_types() -> None:
    for place in ("location", "site"):
        stream = f"proof_of_play_by_{place}"
        row = {name: each for name, each in NEWER_PLAY.items() if name != "location_id"} | {f"{place}_id": 340}
        [event] = events(aggregates(stream), finished_export(msgspec.json.encode(row)))
        got = value(event)
        assert {**WATCHED, "estimated_ots": None} == {name: got[name] for name in [*WATCHED, "estimated_ots"]}


def test_newer_rows_of_ots_have_a_status_and_an_effective_count() -> None:
    [event] = events(aggregates("ots"), finished_export(msgspec.json.encode(NEWER_OTS)))
    got = value(event)
    assert (88, 20, 61, "running") == tuple(
        got[name] for name in ("ots_count", "watcher_count", "effective_ots_count", "status")
    )


@pytest.mark.parametrize(
    ("status", "expected"),
    [("", None), (3, "3"), (3.0, "3"), (1.5, "1.5"), (None, None), (ABSENT, None), ("in use", "in use")],
)
def test_a_status_is_text_whatever_the_vendor_writes(status: object, expected: str | None) -> None:
    assert expected == event_value("ots", status=status)["status"]


@pytest.mark.parametrize(
    ("stream", "older", "field"),
    [
        ("compass", {"ots_count_impressions": ABSENT, "ots_count": 310}, "ots_count"),
        ("content_plays", {"plays": ABSENT, "play_count": 16}, "play_count"),
        ("footfall_aggregated", {"footfall_impressions": ABSENT, "person_count": 87}, "footfall_impressions"),
        ("footfall_aggregated", {"footfall_presence_time": ABSENT, "dwell_time": 9120}, "footfall_presence_ms"),
        ("vehicles_aggregated", {"vehicle_impressions": ABSENT, "impressions": 325.5}, "vehicle_impressions"),
        ("vehicles_aggregated", {"vehicle_presence_time": ABSENT, "dwell_time": 28800}, "vehicle_presence_ms"),
        (
            "vehicles_footfall_aggregated",
            {"footfall_impressions": ABSENT, "person_count": 87},
            "footfall_impressions",
        ),
        *(
            (
                "proof_of_play_by_location_footfall_faces",
                {f"{what}_time_in_tenths_of_sec": ABSENT, name: number},
                f"{what}_ms",
            )
            for what, tenths in (("dwell", 905), ("attention", 240))
            for name, number in (
                (f"total_{what}_time_in_tenths_of_sec", tenths),
                (f"total_{what}_time", tenths / 10),
            )
        ),
    ],
)
def test_earlier_names_of_a_field_mean_the_same(stream: str, older: dict[str, object], field: str) -> None:
    assert event_value(stream)[field] == event_value(stream, **older)[field]


def test_the_newest_name_has_precedence() -> None:
    assert 310 == event_value("compass", ots_count=5)["ots_count"]
    assert 16 == event_value("content_plays", play_count=5)["play_count"]
    both = {"dwell_time_in_tenths_of_sec": 0, "total_dwell_time": 5}
    assert 0 == event_value("proof_of_play_by_location_footfall_faces", **both)["dwell_ms"]


def test_rows_of_im_ots_may_have_the_fields_that_were_documented_first() -> None:
    _, older = (value(event) for event in events(aggregates("im_ots"), NEWER["im_ots"]))

    assert (1.84, 3_600_000) == (older["im"], older["analysis_window_ms"])
    assert [None] * 4 == [older[name] for name in ("ots_count", "watcher_count", "dwell_ms", "attention_ms")]
