"""The type of exports that are configured by hand, as far as it does not depend on the configuration."""

from collector.vendors.quividi import row_events
from collector.vendors.quividi.export_types import OPTIONS, ExportType
from collector.vendors.quividi.resolutions import AGGREGATES, FINEST

CONFIGURED = ExportType(
    stream="",
    data_type="",
    events=row_events.TYPES,
    resolutions=(FINEST, *AGGREGATES),
    resolution_hint="",
    options=frozenset(OPTIONS),
)
