"""The states of an export, which the vendor builds while the client repeats the request. Pure: no requests, no clock.

Source: the vendor's document, "Asynchronous usage" and "Rate limiting". Polls repeat the request *without*
`force_rebuild`, which would restart the export each time. When the first response is already `finished`, it is an old
export from the vendor's cache, and is rebuilt once. When it is `in_progress`, this process before a restart, or the
replica that owned the account before, started it a short time ago: the export is used.

The first poll waits for as long as exports of the same kind took lately, so that most exports take two calls. See
docs/decisions/0041.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec import Struct, structs

from collector.errors import Park, RetryLater
from collector.plurals import counted

MAX_RUNNING_EXPORTS = 3
"""The most exports that the vendor builds at a time for one user. It rejects a fourth."""
FIRST_WAIT_S = 3.0
"""The wait before the first poll of an export while none of its type is known: small ones take some seconds."""
MAX_FIRST_WAIT_S = 300.0
"""The longest wait before the first poll. After ten minutes without a poll, an export counts as abandoned."""
MIN_WAIT_S, MAX_WAIT_S = 2.0, 60.0
"""The bounds of the waits before later polls. Large exports cost one call a minute."""
GROWTH = 1.5
"""Each later poll comes when this many times the time has passed: no export is found finished much later than it is."""
REMEMBERED = 12
"""How many exports of a kind the expected time is derived from. One poll in about as many is too early."""
MAX_POLLS = 70
"""About an hour. After it, the export is given up, and the next window is smaller."""
STATUS_ONLY_AFTER = 2
"""The unsuccessful polls after which polls have `status_only`. The first two find most exports finished, and then take
the rows with the same call."""
REBUILDS_S = (10.0, 60.0, 300.0)
"""The waits before rebuilds of a failed export. After these, an operator is needed."""
REBUILD_INTERVAL = timedelta(hours=1)
"""The shortest time between later rebuilds: the vendor may disable a user who rebuilds continually."""

STATES = ("started", "in_progress", "finished", "failed")
SELECTORS = ("locations", "sites", "location_tags", "site_tags")


class Kind(NamedTuple):
    """Exports that should take about equally long."""

    data_type: str
    resolution: str
    selectors: tuple[str, ...]
    size: int
    """The binary logarithm of the number of selected ids times the seconds of the window."""


def kind_of(query: Mapping[str, str]) -> Kind:
    """The kind of the export with these arguments."""
    first, last = (datetime.fromisoformat(query[name]) for name in ("start", "end"))
    ids = {name: query[name].count(",") + 1 for name in SELECTORS if name in query}
    size = max(1, sum(ids.values())) * (int((last - first).total_seconds()) + 1)
    return Kind(query["data_type"], query["time_resolution"], tuple(ids), size.bit_length())


def expected_s(durations: Collection[float]) -> float:
    """Return the wait before the first poll, given how long the last exports of the kind took, in seconds.

    It is the second longest duration: a single slow export does not delay those after it.

    An export may have been finished for some time when a poll finds it so. If these times were the durations, the wait
    could only grow. So an export that the first poll finds finished counts as one step of polls shorter than the wait
    (`_duration_s`). Once the longer ones are no longer remembered, an export is polled one step earlier. If it is
    finished then, the wait shrinks further. Otherwise it is polled again at the former time, which is remembered. The
    wait never exceeds what exports took by more than one step.
    """
    if not durations:
        return FIRST_WAIT_S
    return min(max(sorted(durations)[-2:][0], MIN_WAIT_S), MAX_FIRST_WAIT_S)


class Export(Struct, frozen=True):
    """What this process knows of one export. Equal parameters mean the same export."""

    not_before: datetime
    """The end of the window: no export of the window was requested earlier."""
    requested_at: datetime | None = None
    """The export contains all data that the vendor had at this time. None if it is unknown when it was requested."""
    is_running: bool = False
    """The vendor was building it at the last poll: it occupies a slot."""
    polls: int = 0
    """How often the vendor has said that it is building the export."""
    waiting_since_s: float | None = None
    """When the caller began to wait for the running export, on the monotonic clock; None if it does not wait."""
    is_timed: bool = False
    """The vendor began to build it then, so that the wait shows how long that takes."""
    rebuilds: int = 0
    """Consecutive rebuilds after failures."""
    rebuilt_at: datetime | None = None
    """When it was last rebuilt, or started again, after failures."""


class ExportStatus(Struct, frozen=True):
    """One response of the vendor."""

    state: str
    called_at: datetime
    called_s: float = 0.0
    """The same on the monotonic clock, in seconds."""
    forced: bool = False
    """The request had `force_rebuild`."""
    has_rows: bool = False
    reason: str = ""
    """Why the export failed, in the vendor's words."""


class NextCall(Struct, frozen=True):
    """The next step: repeat the request after a wait."""

    wait_s: float = 0.0
    force: bool = False
    """With `force_rebuild`."""
    status_only: bool = False
    """With `status_only` first, if the account supports it."""


