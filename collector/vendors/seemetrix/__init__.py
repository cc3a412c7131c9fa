"""Seemetrix (3DiVi): cameras on screens detect faces. A session lasts from the detection of a face to its loss."""

from collector.vendors.base import Vendor
from collector.vendors.seemetrix.client import probe
from collector.vendors.seemetrix.settings import SeemetrixSource, Streams
from collector.vendors.seemetrix.streams import STREAMS, streams

VENDOR = Vendor(
    name="seemetrix",
    settings=SeemetrixSource,
    event_types={name: STREAMS[name].event_types for name in Streams.model_fields},
    streams=streams,
    probe=probe,
    title="Seemetrix",
    message_key=(
        "the number of the device, or of the user for events about all of the user's devices, in decimal digits"
    ),
)

__all__ = ["VENDOR", "SeemetrixSource"]
