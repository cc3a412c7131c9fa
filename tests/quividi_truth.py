"""What events must contain of the rows that the simulated VidiCenter exports.

Computed by names and units alone, and not by the collector's tables of types: a field that the vendor sends, and that
is in no list here, is expected in the event under the vendor's name.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from collector.instants import format_ms, to_ms

Row = Mapping[str, Any]
Value = Mapping[str, Any]
Key = tuple[Any, ...]
ZoneOf = Callable[[Row], ZoneInfo]
"""The true zone of a row's place."""

TENTHS_MS, SECOND_MS = 100, 1000
NOT_COMPARED = frozenset(
    {
        *("period_start", "start_time", "period_start_date", "period_start_time"),
        *("very_happy", "happy", "neutral", "unhappy", "very_unhappy"),
        *("glasses", "mustache", "beard", "contents", "visits", "clips", "doorpass"),
    }
)
"""Times, which are compared apart, and what is in another form in events."""
TEXTS = frozenset({"vr_id"})
LINKS = {"footfall": ("footfall_id", "footfall_start"), "watcher": ("watcher_id", "watcher_start")}
NUMBERS = frozenset({"location_id", "site_id"})
SHARES = (
    *("far", "mid_range", "near"),
    *("north", "north_east", "east", "south_east", "south", "south_west", "west", "north_west"),
)
SALES = tuple(f"{age}_{sex}" for age in ("child", "young_adult", "adult", "senior") for sex in ("male", "female"))
OTHER_NAMES = {
    "gender": "gender_code",
    "age": "age_code",
    "age_bracket": "age_code",
    "age_value": "age_years",
    "type": "vehicle_type_code",
    "color": "color_code",
    "conversion_ratio": "conversion_percent",
    "watchers_2sec": "watchers_over_2s",
    "plays": "play_count",
    "ots_count_impressions": "ots_count",
    "nearby_ots_count_impressions": "nearby_ots_count",
    "nb_visits": "visit_count",
    "nb_visits_above_threshold": "visit_count_above_threshold",
    "nb_clips": "clip_count",
    "nb_doorpass": "door_pass_count",
    "product_touches": "touch_count",
    "put_back": "put_back_count",
    "poi_by_passers": "passer_by_count",
    "masked": "estimated_sales_masked",
    **{name: f"{name}_share" for name in SHARES},
    **{name: f"estimated_sales_{name}" for name in SALES},
}
TIMES = {
    "dwell_time": ("dwell_ms", TENTHS_MS),
    "attention_time": ("attention_ms", TENTHS_MS),
    "watcher_dwell_time": ("dwell_ms", TENTHS_MS),
    "watcher_attention_time": ("attention_ms", TENTHS_MS),
    "analysis_window": ("analysis_window_ms", TENTHS_MS),
    "duration": ("duration_ms", SECOND_MS),
    "content_duration": ("content_duration_ms", SECOND_MS),
    "presence_total": ("presence_ms", SECOND_MS),
    "total_dwell_duration": ("dwell_ms", SECOND_MS),
    "total_dwell_above_threshold": ("dwell_above_threshold_ms", SECOND_MS),
    "dwell_threshold": ("dwell_threshold_ms", SECOND_MS),
    "dwell_time_in_milliseconds": ("dwell_ms", 1),
    "attention_time_in_milliseconds": ("attention_ms", 1),
}
OF_ONE_PERSON = {"footfall_presence_ms": "presence_ms", "vehicle_presence_ms": "presence_ms"}
"""Names in the events of types whose rows are all persons, or all vehicles."""
KEYS = (
    *("location_id", "site_id", "selection", "period_start_local"),
    *("content_id", "gate_id", "zone_id", "product", "gender_code", "age_code"),
)
"""The fields that identify an aggregated record within its stream."""

COMMON = frozenset(
    {
        *("event_id", "type", "vendor", "source", "record_id", "revision", "location_id", "site_id", "selection"),
        *("extrapolation_amount", "resolution", "period_start", "period_end", "period_start_local", "utc_offset_s"),
        *("ambiguous", "quality", "gender", "age_group"),
    }
)
"""The fields of aggregated events that are no numbers of their periods."""


def local_start(row: Row) -> datetime:
    """The local start of a row, whatever its form."""
    text = row.get("period_start") or row.get("start_time")
    return datetime.fromisoformat(text or f"{row['period_start_date']}T{row['period_start_time']}")


def timestamp(local: datetime, zone: ZoneInfo) -> str:
    """The first instant with this local time, as events have it."""
    return format_ms(to_ms(local.replace(tzinfo=zone).astimezone(UTC)))


def times_of(local: datetime, zone: ZoneInfo) -> dict[str, object]:
    """The fields of an event that follow from the local start and the zone alone."""
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0) for fold in (0, 1))
    return {"utc_offset_s": int(first.total_seconds()), "ambiguous": second < first}


def fields_of(row: Row, zone: ZoneInfo, stream: str) -> dict[str, Any]:
    """The event's fields that follow from the vendor's fields of a row."""
    found: dict[str, Any] = {}
    for name, (id_name, start_name) in LINKS.items():
        if id_name in row:
            start = row[start_name]
            found[id_name] = None if start is None else str(row[id_name])
            found[f"{name}_started_at"] = None if start is None else timestamp(datetime.fromisoformat(start), zone)
    links = {each for pair in LINKS.values() for each in pair}
    for name, value in row.items():
        if name not in NOT_COMPARED and name not in links:
            field, converted = _converted(name, value)
            found[_renamed(field, stream)] = converted
    return found


