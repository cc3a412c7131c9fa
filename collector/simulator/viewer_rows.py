"""The exports of single viewers of the simulated VidiCenter, with and without the contents that they saw."""

from collector.simulator.aggregated import Row, content_id
from collector.simulator.codes import AGES, GENDERS, MOODS
from collector.simulator.observed import Observed
from collector.simulator.persons import link_time, local_time, persons_of
from collector.simulator.rules import Rules
from collector.simulator.world import Visit


def viewers(observed: Observed) -> list[Row]:
    return [viewer(visit, observed.rules) for visit in observed.visits]


def viewer(visit: Visit, rules: Rules) -> Row:
    names = ("dwell_time", "attention_time")
    if not rules.has_old_names:
        names = ("dwell_time_in_tenths_of_sec", "attention_time_in_tenths_of_sec")
    row: Row = {
        "location_id": visit.device,
        "period_start": local_time(visit.start_ms, rules.zone_of(visit.device)).isoformat(),
        "gender": GENDERS[visit.gender],
        "age": AGES[visit.age],
        "age_value": visit.years + visit.number % 2 / 2 if rules.is_expert else None,
        names[0]: visit.dwell_ms // 100,
        names[1]: visit.attention_ms // 100,
    }
    for code, word in MOODS.items():
        share = 100 * _mood_ms(visit, code) / max(1, visit.dwell_ms)
        row[word] = round(share * 2.55) / 2.55 if rules.is_expert else None
    if rules.has_old_names:
        return row | dict.fromkeys(("glasses", "mustache", "beard"), 1 if rules.is_expert else None)
    return row | _links(visit, rules)


def _links(visit: Visit, rules: Rules) -> Row:
    """The ids of the viewer and of the same person's footfall.

    The viewer's id is a number or a text. One viewer of eight has no ids, another one has no footfall.
    """
    person = next(persons_of(visit))
    if visit.number % 8 == 0:
        return {}
    row: Row = {"vr_id": visit.number if visit.number % 2 else str(visit.number)}
    if not person.is_linked:
        return row | {"footfall_id": 0, "footfall_start": None}
    start = link_time(person.start_ms, rules.zone_of(visit.device), visit.number)
    return row | {"footfall_id": person.vr_id, "footfall_start": start}


def viewers_apc(observed: Observed) -> list[Row]:
    """The viewers to whom a selected content was played, with the contents."""
    rows: list[Row] = []
    for visit in observed.visits:
        if contents := _contents(visit, observed):
            row = viewer(visit, observed.rules)
            rows.append(
                {"start_time" if name == "period_start" else name: value for name, value in row.items()}
                | {"contents": contents}
            )
    return rows


def _contents(visit: Visit, observed: Observed) -> list[Row]:
    rules, selected = observed.rules, observed.request.contents
    names = ("dwell_time", "attention_time")
    if not rules.has_old_names:
        names = ("dwell_time_in_milliseconds", "attention_time_in_milliseconds")
    return [
        {
            "content_id": content_id(movie),
            "campaign_id": f"campaign {movie % 3}" if movie % 3 else None,
            names[0]: ms,
            names[1]: visit.attention_ms,
            **({"app_id": "player"} if rules.has_old_names else {}),
            **{f"{word}_time": _mood_ms(visit, code) if rules.is_expert else None for code, word in MOODS.items()},
        }
        for movie, _, ms in visit.plays
        if selected is None or content_id(movie) in selected
    ]


def _mood_ms(visit: Visit, code: int) -> int:
    return sum(ms for mood, ms in visit.moods if mood == code)
