"""Quividi (VidiCenter): boxes at locations that detect viewers. Asynchronous exports, of each viewer or of numbers."""

from collector.vendors.base import Vendor
from collector.vendors.quividi.client import probe, streams
from collector.vendors.quividi.export_types import TABLE
from collector.vendors.quividi.settings import QuividiSource

VENDOR = Vendor(
    "quividi",
    {name: kind.events for name, kind in TABLE.items()},
    streams,
    probe,
    title="Quividi",
    message_key="the number of the location, or of the site for events about a whole site",
)

__all__ = ["VENDOR", "QuividiSource"]
