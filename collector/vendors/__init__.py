"""Where it comes from. Each vendor is one folder, and one line here; vendors know nothing of each other."""

from collections.abc import Mapping
from typing import Any

from collector.vendors import seemetrix
from collector.vendors.base import Vendor
from collector.vendors.seemetrix import SeemetrixSource

AnySource = SeemetrixSource
VENDORS: Mapping[str, Vendor[Any]] = {vendor.name: vendor for vendor in (seemetrix.VENDOR,)}
