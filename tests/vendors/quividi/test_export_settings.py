"""Settings that an export type does not support are errors that name the key."""

import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from collector.alignment import AnySecond, periods
from collector.config import load
from collector.errors import UserError
from collector.vendors.quividi.export_settings import EXPORT_TYPES, AggregatedSettings
from collector.vendors.quividi.export_types import CONTENT_IDS, GROUP_BY_DEMOGRAPHICS, OPTIONS
from collector.vendors.quividi.settings import QuividiSource, Streams
from tests.vendors.quividi.example import PARIS

AIRPORT = """
[sources.airport]
vendor = "quividi"
username = "airport"
token = "t0ken"
timezone = "Europe/Paris"
"""
AGGREGATED = [name for name, kind in EXPORT_TYPES.items() if kind.is_aggregated]
FINEST_PAIRS = (
    *("footfall", "vehicles", "vehicles_footfall", "retail_analytics_footfall"),
    *("pmp_sales_by_demographics", "pmp_sales_funnel"),
)
"""Streams whose exports have aggregates in a stream of their own."""
LOCATIONS, SITES = "locations = [8264]\n", "sites = [178]\n"
REQUIRED = dict.fromkeys(("extrapolated_ots", "extrapolated_watchers"), "extrapolation_amount = 100")
"""The keys that a table must have."""
HOURS_ONLY = ["im", "im_nobackup", "im_ots", "im_ots_nobackup", "targeted_im"]
WATCHED_PLAYS = [
    "proof_of_play_by_location",
    "proof_of_play_by_site",
    "proof_of_play_by_location_footfall_faces",
    "proof_of_play_by_site_footfall_faces",
]
COARSER = '"5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M"'


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLLECTOR__SOURCES__AIRPORT__STREAMS__OTS__ANCHOR", raising=False)


def loaded(folder: Path, stream: str, keys: str = "", places: str = SITES) -> QuividiSource:
    path = folder / "config.toml"
    path.write_text(f"{AIRPORT}{places}[sources.airport.streams.{stream}]\n{keys}\n", "utf-8")
    source = load(path).sources["airport"]
    assert isinstance(source, QuividiSource)
    return source


def error_of(folder: Path, stream: str, keys: str = "", places: str = SITES) -> str:
    with pytest.raises(UserError) as raised:
        loaded(folder, stream, keys, places)
    return str(raised.value)


def test_each_table_has_the_options_of_its_export_type() -> None:
    assert EXPORT_TYPES.keys() <= Streams.model_fields.keys()
    for name, kind in EXPORT_TYPES.items():
        keys = Streams.settings_types()[name].model_fields.keys()
        assert kind.options == keys & set(OPTIONS)
        assert kind.is_aggregated == ("anchor" in keys)


@pytest.mark.parametrize("stream", EXPORT_TYPES)
def test_every_stream_has_a_default_for_every_key(tmp_path: Path, stream: str) -> None:
    source = loaded(tmp_path, stream, REQUIRED.get(stream, ""))
    [(name, settings)] = source.streams.chosen.items()
    [export] = source.streams.exports

    assert (stream, stream) == (name, export.export_type.stream)
    assert ("1h" if EXPORT_TYPES[stream].is_aggregated else "finest") == export.resolution
    assert (timedelta(minutes=45), timedelta(days=7)) == (export.settle, export.allowed_lateness)
    assert timedelta(hours=24) == export.sweep_every
    assert ({"extrapolation_amount": "100"} if stream in REQUIRED else {}) == export.options
    assert AnySecond() == settings.policy(None).alignment
    alignment = periods("1h", date(2018, 1, 1), PARIS)
    assert alignment is settings.policy(None, alignment).alignment


def test_the_default_anchor_is_monday_1_january_2018(tmp_path: Path) -> None:
    [export] = loaded(tmp_path, "ots").streams.exports
    assert isinstance(export, AggregatedSettings)
    assert (date(2018, 1, 1), 0) == (export.anchor, export.anchor.weekday())


def test_a_source_may_have_several_streams(tmp_path: Path) -> None:
    got = loaded(tmp_path, "ots", "[sources.airport.streams.gate]\n[sources.airport.streams.viewers]")

    assert {"ots", "gate", "viewers"} == got.streams.chosen.keys()


@pytest.mark.parametrize("resolution", ["5m", "10m", "15m", "30m", "1h", "1d", "7d", "30d", "1M"])
@pytest.mark.parametrize("stream", [name for name in AGGREGATED if name not in HOURS_ONLY])
def test_aggregates_accept_every_documented_resolution(tmp_path: Path, stream: str, resolution: str) -> None:
    keys = f'resolution = "{resolution}"\n{REQUIRED.get(stream, "")}'
    [export] = loaded(tmp_path, stream, keys).streams.exports
    assert resolution == export.resolution


@pytest.mark.parametrize("stream", HOURS_ONLY)
def test_impression_multipliers_exist_for_hours_only(tmp_path: Path, stream: str) -> None:
    [export] = loaded(tmp_path, stream, 'resolution = "1h"').streams.exports
    assert "1h" == export.resolution
    for resolution in ("5m", "30m", "1d", "1M", "finest"):
        error = error_of(tmp_path, stream, f'resolution = "{resolution}"')
        assert error.startswith(f'sources.airport.streams.{stream}.resolution: expected "1h": ')


