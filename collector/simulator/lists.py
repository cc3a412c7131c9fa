"""The lists of the simulated VidiCenter over HTTP: topology, tags, clips, alerts and monitoring messages.

Unknown ids are answered with 403, as those of another account, and unknown labels and texts with 404: the vendor's
document states neither. Only GET is allowed.
"""

from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler

from collector.simulator.alerts import Alerts
from collector.simulator.base import Simulation
from collector.simulator.conditions import Conditions
from collector.simulator.monitoring import Monitoring
from collector.simulator.responses import api_error, json_response
from collector.simulator.tags import LOCATION_TAGS, SITE_TAGS, Tag
from collector.simulator.topology import NETWORK, Topology, box_of, site_of

BASE = "/api/v1"
MAX_HOURS = 24
HOUR_MS = 3_600_000
IN_NETWORK = ("network",)
WITH_TAGS = ("network", "site", "site_tag", "location_tag")
WITH_LOCATION = (*WITH_TAGS, "location")
ALL_SCOPES = (*WITH_LOCATION, "box")
TAGS: Mapping[str, tuple[Sequence[Tag], Callable[[int], int]]] = {
    "site_tag": (SITE_TAGS, site_of),
    "location_tag": (LOCATION_TAGS, int),
}
"""The tags of a scope, and the function that returns what they select for a location."""
IDS: Mapping[str, Callable[[int], int]] = {
    "network": lambda _: NETWORK,
    "site": site_of,
    "location": int,
    "box": box_of,
}
"""The function that returns the id of a scope for a location."""

Serve = Callable[[Sequence[int], web.Request], object]
"""Returns a list's content for the selected locations."""


