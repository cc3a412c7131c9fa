"""Forms of values in aggregates: what is null, what is malformed, what is compared, and field lists of versions."""

import msgspec
import pytest
from msgspec import structs

from collector.model import Record
from collector.vendors.leniency import numbers_fingerprint
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests.vendors.quividi.aggregated import (
    YEAR,
    aggregates,
    event_value,
    record,
    reject,
    row,
    value_and_ignored,
    value_of,
)
from tests.vendors.quividi.newer import NEWER_OTS, NEWER_PLAY


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.481", 0.481),
        ("0.1", 0.1),
        ("1", 1.0),
        ("1.000", 1.0),
        ("-", None),
        (None, None),
        (0.25, 0.25),
        (1, 1.0),
        ("1.002", 1.002),
        ("-0.0", 0.0),
    ],
)
def test_a_share_is_a_decimal_text_or_a_number(given: object, expected: float | None) -> None:
    got, ignored = value_and_ignored("compass", near=given)

    assert expected == got["near_share"]
    assert not ignored


@pytest.mark.parametrize("given", ["", "half", "NaN", "Infinity", "-0.5", "38.0%", "1e99", "9" * 5000, True, []])
def test_a_share_that_is_no_number_is_null_and_counted(given: object) -> None:
    got, ignored = value_and_ignored("compass", near=given)

    assert (None, {"near": 1}) == (got["near_share"], ignored)


def test_shares_that_do_not_add_up_are_passed_on() -> None:
    got = event_value("compass", far="0.333", mid_range="0.333", near="0.332")

    assert [0.333, 0.333, 0.332] == [got[f"{name}_share"] for name in ("far", "mid_range", "near")]


@pytest.mark.parametrize(
    ("stream", "changes"),
    [
        ("vehicles_footfall_aggregated", {"total_impressions": 545.5, "avg_presence_time": 124}),
        ("vehicles_footfall_aggregated", {"impressions_per_vehicle": 9}),
        ("targeted_im", {"male_total_im": 1.1504, "female_total_im": 1.2}),
        ("pmp_sales_by_demographics_aggregated", {"estimated_sales": 12, "masked": 7}),
        ("proof_of_play_by_location_footfall_faces", {"watchers_masked": 40, "avg_dwell_time_in_tenths_of_sec": 1}),
    ],
)
def test_totals_that_do_not_add_up_are_passed_on(stream: str, changes: dict[str, float]) -> None:
    got, ignored = value_and_ignored(stream, **changes)

    fields = {name: metric for metric in EXPORT_TYPES[stream].metrics for name in metric.wire_names}
    assert {fields[name].name: fields[name].unit.convert(each) for name, each in changes.items()} == {
        fields[name].name: got[fields[name].name] for name in changes
    }
    assert not ignored


@pytest.mark.parametrize(
    ("stream", "field", "name"),
    [
        ("retail_analytics_footfall_aggregated", "nb_visits_above_threshold", "visit_count_above_threshold"),
        ("im", "vehicle_count", "vehicle_count"),
        ("compass", "nearby_ots_count_impressions", "nearby_ots_count"),
        ("proof_of_play_by_location", "watchers_masked", "watchers_masked"),
        ("ots", "effective_ots_count", "effective_ots_count"),
    ],
)
def test_a_count_is_an_integer_and_a_fraction_of_a_person_is_null(stream: str, field: str, name: str) -> None:
    assert (7, {}) == (value_and_ignored(stream, **{field: 7.0})[0][name], value_and_ignored(stream, **{field: 7.0})[1])
    got, ignored = value_and_ignored(stream, **{field: 7.5})
    assert (None, {field: 1}) == (got[name], ignored)


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        ("retail_analytics_footfall_aggregated", "nb_visits"),
        ("content_plays", "plays"),
        ("vehicles_aggregated", "vehicle_count"),
        ("compass", "ots_count_impressions"),
        ("pmp_sales_funnel_aggregated", "product_touches"),
    ],
)
def test_a_main_count_with_a_fraction_is_malformed(stream: str, field: str) -> None:
    assert f"$.{field}" in reject(aggregates(stream), row(stream, **{field: 7.5})).error
    assert isinstance(record(aggregates(stream), row(stream, **{field: 7.0})), Record)


