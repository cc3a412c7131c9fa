"""Quividi (VidiCenter): boxes at locations detect viewers. Asynchronous exports of single viewers and of aggregates.

Lists of the account's places and contents.
"""

from collector.vendors.base import Vendor
from collector.vendors.quividi import row_events
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.probe_client import probe
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.status_streams import EVENT_TYPES as STATUS_EVENT_TYPES
from collector.vendors.quividi.streams import streams
from collector.vendors.quividi.topology import listings

VENDOR = Vendor(
    name="quividi",
    settings=QuividiSource,
    event_types={
        **{name: export_type.events for name, export_type in EXPORT_TYPES.items()},
        **STATUS_EVENT_TYPES,
        **listings.TYPES,
    },
    configured_types=row_events.TYPES,
    streams=streams,
    probe=probe,
    title="Quividi",
    message_key="the number of the location, or of the site for events about a whole site, in decimal digits; "
    "`user/<user>` for extrapolations from all selected places, for rows without a place, and for alerts and messages "
    "without a place; "
    "for a row of a list of the account, such as a box, `user/<username>/<kind>/<number>`",
)

__all__ = ["VENDOR", "QuividiSource"]
