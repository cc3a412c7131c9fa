"""What the simulated VidiCenter exports: a pure function of the request and of when the export starts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from msgspec import Struct

from collector.simulator.aggregated import Row
from collector.simulator.export_request import (
    AMOUNT,
    DATA_TYPES,
    FINEST,
    WITHOUT_PLACE,
    ExportRequest,
    is_by_site,
    parse,
)
from collector.simulator.observed import Observed
from collector.simulator.periods import floor, periods
from collector.simulator.persons import MAX_LEAD_MS, Person, local_time, persons_of
from collector.simulator.rows import rows_of
from collector.simulator.rules import Rules
from collector.simulator.tags import LOCATION_TAGS, SITE_TAGS
from collector.simulator.upload_times import complete_until_ms, uploaded_ms
from collector.simulator.vehicles import Vehicle, vehicles_in_minute
from collector.simulator.world import MINUTE_MS, Visit, World

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DISTANT_MS = 2**53
"""A time at which everything is uploaded."""
WITH_PERSONS = frozenset(
    {
        *("footfall", "vehicles_footfall", "im", "im_nobackup", "compass"),
        *("retail_analytics_footfall", "retail_analytics_footfall_aggregated"),
        *("proof_of_play_vehicle_person_by_location", "proof_of_play_vehicle_person_by_site"),
    }
)
"""The exports that are made of persons."""
WITH_VEHICLES = frozenset(
    {
        *("vehicles", "vehicles_footfall", "im", "im_nobackup"),
        *("proof_of_play_by_location_footfall_faces", "proof_of_play_by_site_footfall_faces"),
        *("proof_of_play_vehicle_person_by_location", "proof_of_play_vehicle_person_by_site"),
    }
)
"""The exports that are made of vehicles."""
Item = Visit | Person | Vehicle


class Exports(Struct, frozen=True):
    """The rows of all exports."""

    world: World
    rules: Rules

    def rows(self, request: ExportRequest, now_ms: int) -> Iterator[Row]:
        """Yield the rows of an export that starts at this time, ordered by place and period."""
        for identifier, places in self._places(request, now_ms).items():
            observe = self._window if request.resolution == FINEST else self._periods
            for observed in observe(request, identifier, places, now_ms):
                yield from rows_of(observed)

    def expected_rows(
        self, data_type: str, resolution: str, first_ms: int, last_ms: int, options: Mapping[str, str]
    ) -> list[Row]:
        """The rows of all places once everything is uploaded.

        Contains what starts in `[first_ms, last_ms)`, and the periods that overlap it, in the local time of each place.
        `options` are further arguments.
        """
        query = {"data_type": data_type, "time_resolution": resolution, **options}
        if AMOUNT in DATA_TYPES[data_type].arguments:
            query.setdefault(AMOUNT, "")
        rows: list[Row] = []
        for zone, places in self._by_zone(data_type).items():
            first, last = (local_time(unix_ms, ZoneInfo(zone)) for unix_ms in (first_ms, last_ms - 1))
            window = {"start": first.isoformat(), "end": last.isoformat(), "locations": ",".join(map(str, places))}
            rows += self.rows(parse(query | window, self.rules), DISTANT_MS)
        return rows

    def unix_ms(self, local: datetime, place: int) -> tuple[int, int]:
        """The first and the last instant with this local time, or around it where clocks skip it.

        Raises OverflowError or ValueError for a time outside the calendar in UTC.
        """
        zone = self.rules.zone_of(place)
        instants = [(local.replace(tzinfo=zone, fold=fold) - UNIX_EPOCH).total_seconds() for fold in (0, 1)]
        return int(min(instants)) * 1000, int(max(instants)) * 1000

    def owned(self, now_ms: int) -> dict[str, set[int]]:
        """The ids that a request may select, by selector."""
        places = self._existing(now_ms)
        return {
            "locations": set(places),
            "sites": {place // 10 for place in places},
            "site_tags": {tag.id for tag in SITE_TAGS},
            "location_tags": {tag.id for tag in LOCATION_TAGS},
        }

    def _existing(self, now_ms: int) -> list[int]:
        return [place for place in self.world.devices if self.rules.appears_ms.get(place, now_ms) <= now_ms]

    def _by_zone(self, data_type: str) -> dict[str, list[int]]:
        places_of: dict[str, list[int]] = {}
        for place in self.world.devices:
            zone = self.rules.zone if data_type in WITHOUT_PLACE else self.rules.zone_of(place).key
            places_of.setdefault(zone, []).append(place)
        return places_of

    def _places(self, request: ExportRequest, now_ms: int) -> dict[int, list[int]]:
        """The selected locations that exist, by the location or site that rows are about."""
        places_of: dict[int, list[int]] = {}
        for place in self._existing(now_ms):
            if any(is_selected(place, name, ids) for name, ids in request.ids.items()):
                identifier = place // 10 if is_by_site(request.data_type) else place
                places_of.setdefault(0 if request.data_type in WITHOUT_PLACE else identifier, []).append(place)
        return places_of

    def _window(
        self, request: ExportRequest, identifier: int, places: Sequence[int], now_ms: int
    ) -> Iterator[Observed]:
        """What was seen in the window."""
        items = [
            item
            for place in places
            for item, start in self._items(request, place, now_ms)
            if start < request.last or self.rules.end_is_inclusive
        ]
        yield self._observed(request, identifier, places, request.first, request.last, items)

    def _periods(
        self, request: ExportRequest, identifier: int, places: Sequence[int], now_ms: int
    ) -> Iterator[Observed]:
        """What was seen in each period."""
        items_of: dict[datetime, list[Item]] = {}
        for place in places:
            for item, start in self._items(request, place, now_ms):
                items_of.setdefault(floor(request.resolution, start), []).append(item)
        for start, end in periods(request.resolution, request.first, request.last):
            items = items_of.get(start, [])
            has_data = bool(items) or any(self._is_complete(place, end, now_ms) for place in places)
            yield self._observed(request, identifier, places, start, end, items, has_data=has_data)

    def _is_complete(self, place: int, end: datetime, now_ms: int) -> bool:
        """Whether the time before `end` is uploaded. Nothing ever is by a place without visits."""
        end_ms, _ = self.unix_ms(end, place)
        if self.world.rate <= 0 or end_ms <= self.rules.appears_ms.get(place, end_ms - 1):
            return False
        return end_ms <= complete_until_ms(self.world, self.rules, place, now_ms)

    def _observed(
        self,
        request: ExportRequest,
        identifier: int,
        places: Sequence[int],
        start: datetime,
        end: datetime,
        items: Iterable[Item],
        *,
        has_data: bool = True,
    ) -> Observed:
        visits: list[Visit] = []
        persons: list[Person] = []
        vehicles: list[Vehicle] = []
        for item in items:
            match item:
                case Visit():
                    visits.append(item)
                case Person():
                    persons.append(item)
                case Vehicle():
                    vehicles.append(item)
        period_s = int((end - start).total_seconds())
        return Observed(
            self.world.seed,
            self.rules,
            request,
            identifier,
            places,
            start,
            period_s,
            has_data,
            visits,
            persons,
            vehicles,
        )

    def _items(self, request: ExportRequest, place: int, now_ms: int) -> Iterator[tuple[Item, datetime]]:
        """What is uploaded and starts in the window, including its last second; each with its local start."""
        (first_ms, _), (_, last_ms) = self.unix_ms(request.first, place), self.unix_ms(request.last, place)
        zone, data_type = self.rules.zone_of(place), request.data_type
        for item in self._uploaded(data_type, place, first_ms, last_ms + 1000 + MAX_LEAD_MS, now_ms):
            if first_ms <= item.start_ms < last_ms + 1000:
                start = local_time(item.start_ms, zone)
                if request.first <= start <= request.last:
                    yield item, start

    def _uploaded(self, data_type: str, place: int, first_ms: int, last_ms: int, now_ms: int) -> Iterator[Item]:
        """What is uploaded and starts in a span, each as often as there are rows."""
        first_ms = max(first_ms, self.rules.appears_ms.get(place, first_ms))
        for visit in self.world.starting(place, first_ms, last_ms):
            if uploaded_ms(self.rules, visit) <= now_ms:
                for _ in range(2 if visit.has_twin else 1):
                    yield visit
                    if data_type in WITH_PERSONS:
                        yield from persons_of(visit)
        if data_type in WITH_VEHICLES:
            for minute in range(first_ms // MINUTE_MS, last_ms // MINUTE_MS + 1):
                for vehicle in vehicles_in_minute(self.world, place, minute):
                    if uploaded_ms(self.rules, vehicle) <= now_ms and vehicle.start_ms >= first_ms:
                        yield vehicle


def is_selected(place: int, selector: str, ids: frozenset[int]) -> bool:
    """Whether one of a selector's ids selects a location."""
    match selector:
        case "locations":
            return place in ids
        case "sites":
            return place // 10 in ids
        case "site_tags":
            return any(tag.id in ids and tag.selects(place // 10) for tag in SITE_TAGS)
        case _:
            return any(tag.id in ids and tag.selects(place) for tag in LOCATION_TAGS)