@pytest.mark.parametrize(
    ("stream", "resolution", "expected"),
    [
        ("viewers", "1h", 'expected "finest": .*viewers_aggregated'),
        ("viewers_apc", "1d", 'expected "finest": '),
        *((stream, "1h", f'expected "finest": .*{stream}_aggregated') for stream in FINEST_PAIRS),
        ("viewers_aggregated", "finest", f"expected {COARSER}: .*stream viewers"),
        ("ots", "finest", f"expected {COARSER}: "),
        ("gate", "finest", f"expected {COARSER}: "),
        (
            "proof_of_play_by_location",
            "finest",
            f"expected {COARSER}: ",
        ),
        ("ots", "2h", f"expected {COARSER}$"),
        ("ots", "1m", f"expected {COARSER}$"),
        ("viewers", "1m", 'expected "finest"$'),
    ],
)
def test_an_unsupported_resolution_is_rejected(tmp_path: Path, stream: str, resolution: str, expected: str) -> None:
    error = error_of(tmp_path, stream, f'resolution = "{resolution}"')

    assert re.match(rf"sources\.airport\.streams\.{stream}\.resolution: {expected}", error)


@pytest.mark.parametrize("stream", [name for name, kind in EXPORT_TYPES.items() if CONTENT_IDS not in kind.options])
def test_content_ids_are_rejected_where_unsupported(tmp_path: Path, stream: str) -> None:
    error = error_of(tmp_path, stream, 'content_ids = ["a"]')

    assert error.startswith(f"sources.airport.streams.{stream}: content_ids: ")
    assert all(name in error for name in ("viewers_apc", "proof_of_play_by_location", "proof_of_play_by_site"))


@pytest.mark.parametrize(
    "stream", [name for name, each in EXPORT_TYPES.items() if GROUP_BY_DEMOGRAPHICS not in each.options]
)
@pytest.mark.parametrize("given", ["true", "false"])
def test_group_by_demographics_is_rejected_where_unsupported(tmp_path: Path, stream: str, given: str) -> None:
    error = error_of(tmp_path, stream, f"group_by_demographics = {given}")

    assert error.startswith(f"sources.airport.streams.{stream}: group_by_demographics: ")
    assert error.endswith(" and ".join(["viewers_aggregated", *WATCHED_PLAYS]))


def test_watchers_of_contents_may_be_grouped_too(tmp_path: Path) -> None:
    for stream in WATCHED_PLAYS:
        [export] = loaded(tmp_path, stream, 'group_by_demographics = true\ncontent_ids = ["a"]').streams.exports
        assert {"group_by_demographics": "1", "content_ids": "a"} == export.options


@pytest.mark.parametrize(
    ("option", "given", "accepted"),
    [
        ("average_content_duration", '"15s"', ["im", "im_nobackup", "targeted_im"]),
        ("extrapolation_amount", "100", ["extrapolated_ots", "extrapolated_watchers"]),
    ],
)
def test_options_of_some_types_are_rejected_by_all_others(
    tmp_path: Path, option: str, given: str, accepted: list[str]
) -> None:
    for stream in EXPORT_TYPES.keys() - set(accepted):
        keys = f"{option} = {given}\n" + (REQUIRED.get(stream, "") if option != "extrapolation_amount" else "")
        error = error_of(tmp_path, stream, keys)
        assert f"sources.airport.streams.{stream}: {option}: " in error
        assert error.endswith(" and ".join(accepted))


@pytest.mark.parametrize(
    ("given", "expected"), [("100", "100"), ("1", "1"), ('""', "")], ids=["number", "one", "average"]
)
@pytest.mark.parametrize("stream", REQUIRED)
def test_an_extrapolation_is_onto_a_number_of_locations_or_their_average(
    tmp_path: Path, stream: str, given: str, expected: str
) -> None:
    [export] = loaded(tmp_path, stream, f"extrapolation_amount = {given}").streams.exports
    assert {"extrapolation_amount": expected} == export.options


@pytest.mark.parametrize("stream", REQUIRED)
def test_an_extrapolation_needs_an_amount(tmp_path: Path, stream: str) -> None:
    path = f"sources.airport.streams.{stream}.extrapolation_amount"
    assert error_of(tmp_path, stream).startswith(f"{path}: ")
    for given in ("0", "-1", "1.5", '"100"', '"average"', "true"):
        assert error_of(tmp_path, stream, f"extrapolation_amount = {given}").startswith(f"{path}: ")


@pytest.mark.parametrize("stream", REQUIRED)
@pytest.mark.parametrize(
    "places",
    [
        LOCATIONS + SITES,
        "location_tags = [12]\nsite_tags = [3]\n",
        f"locations = {list(range(1_000_000, 1_001_000))}\n",
    ],
    ids=["two selectors", "two kinds of tags", "too many for one request"],
)
def test_an_extrapolation_needs_a_selection_that_fits_into_one_request(
    tmp_path: Path, stream: str, places: str
) -> None:
    error = error_of(tmp_path, stream, REQUIRED[stream], places)

    assert error.startswith(f"sources.airport: streams.{stream} needs a selection that fits into one request")


