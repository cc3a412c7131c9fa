"""The lists of an account, by the name of the stream that fetches them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from collector.model import EventType
from collector.vendors.quividi.topology.boxes import BOXES
from collector.vendors.quividi.topology.clips import CLIPS
from collector.vendors.quividi.topology.listing import Listing
from collector.vendors.quividi.topology.locations import LOCATIONS
from collector.vendors.quividi.topology.sites import SITES
from collector.vendors.quividi.topology.tags import LOCATION_TAGS, SITE_TAGS
from collector.vendors.quividi.topology.vendor_zones import ZONES

LISTINGS: Mapping[str, Sequence[Listing[Any]]] = {
    "locations": (LOCATIONS,),
    "sites": (SITES,),
    "boxes": (BOXES,),
    "zones": (ZONES,),
    "tags": (LOCATION_TAGS, SITE_TAGS),
    "contents": (CLIPS,),
}
TYPES: Mapping[str, Sequence[EventType]] = {name: (lists[0].event_type,) for name, lists in LISTINGS.items()}
"""The event types by stream."""
