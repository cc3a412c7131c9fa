"""Quividi (VidiCenter): boxes at locations that detect viewers. A row for each viewer, out of asynchronous exports."""

from collector.vendors.base import Vendor
from collector.vendors.quividi import events
from collector.vendors.quividi.client import probe, streams
from collector.vendors.quividi.settings import QuividiSource

VENDOR = Vendor("quividi", {"viewers": events.TYPES}, streams, probe)

__all__ = ["VENDOR", "QuividiSource"]
