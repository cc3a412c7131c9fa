"""Attributes and qualities of aggregates: what is a revision, and what is not."""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from collector.model import Record
from collector.vendors.quividi.aggregates import Aggregates
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from tests.vendors.quividi.aggregated import (
    DIGEST,
    aggregates,
    event_value,
    found,
    record,
    row,
    value,
    value_and_ignored,
)
from tests.vendors.quividi.example import ABSENT, finished_export

MULTIPLIERS = ("im", "im_nobackup", "im_ots", "im_ots_nobackup")


@pytest.mark.parametrize(
    ("stream", "field", "given"),
    [
        *((stream, "active", False) for stream in MULTIPLIERS),
        ("compass", "location_name", "Hall 4"),
        ("retail_analytics_footfall_aggregated", "zone_name", "Tills"),
    ],
)
def test_what_tells_how_something_is_now_is_published_but_is_no_revision(
    stream: str, field: str, given: object
) -> None:
    rows = aggregates(stream)
    for changed in (given, None, ABSENT):
        assert record(rows, row(stream)).fingerprint == record(rows, row(stream, **{field: changed})).fingerprint
    assert given == event_value(stream, **{field: given})[field]
    assert None is event_value(stream, **{field: ABSENT})[field]


@pytest.mark.parametrize(
    ("stream", "field", "given"),
    [
        *((stream, "backup_value", "yes") for stream in MULTIPLIERS),
        ("retail_analytics_footfall_aggregated", "dwell_threshold", 12.0),
        ("ots", "status", "stopped"),
    ],
)
def test_an_attribute_on_which_the_numbers_depend_is_a_revision(stream: str, field: str, given: object) -> None:
    rows = aggregates(stream)
    one, other = record(rows, row(stream)), record(rows, row(stream, **{field: given}))

    assert one.key == other.key
    assert one.fingerprint != other.fingerprint


@pytest.mark.parametrize("stream", MULTIPLIERS)
def test_an_imputed_multiplier_is_marked_and_the_measured_one_is_a_revision_of_it(stream: str) -> None:
    rows = aggregates(stream)
    imputed, measured = (record(rows, row(stream, backup_value=each)) for each in ("yes", ""))

    assert ("imputed", "observed") == (imputed.payload.quality, measured.payload.quality)
    assert imputed.key == measured.key
    assert imputed.fingerprint != measured.fingerprint


@pytest.mark.parametrize(
    ("given", "quality", "published", "is_counted"),
    [
        ("yes", "imputed", "yes", False),
        ("", "observed", "", False),
        (None, "observed", None, False),
        (ABSENT, "observed", None, False),
        ("no", "observed", "no", True),
        ("YES", "observed", "YES", True),
        (True, "observed", None, True),
    ],
)
def test_any_other_backup_value_is_kept_and_counted(
    given: object, quality: str, published: str | None, *, is_counted: bool
) -> None:
    got, ignored = value_and_ignored("im", backup_value=given)

    assert (quality, published) == (got["quality"], got["backup_value"])
    assert ({"backup_value": 1} if is_counted else {}) == ignored


@pytest.mark.parametrize("stream", [*MULTIPLIERS, "compass", "retail_analytics_footfall_aggregated"])
def test_attributes_do_not_make_a_placeholder_data(stream: str) -> None:
    metrics = {name: None for metric in EXPORT_TYPES[stream].metrics for name in metric.wire_names}

    got = event_value(stream, **metrics, **({"backup_value": "yes"} if stream in MULTIPLIERS else {}))
    assert "no_data" == got["quality"]


@pytest.mark.parametrize("stream", ["extrapolated_ots", "extrapolated_watchers"])
def test_an_extrapolation_without_numbers_has_no_data(stream: str) -> None:
    metrics = {name: None for metric in EXPORT_TYPES[stream].metrics for name in metric.wire_names}

    assert ("extrapolated", "no_data") == (event_value(stream)["quality"], event_value(stream, **metrics)["quality"])


def repeated(rows: Aggregates, stream: str, *changes: Mapping[str, object]) -> dict[str, Any]:
    """The event of the rows of the hour that the change to winter time repeats, which is the same in any order."""
    values = []
    for raw in permutations(row(stream, period_start="2018-10-28 02:00:00", **each) for each in changes):
        [one] = found(rows, finished_export(*raw))
        assert isinstance(one, Record)
        [event] = rows.explode(one, DIGEST, 0, "acme")
        values.append(value(event))
    assert all(values[0] == each for each in values)
    return values[0]


@pytest.mark.parametrize(
    ("backups", "expected"),
    [
        (("yes", "yes"), ("yes", "imputed")),
        (("", "yes"), (None, "imputed")),
        (("", ""), ("", "observed")),
        (("", None), ("", "observed")),
    ],
)
def test_attributes_of_two_passes_are_never_added(
    backups: tuple[str | None, str | None], expected: tuple[str | None, str]
) -> None:
    got = repeated(aggregates("im"), "im", *({"backup_value": each} for each in backups))

    assert expected == (got["backup_value"], got["quality"])
    assert (440, 1.84, 1.5) == (got["vehicle_count"], got["im"], got["impressions_per_vehicle"])


def test_a_threshold_of_two_passes_is_that_of_both_or_unknown() -> None:
    stream = "retail_analytics_footfall_aggregated"
    for thresholds, expected in (((10.0, 10.0), 10_000), ((10.0, 12.0), None)):
        got = repeated(aggregates(stream), stream, *({"dwell_threshold": each} for each in thresholds))
        assert (expected, 102) == (got["dwell_threshold_ms"], got["visit_count"])