@pytest.mark.parametrize("given", ['"0s"', "15", '"1w"', '"15"'])
def test_an_invalid_duration_of_contents_is_rejected(tmp_path: Path, given: str) -> None:
    path = "sources.airport.streams.im.average_content_duration"
    assert error_of(tmp_path, "im", f"average_content_duration = {given}").startswith(f"{path}: ")


@pytest.mark.parametrize("stream", [name for name, kind in EXPORT_TYPES.items() if kind.place == "site_id"])
@pytest.mark.parametrize("places", [LOCATIONS, LOCATIONS + SITES, SITES + "location_tags = [12]\n"])
def test_types_by_site_reject_selected_locations(tmp_path: Path, stream: str, places: str) -> None:
    error = error_of(tmp_path, stream, places=places)

    assert error.startswith(f"sources.airport: streams.{stream} needs sites or site_tags alone")


@pytest.mark.parametrize("places", [SITES, "site_tags = [3]\n", SITES + "site_tags = [3]\n"])
def test_proof_of_play_by_site_accepts_sites_and_site_tags(tmp_path: Path, places: str) -> None:
    loaded(tmp_path, "proof_of_play_by_site", places=places)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("[]", "content_ids: expected at least one id; without this key, all contents are selected"),
        ('["a", ""]', "content_ids: expected at least one id; without this key, all contents are selected"),
        ('["a,b"]', "content_ids: expected ids without a comma"),
        ('"a"', "content_ids: expected an array, got a string"),
        ("[1]", "content_ids.0: expected a string, got an integer"),
        (f'["{"é" * 200}"]', "content_ids: expected at most 1000 "),
    ],
)
def test_invalid_content_ids_are_rejected(tmp_path: Path, given: str, expected: str) -> None:
    path = "sources.airport.streams.viewers_apc"
    assert error_of(tmp_path, "viewers_apc", f"content_ids = {given}").startswith(f"{path}.{expected}")


@pytest.mark.parametrize("stream", WATCHED_PLAYS)
def test_content_ids_of_plays_have_no_comma_either(tmp_path: Path, stream: str) -> None:
    path = f"sources.airport.streams.{stream}.content_ids"
    error = error_of(tmp_path, stream, 'content_ids = ["a,b"]')
    assert error.startswith(f"{path}: expected ids without a comma")


def test_options_are_requested_only_if_configured(tmp_path: Path) -> None:
    def options(stream: str, keys: str) -> dict[str, str]:
        [export] = loaded(tmp_path, stream, keys).streams.exports
        return dict(export.options)

    assert {"content_ids": "a,b c"} == options("viewers_apc", 'content_ids = ["b c", "a", "a"]')
    assert {"content_ids": "a"} == options("proof_of_play_by_site", 'content_ids = ["a"]')
    assert {"group_by_demographics": "1"} == options("viewers_aggregated", "group_by_demographics = true")
    assert {} == options("viewers_aggregated", "group_by_demographics = false")
    assert {"average_content_duration": "15"} == options("im", 'average_content_duration = "15s"')
    assert {"average_content_duration": "60"} == options("targeted_im", 'average_content_duration = "1m"')


@pytest.mark.parametrize("given", ['"monday"', "2018", "2018-01-01T00:00:00", "2018-01-01T00:00:00Z", '["2018-01-01"]'])
def test_an_invalid_anchor_is_rejected(tmp_path: Path, given: str) -> None:
    expected = "sources.airport.streams.ots.anchor: expected a date such as 2018-01-01"
    assert expected == error_of(tmp_path, "ots", f"anchor = {given}")


def test_an_anchor_may_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLECTOR__SOURCES__AIRPORT__STREAMS__OTS__ANCHOR", "2018-01-07")
    [export] = loaded(tmp_path, "ots", 'resolution = "7d"').streams.exports
    assert isinstance(export, AggregatedSettings)
    assert date(2018, 1, 7) == export.anchor


def test_an_anchor_of_months_must_exist_in_every_month(tmp_path: Path) -> None:
    expected = "sources.airport.streams.ots: anchor: expected a day up to the 28th, which every month has"

    assert expected == error_of(tmp_path, "ots", 'resolution = "1M"\nanchor = 2018-01-29')
    loaded(tmp_path, "ots", 'resolution = "1M"\nanchor = 2018-01-28')
    loaded(tmp_path, "ots", 'resolution = "7d"\nanchor = 2018-01-29')


def test_all_errors_of_a_table_are_reported_together(tmp_path: Path) -> None:
    error = error_of(tmp_path, "gate", 'anchors = 2018-01-01\nresolution = 5\nsettle = "45"')

    path = "sources.airport.streams.gate"
    assert {
        f"{path}.anchors: unknown key (did you mean anchor?)",
        f"{path}.resolution: expected a string, got an integer",
        f'{path}.settle: expected a duration such as "90s", "15m", "6h" or "3d"',
    } == set(error.splitlines())
