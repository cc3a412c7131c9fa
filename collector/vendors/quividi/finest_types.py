"""The types of export that have a row for each viewer.

Source: the vendor's document, "Finest viewers export" and "Finest viewers APC export".
"""

from collector.vendors.quividi import events
from collector.vendors.quividi.export_types import CONTENT_IDS, ExportType
from collector.vendors.quividi.resolutions import FINEST

VIEWERS = ExportType(
    stream="viewers",
    data_type="viewers",
    events=(events.VIEWER,),
    resolutions=(FINEST,),
    resolution_hint="the stream viewers_aggregated has aggregates",
)
VIEWERS_APC = ExportType(
    stream="viewers_apc",
    data_type="viewers_apc",
    events=(events.VIEWER_APC, events.VIEWER_CONTENT),
    resolutions=(FINEST,),
    resolution_hint="VidiCenter does not aggregate viewers with their contents",
    options=frozenset({CONTENT_IDS}),
)
