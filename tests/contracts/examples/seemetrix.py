"""The examples of Seemetrix, and a dead letter."""

from datetime import UTC, datetime
from functools import partial

from collector.instants import to_ms
from collector.model import Account, DedupMode, Window
from collector.pipeline.message import Origin
from collector.steps import at_once
from collector.vendors.seemetrix import breakdown, breakdown_events, counters, devices, statistics, wire
from collector.vendors.seemetrix.events import explode_session
from tests.contracts.examples.example import REQUESTED_AT, Example
from tests.rows import session_rows
from tests.vendors.seemetrix import documented
from tests.vendors.seemetrix.example import RAW_DATA, row

SOURCE, USER = "mall", 371
ACCOUNT = Account("seemetrix", str(USER))
SEEN_MS = to_ms(REQUESTED_AT)
HALF_A_YEAR = Window(datetime(2016, 12, 1, tzinfo=UTC), datetime(2017, 6, 1, tzinfo=UTC))
TWO_DAYS = Window(datetime(2017, 9, 12, 12, tzinfo=UTC), datetime(2017, 9, 14, 12, tzinfo=UTC))
REQUEST = breakdown.Request(("devices", "dates", "emotions"), "MM", None)

EXAMPLES = (
    Example(
        Origin(ACCOUNT, SOURCE, "sessions"),
        DedupMode.VERSIONED,
        lambda: wire.read(session_rows(RAW_DATA)),
        partial(explode_session, user=USER),
    ),
    Example(
        Origin(ACCOUNT, SOURCE, "devices"),
        DedupMode.LATEST,
        lambda: devices.read(at_once(devices.decode(documented.DEVICES)), SEEN_MS, include_private=False),
        partial(devices.explode, user=USER),
    ),
    Example(
        Origin(ACCOUNT, SOURCE, "counters"),
        DedupMode.LATEST,
        lambda: [counters.read(documented.COUNTERS, SEEN_MS)],
        partial(counters.explode, user=USER),
    ),
    Example(
        Origin(ACCOUNT, SOURCE, "statistics"),
        DedupMode.VERSIONED,
        lambda: statistics.read(at_once(statistics.decode(documented.USER_STATISTICS)), TWO_DAYS, None, ()),
        partial(statistics.explode, user=USER),
    ),
    Example(
        Origin(ACCOUNT, SOURCE, "breakdown"),
        DedupMode.VERSIONED,
        lambda: breakdown.read(
            breakdown.children(at_once(breakdown.decode(documented.FULL_TREE))), HALF_A_YEAR, REQUEST
        ),
        partial(breakdown_events.explode, common=breakdown_events.SharedFields(USER, "6M")),
    ),
    Example(
        Origin(ACCOUNT, SOURCE, "sessions"),
        DedupMode.VERSIONED,
        lambda: [wire.read_session(row(o="1331st", at=[], em=[], v=[]))],
        partial(explode_session, user=USER),
    ),
)