class Lists:
    """The lists. Times are of the vendor's clock."""

    def __init__(self, simulation: Simulation, authorize: Callable[[web.Request], None]) -> None:
        self._rules = simulation.rules
        self._now_ms = simulation.now_ms
        self._authorize = authorize
        self._topology = Topology(simulation.world, simulation.rules)
        conditions = Conditions(simulation.world, simulation.rules)
        self._alerts = Alerts(self._topology, conditions)
        self._monitoring = Monitoring(self._topology, conditions)

    def routes(self) -> list[web.RouteDef]:
        topology = self._topology
        return [
            *self._list("networks", lambda _, __: topology.networks()),
            *self._list("sites", lambda places, _: topology.sites(places, self._now_ms()), ("network", "site_tag")),
            *self._list("locations", lambda places, _: topology.locations(places, self._now_ms()), WITH_TAGS),
            *self._list("boxes", lambda places, _: topology.boxes(places, self._now_ms()), WITH_LOCATION),
            *self._tag_routes(),
            *self._list("alerts", self.alerts, ALL_SCOPES),
            *self._list("monitoring_msgs", self.monitoring_messages, ALL_SCOPES),
            *self._list("clip/metadata", lambda _, __: topology.clips()),
            self._get("network/{network}/clip/metadata/{clip}", self.clip, "network"),
            *([] if self._rules.has_old_names else self._new_routes()),
        ]

    def alerts(self, places: Sequence[int], request: web.Request) -> object:
        """The alerts of the scope. Raises HTTPBadRequest for `active` other than `True`, and for wrong `hours`."""
        if request.query.get("active", "True") != "True":
            raise api_error(web.HTTPBadRequest, "active can only be True")
        is_active, now_ms = "active" in request.query, self._now_ms()
        return self._alerts.latest(places, now_ms, self._since_ms(request, now_ms), is_active=is_active)

    def monitoring_messages(self, places: Sequence[int], request: web.Request) -> object:
        """The messages of the scope. Raises HTTPBadRequest for wrong `hours`."""
        now_ms = self._now_ms()
        return self._monitoring.latest(places, now_ms, self._since_ms(request, now_ms))

    def clip(self, _: Sequence[int], request: web.Request) -> object:
        """The metadata of one content. Raises HTTPNotFound if there is none."""
        for clip in self._topology.clips():
            if clip["clip_id"] == request.match_info["clip"]:
                return clip
        raise web.HTTPNotFound

    def _new_routes(self) -> list[web.RouteDef]:
        """The paths that did not exist in 2020."""
        topology = self._topology
        return [
            *self._list(
                "sites/vehicles", lambda places, _: topology.sites_with_vehicles(places, self._now_ms()), IN_NETWORK
            ),
            *self._list("zones", lambda places, _: topology.zones(places)),
            self._get("location/{location}/zones", lambda places, _: topology.zones_of(places[0]), "location"),
        ]

    def _tag_routes(self) -> list[web.RouteDef]:
        """The lists of tags; in a network, each tag has its sites or locations as complete objects."""
        topology = self._topology

        def with_sites(places: Sequence[int], tag: Tag) -> object:
            return topology.sites([place for place in places if tag.selects(site_of(place))], self._now_ms())

        def with_locations(places: Sequence[int], tag: Tag) -> object:
            return topology.locations([place for place in places if tag.selects(place)], self._now_ms())

        def tags(kind: Sequence[Tag]) -> Serve:
            return lambda _, __: topology.tags(kind)

        def tags_with(name: str, kind: Sequence[Tag], members: Callable[[Sequence[int], Tag], object]) -> Serve:
            return lambda places, _: [
                row | {name: members(places, tag)} for row, tag in zip(topology.tags(kind), kind, strict=True)
            ]

        return [
            self._get("site_tags", tags(SITE_TAGS)),
            self._get("location_tags", tags(LOCATION_TAGS)),
            self._get("network/{network}/site_tags", tags_with("sites", SITE_TAGS, with_sites), "network"),
            self._get(
                "network/{network}/location_tags", tags_with("locations", LOCATION_TAGS, with_locations), "network"
            ),
        ]

    def _list(self, name: str, serve: Serve, scopes: Sequence[str] = ()) -> list[web.RouteDef]:
        """The routes of a list for the whole account, and for each scope."""
        return [
            self._get(name, serve),
            *(self._get(f"{scope}/{{{scope}}}/{name}", serve, scope) for scope in scopes),
        ]

    def _get(self, path: str, serve: Serve, scope: str | None = None) -> web.RouteDef:
        async def handle(request: web.Request) -> web.Response:
            self._authorize(request)
            if request.path.removeprefix(BASE) in self._rules.forbidden_paths:
                raise api_error(web.HTTPForbidden, "not included in your licence")
            places = self._topology.places(self._now_ms())
            selected = places if scope is None else _select(places, scope, request.match_info[scope])
            return json_response(serve(selected, request))

        handler: Handler = handle
        return web.get(f"{BASE}/{path}/", handler)

    def _since_ms(self, request: web.Request, now_ms: int) -> int:
        """The time from which `hours` selects; 0 without it. Raises HTTPBadRequest if it is not from 1 to 24."""
        hours = request.query.get("hours")
        if hours is None or self._rules.has_old_names:
            return 0
        if hours not in map(str, range(1, MAX_HOURS + 1)):
            raise api_error(web.HTTPBadRequest, f"hours must be from 1 to {MAX_HOURS}")
        return now_ms - int(hours) * HOUR_MS


def _select(places: Sequence[int], scope: str, value: str) -> list[int]:
    """The locations of a scope: an id, or the label of a tag. Raises HTTPForbidden or HTTPNotFound if there is none."""
    if scope in TAGS:
        tags, about = TAGS[scope]
        for tag in tags:
            if tag.label == value:
                return [place for place in places if tag.selects(about(place))]
        raise web.HTTPNotFound
    if not (value.isascii() and value.isdigit()):
        raise web.HTTPNotFound
    selected = [place for place in places if str(IDS[scope](place)) == value]
    if not selected and (scope, value) != ("network", str(NETWORK)):
        raise api_error(web.HTTPForbidden, f"not your {scope}")
    return selected
