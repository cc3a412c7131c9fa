"""The impression multipliers (IM) of the simulated VidiCenter.

An IM is the presence of people divided by the analysis window. The window depends on the average duration of contents;
how is not documented and invented here: the documented default leads to one hour.

At night, a measured IM of zero is replaced by a backup, which is the same in the like hours of all weeks. The exports
whose names end in `_nobackup` do not contain it.
"""

from collections.abc import Sequence
from random import Random

from collector.simulator.aggregated import Row, attention_of, dwell_of, ots_of
from collector.simulator.export_request import DEFAULT_CONTENT_S
from collector.simulator.observed import Observed
from collector.simulator.traffic import factored, presence_of, time_of
from collector.simulator.world import Visit

HOUR_IN_TENTHS = 36_000
NIGHT_HOURS = range(6)
"""The hours of the day in which backups occur."""
BANDS = {"12_17": 12, "18_24": 18, "25_34": 25, "35_44": 35, "45_54": 45, "55_64": 55, "65_plus": 65}
"""The youngest age of each band. Younger viewers are in the first band."""


def im(observed: Observed) -> list[Row]:
    backup = _backup(observed)
    return [_measured_im(observed) if backup is None else _im(observed, *backup, "yes")]


def im_nobackup(observed: Observed) -> list[Row]:
    return [_measured_im(observed)]


def im_ots(observed: Observed) -> list[Row]:
    backup = _backup(observed)
    if backup is None:
        return [_measured_im_ots(observed)]
    count, time = backup
    return [_im_ots(observed, 2 * count, count, time, time // 2, "yes")]


def im_ots_nobackup(observed: Observed) -> list[Row]:
    return [_measured_im_ots(observed)]


def targeted_im(observed: Observed) -> list[Row]:
    """The IM of the viewers, and its parts by gender and age. Viewers of unknown gender count alternately as each."""
    window = _window(observed)
    groups: dict[tuple[str, str], list[Visit]] = {(gender, band): [] for gender in ("male", "female") for band in BANDS}
    for visit in observed.visits:
        gender = visit.number % 2 if visit.gender is None else visit.gender
        groups["male" if gender else "female", _band(visit.years)].append(visit)

    def share(people: Sequence[Visit]) -> float:
        return round(dwell_of(people) / window, 4)

    row: Row = {"im": share(observed.visits)}
    for sex in ("male", "female"):
        row[f"{sex}_total_im"] = round(sum(share(groups[sex, band]) for band in BANDS), 4)
        row |= {f"{sex}_age_{band}_im": share(groups[sex, band]) for band in BANDS}
    return [row | {f"all_age_{band}_im": share(groups["male", band] + groups["female", band]) for band in BANDS}]


def _measured_im(observed: Observed) -> Row:
    return _im(observed, len(observed.persons), presence_of(observed.persons), "")


def _im(observed: Observed, persons: int, footfall_time: int, backup_value: str) -> Row:
    window, vehicles = _window(observed), len(observed.vehicles)
    persons_time, impressions = time_of(observed.vehicles, per_person=True), factored(observed.vehicles)
    return {
        "im": round((footfall_time + persons_time) / window, 2),
        "im_footfall": round(footfall_time / window, 2),
        "im_vehicle": round(persons_time / window, 2),
        "backup_value": backup_value,
        "active": _is_active(observed),
        "analysis_window": window,
        "vehicle_count": vehicles,
        "vehicle_presence_time": time_of(observed.vehicles),
        "footfall_impressions": persons,
        "footfall_presence_time": footfall_time,
        "vehicle_impressions": round(impressions),
        "impressions_per_vehicle": impressions / max(1, vehicles),
    }


def _measured_im_ots(observed: Observed) -> Row:
    people = observed.visits
    return _im_ots(observed, ots_of(people), len(people), dwell_of(people), attention_of(people), "")


def _im_ots(
    observed: Observed, opportunities: int, watchers: int, dwell: int, attention: int, backup_value: str
) -> Row:
    """The formula is not documented: here, everyone who could see stays as long as the average watcher."""
    return {
        "im": round(opportunities * dwell / max(1, watchers) / HOUR_IN_TENTHS, 4),
        "backup_value": backup_value,
        "active": _is_active(observed),
        "analysis_window": HOUR_IN_TENTHS,
        "ots_count": opportunities,
        "watcher_count": watchers,
        "watcher_dwell_time": dwell,
        "watcher_attention_time": attention,
    }


def _is_active(observed: Observed) -> bool:
    return observed.place not in observed.rules.inactive


def _backup(observed: Observed) -> tuple[int, int] | None:
    """Number and presence of the people, in tenths of a second, that replace those of an hour; None without need."""
    if observed.visits or not observed.has_data or observed.start.hour not in NIGHT_HOURS:
        return None
    like_hour = f"{observed.start.weekday()}/{observed.start.hour}"
    random = Random(f"{observed.seed}/{observed.place}/backup/{like_hour}")
    count = random.randrange(1, 6)
    return count, count * random.randrange(200, 900)


def _window(observed: Observed) -> int:
    """The analysis window in tenths of a second."""
    return max(1, round(HOUR_IN_TENTHS * DEFAULT_CONTENT_S / observed.request.content_s))


def _band(years: int) -> str:
    return [band for band, youngest in BANDS.items() if youngest <= max(years, 12)][-1]