@pytest.mark.parametrize(
    ("stream", "field", "name"),
    [
        ("vehicles_aggregated", "vehicle_impressions", "vehicle_impressions"),
        ("extrapolated_ots", "ots_count", "ots_count"),
        ("extrapolated_watchers", "watcher_count", "watcher_count"),
        ("footfall_aggregated", "footfall_impressions", "footfall_impressions"),
        ("pmp_sales_funnel_aggregated", "estimated_sales", "estimated_sales"),
    ],
)
def test_an_estimate_may_be_a_fraction(stream: str, field: str, name: str) -> None:
    assert 7.5 == event_value(stream, **{field: 7.5})[name]
    assert b'"7"' not in msgspec.json.encode(event_value(stream, **{field: 7}))


def test_more_put_back_than_touched_is_a_negative_sale() -> None:
    assert -2.0 == event_value("pmp_sales_funnel_aggregated", put_back=8, estimated_sales=-2)["estimated_sales"]


@pytest.mark.parametrize(("stream", "place"), [("ots", "location_id"), ("proof_of_play_by_site", "site_id")])
def test_an_id_of_a_place_may_be_a_text_of_digits(stream: str, place: str) -> None:
    rows = aggregates(stream)
    number, text = (record(rows, row(stream, **{place: each})) for each in (5120, "5120"))

    assert number == text
    assert 5120 == value_of(rows, row(stream, **{place: "5120"}))[place]
    assert "5120" == reject(rows, row(stream, **{place: "5120"}, period_start="never")).key


def test_fingerprints_of_newer_types_have_the_decimals_of_multipliers() -> None:
    rows = aggregates("targeted_im")
    one, other = (record(rows, row("targeted_im", male_total_im=each)) for each in (1.1503, 1.1504))
    assert one.fingerprint != other.fingerprint

    older = aggregates("proof_of_play_by_location")
    one, other = (record(older, row("proof_of_play_by_location", impressions=each)) for each in (1.1503, 1.1504))
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("stream", ["ots", "proof_of_play_by_location", "proof_of_play_by_site"])
def test_former_returns_a_record_without_the_metrics_that_were_added(stream: str) -> None:
    rows = aggregates(stream)
    added = {
        "ots": NEWER_OTS,
        "proof_of_play_by_location": NEWER_PLAY,
        "proof_of_play_by_site": NEWER_PLAY | {"site_id": 178},
    }[stream]
    one = record(rows, msgspec.json.encode(added))
    assert rows.former is not None
    before = rows.former(one)
    former_count = {"ots": 3}.get(stream, 7)

    assert 3 == rows.fields_version
    assert numbers_fingerprint(one.payload.metrics[:former_count]) == before.fingerprint != one.fingerprint
    assert one == structs.replace(before, fingerprint=one.fingerprint)


def test_a_withdrawn_placeholder_has_the_former_fingerprint_too() -> None:
    stream = "proof_of_play_by_location"
    rows = aggregates(stream)
    [withdrawal] = [each for each in rows.read([row(stream)], *YEAR) if isinstance(each, Record) and each.only_if_known]
    assert rows.former is not None
    assert numbers_fingerprint([None] * 7, "withdrawn") == rows.former(withdrawal).fingerprint


def test_only_the_types_that_got_metrics_have_a_new_version_of_the_field_lists() -> None:
    versions = {name: kind.fields_version for name, kind in EXPORT_TYPES.items() if kind.is_aggregated}

    assert {name for name, version in versions.items() if version == 3} == {
        "ots",
        "proof_of_play_by_location",
        "proof_of_play_by_site",
    }
    assert {name for name, version in versions.items() if version == 2} == {"viewers_aggregated", "gate"}
