"""The topology of the simulated VidiCenter: one network, and the sites, locations, boxes and zones of the world.

The locations are the devices of the world, and each has one box. The fields are those of the API of 2026, or those of
2020 with `Rules.has_old_names`. Times are written without a zone, and the vendor does not document which it is: those
of locations and boxes are local here, those of zones are in UTC.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from random import Random

from msgspec import Struct

from collector.simulator import vehicles
from collector.simulator.aggregated import Row, content_id
from collector.simulator.rules import Rules
from collector.simulator.tags import Tag
from collector.simulator.uploads import has_appeared, latest_upload_ms
from collector.simulator.world import World, as_datetime, as_timestamp

NETWORK = 1
BOX_OFFSET = 700_000
"""The id of a box, minus that of its location."""
CREATED_MS = int(datetime(2024, 3, 4, 9, tzinfo=UTC).timestamp()) * 1000
"""When the first locations were created."""
HOUR_MS = 3_600_000
MOVIES = range(8000, 8040)
"""The contents that the world's screens play."""
_UNSET_IDS = ("id_broadsign_uuid", "id_broadsign_screenid_v1", "id_broadsign_displayunitid")
_ZONES = (("Shelf", 0), ("Way in", 1), ("Way out", 2), ("Carpet", 3))
"""Name and type of the zones of a location with all four; others have fewer."""


