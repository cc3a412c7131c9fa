"""Quividi (VidiCenter): boxes at locations detect viewers. Asynchronous exports of single viewers and of aggregates."""

from collector.vendors.base import Vendor
from collector.vendors.quividi.export_settings import EXPORT_TYPES
from collector.vendors.quividi.probe_client import probe
from collector.vendors.quividi.settings import QuividiSource
from collector.vendors.quividi.streams import streams

VENDOR = Vendor(
    name="quividi",
    settings=QuividiSource,
    event_types={name: export_type.events for name, export_type in EXPORT_TYPES.items()},
    streams=streams,
    probe=probe,
    title="Quividi",
    message_key="the number of the location, or of the site for events about a whole site, in decimal digits",
)

__all__ = ["VENDOR", "QuividiSource"]
