"""Where it comes from. Each vendor is one folder, and one line here; vendors know nothing of each other."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from collector.vendors import quividi, seemetrix
from collector.vendors.base import Vendor
from collector.vendors.quividi import QuividiSource
from collector.vendors.seemetrix import SeemetrixSource

AnySource = Annotated[SeemetrixSource | QuividiSource, Field(discriminator="vendor")]
VENDORS: Mapping[str, Vendor[Any]] = {vendor.name: vendor for vendor in (seemetrix.VENDOR, quividi.VENDOR)}