class Topology(Struct, frozen=True):
    """The objects in VidiCenter's lists. Times are Unix time in milliseconds."""

    world: World
    rules: Rules

    def places(self, now_ms: int) -> list[int]:
        """The locations that exist at a time."""
        return [place for place in self.world.devices if has_appeared(self.rules, place, now_ms)]

    def networks(self) -> list[Row]:
        return [{"id": NETWORK, "label": "Network 1", "active": True}]

    def sites(self, places: Sequence[int], now_ms: int) -> list[Row]:
        """The sites of locations. A site is active if one of its locations is."""
        existing = set(self.places(now_ms))
        return [
            self._site(site, [place for place in range(site * 10, site * 10 + 10) if place in existing])
            for site in dict.fromkeys(map(site_of, places))
        ]

    def sites_with_vehicles(self, places: Sequence[int], now_ms: int) -> list[Row]:
        """The sites of locations, with the number of persons per vehicle."""
        kinds = {"car": vehicles.CAR, "van": vehicles.VAN, "bus": vehicles.BUS, "truck": vehicles.TRUCK}
        factors = {f"factor_{name}": vehicles.FACTORS[kind] for name, kind in kinds.items()}
        return [site | {"vehicles_factors": factors} for site in self.sites(places, now_ms)]

    def locations(self, places: Sequence[int], now_ms: int) -> list[Row]:
        return [self._location(place, now_ms) for place in places]

    def boxes(self, places: Sequence[int], now_ms: int) -> list[Row]:
        return [self._box(place, now_ms) for place in places]

    def zones(self, places: Sequence[int]) -> list[Row]:
        return [zone for place in places for zone in self._zones(place)]

    def zones_of(self, place: int) -> Row:
        """The zones of one location, with the measures of its camera's picture; these are empty where unknown."""
        mask = {"x": 40, "y": 20, "width": 1200, "height": 680} if place % 2 else {}
        size = {"width": 1280, "height": 720} if place % 2 else {}
        return {"zones": self._zones(place), "input_mask": mask, "input_original_size": size}

    def tags(self, tags: Sequence[Tag]) -> list[Row]:
        locks: list[Row] = [{} if self.rules.has_old_names else {"extrapolation": tag.is_locked} for tag in tags]
        return [
            {"id": tag.id, "network_id": NETWORK, "label": tag.label} | lock
            for tag, lock in zip(tags, locks, strict=True)
        ]

    def clips(self) -> list[Row]:
        """The metadata of contents. `clip_id` is the `content_id` of exports."""
        scheme = "http" if self.rules.has_old_names else "https"
        return [
            {
                "id": 90_000 + number,
                "network_id": NETWORK,
                "clip_id": content_id(movie),
                "name": f"Clip {movie}",
                "description": "",
                "screenshot": f"{scheme}://vidicenter.example/screenshots/{movie}.jpg",
            }
            for number, movie in enumerate(MOVIES)
        ]

    def camera(self, place: int) -> str:
        """`raw_camera_config`: the camera's address, whose user and password the vendor masks."""
        return f"rtsp://***:***@10.20.{place // 250 % 250}.{place % 250}:554/stream1"

    def local_time(self, place: int, unix_ms: int) -> str:
        """The instant in the location's local time, without a zone."""
        return f"{as_datetime(unix_ms).astimezone(self.rules.zone_of(place)):%Y-%m-%dT%H:%M:%S}"

    def _site(self, site: int, members: Sequence[int]) -> Row:
        row: Row = {"id": site, "network_id": NETWORK, "label": f"Site {site}"}
        row["active"] = any(place not in self.rules.inactive for place in members)
        if self.rules.has_old_names:
            return row
        return row | {
            "address": f"{site} Station Road",
            "description": "" if site % 2 else f"The site with the number {site}",
            "venue_type": "transit",
            "venue_subtype": "airports",
            "max_active_locations": 10,
            "exclude_from_network_vrc": False,
            "upload_period_alert": 120,
            "daily_watchers_alert_threshold": 0,
            "black_input_is_error": True,
            "ignore_low_fps": False,
        }

    def _location(self, place: int, now_ms: int) -> Row:
        uploaded_ms = latest_upload_ms(self.world, self.rules, place, now_ms)
        uploaded_at = None if uploaded_ms is None else self.local_time(place, uploaded_ms)
        created_ms = self.rules.appears_ms.get(place, CREATED_MS + place % 1000 * HOUR_MS)
        row: Row = {
            "id": place,
            "site_id": site_of(place),
            "box_id": box_of(place),
            "label": f"Location {place}",
            "active": place not in self.rules.inactive,
            "creation_date": self.local_time(place, created_ms),
            "last_upload_timestamp": uploaded_at,
            "last_timezone": None if uploaded_ms is None else self._offset(place, uploaded_ms),
        }
        if self.rules.has_old_names:
            return row | {"second_id": f"second-{place}", "third_id": ""}
        row |= {"last_seen": uploaded_at, "last_ots_uploaded": uploaded_at}
        row |= {"location_type": "indoor", "venue_type": "transit", "venue_subtype": "airports", "id_pointer": ""}
        row |= {"id_broadsign_playerid": f"player-{place}"} | dict.fromkeys(_UNSET_IDS, "")
        return row | ({"description": f"Camera {place}", "bm_ignore": False} if place % 2 else {})

    def _box(self, place: int, now_ms: int) -> Row:
        uploaded_ms = latest_upload_ms(self.world, self.rules, place, now_ms)
        row: Row = {
            "id": box_of(place),
            "location_id": place,
            "site_id": site_of(place),
            "label": f"Box {place}",
            "active": place not in self.rules.inactive,
            "last_upload_timestamp": None if uploaded_ms is None else self.local_time(place, uploaded_ms),
        }
        if self.rules.has_old_names:
            return row
        # The boxes of a site have one address: it does not identify a box.
        mac = Random(f"{self.world.seed}/{site_of(place)}/mac").getrandbits(48)
        return row | {"box_mac": mac, "raw_camera_config": self.camera(place)}

    def _zones(self, place: int) -> list[Row]:
        created_ms = self.rules.appears_ms.get(place, CREATED_MS) + place * 7919 % HOUR_MS
        return [
            {
                "id": zone_id(place, number),
                "location_id": place,
                "name": name,
                "description": "",
                "type": code,
                "created_at": as_timestamp(created_ms).removesuffix("Z"),
                "updated_at": as_timestamp(created_ms + number * HOUR_MS + 250).removesuffix("Z"),
                "coordinates": [
                    {"x": x, "y": round(y + number / 5, 3)}
                    for x, y in ((0.125, 0.0), (0.875, 0.0), (0.875, 0.2), (0.125, 0.2))
                ],
                "presence_threshold": 2.5 + number,
            }
            for number, (name, code) in enumerate(_ZONES[: 1 + place % 4])
        ]

    def _offset(self, place: int, unix_ms: int) -> int:
        """The location's offset from UTC at an instant."""
        offset = as_datetime(unix_ms).astimezone(self.rules.zone_of(place)).utcoffset()
        seconds = 0 if offset is None else int(offset.total_seconds())
        return seconds // 60 if self.rules.timezone_in_minutes else seconds


def site_of(place: int) -> int:
    """The site of a location."""
    return place // 10


def box_of(place: int) -> int:
    """The box of a location."""
    return place + BOX_OFFSET


def zone_id(place: int, number: int) -> int:
    """The id of a location's zone of this number, counted from 0."""
    return place * 10 + number
