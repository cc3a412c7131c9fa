"""The vendors. Each is one folder, independent of the others, and one entry in `_VENDORS`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Field

from collector.vendors import quividi, seemetrix
from collector.vendors.base import Vendor
from collector.vendors.source import SourceSettings

_VENDORS: tuple[Vendor[Any], ...] = (seemetrix.VENDOR, quividi.VENDOR)

VENDORS: Mapping[str, Vendor[Any]] = {vendor.name: vendor for vendor in _VENDORS}

if TYPE_CHECKING:
    AnySource = SourceSettings
else:
    _Union = Union[tuple(vendor.settings for vendor in _VENDORS)]  # noqa: UP007 - of a tuple
    AnySource = Annotated[_Union, Field(discriminator="vendor")]
    """The settings of a source of any vendor, chosen by its key `vendor`."""
