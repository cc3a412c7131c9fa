"""Seemetrix (3DiVi): cameras on screens detect faces. A session lasts from the detection of a face to its loss."""

from collector.vendors.base import Implementation, Vendor
from collector.vendors.seemetrix import breakdown_events, counters, devices, events, statistics
from collector.vendors.seemetrix.settings import SeemetrixSource


def _load() -> Implementation[SeemetrixSource]:
    from collector.vendors.seemetrix.client import probe
    from collector.vendors.seemetrix.streams import streams

    return Implementation(streams, probe)


VENDOR = Vendor(
    name="seemetrix",
    settings=SeemetrixSource,
    event_types={
        "sessions": events.TYPES,
        "devices": devices.TYPES,
        "counters": counters.TYPES,
        "statistics": statistics.TYPES,
        "breakdown": breakdown_events.TYPES,
    },
    load=_load,
    title="Seemetrix",
    message_key=(
        "the number of the device, or of the user for events about all of the user's devices, in decimal digits"
    ),
)

__all__ = ["VENDOR", "SeemetrixSource"]
