"""Seemetrix (3DiVi): cameras on screens that detect faces. One session from the face's detection until it is lost."""

from collector.vendors.base import Vendor
from collector.vendors.seemetrix import breakdown, counters, devices, events, statistics
from collector.vendors.seemetrix.client import probe
from collector.vendors.seemetrix.settings import SeemetrixSource
from collector.vendors.seemetrix.streams import streams

VENDOR = Vendor(
    name="seemetrix",
    settings=SeemetrixSource,
    event_types={
        "sessions": events.TYPES,
        "devices": devices.TYPES,
        "counters": counters.TYPES,
        "statistics": statistics.TYPES,
        "breakdown": breakdown.TYPES,
    },
    streams=streams,
    probe=probe,
)

__all__ = ["VENDOR", "SeemetrixSource"]
