"""Quividi (VidiCenter): boxes at locations that detect viewers. Asynchronous exports, of each viewer or of numbers."""

from collector.vendors.base import Vendor
from collector.vendors.quividi.client import probe, streams
from collector.vendors.quividi.export_types import TABLE
from collector.vendors.quividi.settings import QuividiSource

VENDOR = Vendor(
    name="quividi",
    settings=QuividiSource,
    event_types={name: kind.events for name, kind in TABLE.items()},
    streams=streams,
    probe=probe,
)

__all__ = ["VENDOR", "QuividiSource"]
