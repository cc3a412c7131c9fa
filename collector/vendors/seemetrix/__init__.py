"""Seemetrix (3DiVi): cameras on screens that detect faces. One session from the face's detection until it is lost."""

from collector.vendors.base import Vendor
from collector.vendors.seemetrix import events
from collector.vendors.seemetrix.client import probe, streams
from collector.vendors.seemetrix.settings import SeemetrixSource

VENDOR = Vendor("seemetrix", {"sessions": events.TYPES}, streams, probe)

__all__ = ["VENDOR", "SeemetrixSource"]