class UseRows(Struct, frozen=True):
    """The next step: use the rows. They contain all data that the vendor had at `requested_at`."""

    requested_at: datetime
    took_s: float | None = None
    """How long the vendor built the export, for `expected_s`; None if that is unknown."""


def advance(  # noqa: PLR0911 - a table
    export: Export, status: ExportStatus, first_wait_s: float = FIRST_WAIT_S
) -> tuple[Export, NextCall | UseRows]:
    """The state of the export after a response, and the next step. Raises GaveUp.

    `first_wait_s` is the wait before the first poll of an export that the vendor has just started.
    """
    if status.forced and status.state in STATES:
        export = structs.replace(export, requested_at=status.called_at, polls=0)
    match status.state:
        case "started":
            requested_at = export.requested_at or status.called_at
            rebuilt_at = status.called_at if export.rebuilds else None  # its failure is no longer the one in the cache
            export = structs.replace(
                export, requested_at=requested_at, rebuilt_at=rebuilt_at, waiting_since_s=status.called_s, is_timed=True
            )
            return _polling(export, first_wait_s)
        case "in_progress":
            export = structs.replace(export, requested_at=export.requested_at or export.not_before)
            if export.waiting_since_s is None:
                return _polling(structs.replace(export, waiting_since_s=status.called_s), FIRST_WAIT_S)
            passed_s = status.called_s - export.waiting_since_s
            return _polling(export, min(max(passed_s * (GROWTH - 1), MIN_WAIT_S), MAX_WAIT_S))
        case "finished" if status.has_rows:
            took_s = _duration_s(export, status.called_s)
            export = structs.replace(export, is_running=False, polls=0, waiting_since_s=None, is_timed=False)
            if export.requested_at is None:
                return export, NextCall(force=True)
            return structs.replace(export, rebuilds=0, rebuilt_at=None), UseRows(export.requested_at, took_s)
        case "finished":
            return _failed(export, "it is finished, but has no list of rows", status)
        case "failed":
            return _failed(export, status.reason or "no reason given", status)
        case _:
            reason = f"the export is in an unknown state: {status.state[:40]!r}"
            raise GaveUp(export, RetryLater(reason, code="export_state_unknown"))


def resumed(export: Export) -> Export:
    """The state of an export when a caller begins to wait for it: when it will be finished is not known."""
    return structs.replace(export, waiting_since_s=None, is_timed=False)


def abandoned(export: Export) -> Export:
    """The state of an export that was not polled for a while. Another client may have rebuilt one that was running."""
    return resumed(
        structs.replace(export, requested_at=None, is_running=False, polls=0) if export.is_running else export
    )


class GaveUp(Exception):  # noqa: N818 - named by what happened
    """The export is not finished. Contains the state of the export to store, and the error to raise to the caller."""

    def __init__(self, export: Export, error: RetryLater | Park, failure: str | None = None) -> None:
        super().__init__(str(error))
        self.export = export
        self.error = error
        self.failure = failure
        """The vendor's words, if it reports again and again that the export failed."""


def _duration_s(export: Export, finished_s: float) -> float | None:
    """How long the vendor built an export that is found finished now; None if its start is not known."""
    if export.waiting_since_s is None or not export.is_timed:
        return None
    passed_s = finished_s - export.waiting_since_s
    return max(passed_s / GROWTH, passed_s - MAX_WAIT_S) if export.polls == 1 else passed_s


def _polling(export: Export, wait_s: float) -> tuple[Export, NextCall]:
    """The next poll of a running export, after a wait. Raises GaveUp after too many polls."""
    polls = export.polls + 1
    if polls > MAX_POLLS:
        reason = f"the export is not finished after {MAX_POLLS} polls"
        error = RetryLater(reason, code="export_timeout", narrower=True)
        raise GaveUp(structs.replace(export, is_running=True, polls=0), error)
    export = structs.replace(export, is_running=True, polls=polls)
    return export, NextCall(wait_s, status_only=polls > STATUS_ONLY_AFTER)


def _failed(export: Export, reason: str, status: ExportStatus) -> tuple[Export, NextCall]:
    """The rebuild of a failed export. Raises GaveUp if it was rebuilt too often."""
    now = status.called_at
    export = structs.replace(export, is_running=False, requested_at=None, polls=0, waiting_since_s=None, is_timed=False)
    if export.rebuilds < len(REBUILDS_S):
        wait_s = REBUILDS_S[export.rebuilds]
    elif export.rebuilt_at is None or now - export.rebuilt_at >= REBUILD_INTERVAL:
        wait_s = 0.0
    else:
        reason = f"the export failed {counted(export.rebuilds, 'time')}: {reason[:200]}"
        advice = "if it persists, contact Quividi: its server fails to build the export, which is retried every hour"
        failure = status.reason if status.state == "failed" else None
        raise GaveUp(export, Park(reason, code="export_failed", advice=advice), failure)
    return structs.replace(export, rebuilds=export.rebuilds + 1, rebuilt_at=now), NextCall(wait_s, force=True)
