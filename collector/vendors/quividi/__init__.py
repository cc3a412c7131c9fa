"""Quividi (VidiCenter): boxes at locations detect viewers. Asynchronous exports of single viewers and of aggregates.

Lists of the account's places and contents.
"""

from collector.vendors.base import Implementation, Vendor
from collector.vendors.quividi import alerts, monitoring, row_events
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.topology import listings


def _load() -> Implementation[QuividiSource]:
    from collector.vendors.quividi.probe_client import probe
    from collector.vendors.quividi.streams import streams

    return Implementation(streams, probe)


VENDOR = Vendor(
    name="quividi",
    settings=QuividiSource,
    event_types={
        **{name: export_type.events for name, export_type in EXPORT_TYPES.items()},
        "alerts": alerts.TYPES,
        "monitoring": monitoring.TYPES,
        **listings.TYPES,
    },
    configured_types=row_events.TYPES,
    load=_load,
    title="Quividi",
    message_key="the number of the location, or of the site for events about a whole site, in decimal digits; "
    "`user/<user>` for extrapolations from all selected places, for rows without a place, and for alerts and messages "
    "without a place; "
    "for a row of a list of the account, such as a box, `user/<username>/<kind>/<number>`",
)

__all__ = ["VENDOR", "QuividiSource"]