def _converted(name: str, value: Any) -> tuple[str, Any]:  # noqa: ANN401 - of JSON
    field, factor = TIMES.get(name, (OTHER_NAMES.get(name, name), 0))
    if name.endswith("_in_tenths_of_sec"):
        field, factor = name.removesuffix("_time_in_tenths_of_sec") + "_ms", TENTHS_MS
    elif name.endswith("_presence_time"):
        field, factor = name.removesuffix("_time") + "_ms", TENTHS_MS
    if value is None:
        return field, None
    if factor:
        return field, round(value * factor)
    if name in TEXTS:
        return field, str(value)
    return field, int(value) if name in NUMBERS else float(value) if name in SHARES else value


def _renamed(field: str, stream: str) -> str:
    if stream in ("footfall", "vehicles", "retail_analytics_footfall"):
        field = OF_ONE_PERSON.get(field, field)
    if stream in ("vehicles", "vehicles_footfall") and field == "vehicle_impressions":
        return "impressions"
    return field


def rounded(value: object) -> object:
    """Numbers as events may have them after arithmetic: the fifth decimal is not compared."""
    return round(value, 4) if isinstance(value, float) else value


def finest_rows(rows: Iterable[Row], stream: str, zone_of: ZoneOf, ignoring: Collection[str] = ()) -> Counter[Key]:
    """How often each row of a finest export occurs, with the fields that its event must have. Without placeholders.

    Fields in `ignoring` are left out.
    """
    found = Counter[Key]()
    for row in rows:
        if len({value for name, value in row.items() if name not in NOT_COMPARED}) == 2:
            continue
        local, zone = local_start(row), zone_of(row)
        fields = fields_of(row, zone, stream) | times_of(local, zone)
        if stream == "vehicles_footfall":
            fields = _of_one_kind(fields)
        fields |= {"started_local": local.isoformat(), "started_at": timestamp(local, zone)}
        found[_sorted({name: value for name, value in fields.items() if name not in ignoring})] += 1
    return found


def _of_one_kind(fields: dict[str, Any]) -> dict[str, Any]:
    """A row that is a person has no fields of a vehicle, and the other way round."""
    if not fields["footfall_presence_ms"]:
        return fields | {"footfall_presence_ms": None, "kind": "vehicle"}
    names = ("vehicle_presence_ms", "vehicle_type_code", "color_code", "impressions", "impressions_per_vehicle")
    return fields | dict.fromkeys(names) | {"kind": "person"}


def _sorted(fields: Mapping[str, Any]) -> Key:
    return tuple(sorted((name, rounded(value)) for name, value in fields.items() if value is not None))


def finest_events(values: Iterable[Value], expected: Counter[Key]) -> Counter[Key]:
    """How often each event occurs, with the same fields as the expected rows. Null and absent are the same."""
    names = {name for key in expected for name, _ in key}
    return Counter(_sorted({name: value[name] for name in names}) for value in values)


def aggregated_rows(rows: Iterable[Row], stream: str, zone_of: ZoneOf) -> dict[Key, Value]:
    """The fields that the newest event of each row of an aggregated export must have, by the key of the record."""
    found: dict[Key, Value] = {}
    for row in rows:
        local, zone = local_start(row), zone_of(row)
        fields = fields_of(row, zone, stream) | times_of(local, zone)
        fields |= {"period_start_local": local.isoformat(), "period_start": timestamp(local, zone)}
        key = tuple(fields.get(name) for name in KEYS)
        assert key not in found, "the vendor sends a row twice"
        found[key] = fields
    return found


def newest(values: Iterable[Value]) -> Iterator[Value]:
    """The newest revision of each record. Fails if a revision is missing, or twice."""
    revisions: dict[str, list[Value]] = {}
    for value in values:
        revisions.setdefault(value["record_id"], []).append(value)
    for each in revisions.values():
        each.sort(key=lambda value: int(value["revision"]))
        assert list(range(len(each))) == [value["revision"] for value in each]
        yield each[-1]


def is_withdrawn(value: Value) -> bool:
    """Whether it is the last revision of a placeholder, after which the vendor sent rows of parts of the period."""
    return value["quality"] == "observed" and all(value[name] is None for name in value.keys() - COMMON)


def aggregated_events(values: Iterable[Value]) -> dict[Key, Value]:
    """The newest event of each record by its key, without the rows that the vendor has withdrawn."""
    return {
        tuple(None if name == "selection" else value.get(name) for name in KEYS): value
        for value in newest(values)
        if not is_withdrawn(value)
    }


def differences(
    expected: Mapping[Key, Value], published: Mapping[Key, Value], ignoring: Collection[str] = ()
) -> list[object]:
    """What the published records lack, and the fields that differ. Other records are no difference."""
    found: list[object] = [("missing", key) for key in expected.keys() - published.keys()]
    for key in expected.keys() & published.keys():
        got = published[key]
        for name, value in expected[key].items():
            if name not in ignoring and rounded(value) != rounded(got[name]):
                found.append((key, name, value, got[name]))
    return found
