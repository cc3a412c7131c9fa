"""The states of an export, which the vendor builds while the client repeats the request. Pure: no requests, no clock.

Source: the vendor's document, "Asynchronous usage" and "Rate limiting". Polls repeat the request *without*
`force_rebuild`, which would restart the export each time. When the first response is already `finished`, it is an old
export from the vendor's cache, and is rebuilt once. When it is `in_progress`, this process before a restart, or the
replica that owned the account before, started it a short time ago: the export is used.
"""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from collector.errors import Park, RetryLater

MAX_RUNNING_EXPORTS = 3
"""The most exports that the vendor builds at a time for one user. It rejects a fourth."""
POLLS_S = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
"""The waits before polls; the last one repeats. Small exports finish at once; large ones cost two calls a minute."""
MAX_POLLS = 120
"""About an hour. After it, the export is given up, and the next window is smaller."""
REBUILDS_S = (10.0, 60.0, 300.0)
"""The waits before rebuilds of a failed export. After these, an operator is needed."""
REBUILD_INTERVAL = timedelta(hours=1)
"""The shortest time between later rebuilds: the vendor may disable a user who rebuilds continually."""

STATES = ("started", "in_progress", "finished", "failed")


class Export(Struct, frozen=True):
    """What this process knows of one export. Equal parameters mean the same export."""

    not_before: datetime
    """The end of the window: no export of the window was requested earlier."""
    requested_at: datetime | None = None
    """The export contains all data that the vendor had at this time. None if it is unknown when it was requested."""
    is_running: bool = False
    """The vendor was building it at the last poll: it occupies a slot."""
    polls: int = 0
    rebuilds: int = 0
    """Consecutive rebuilds after failures."""
    rebuilt_at: datetime | None = None


class ExportStatus(Struct, frozen=True):
    """One response of the vendor."""

    state: str
    called_at: datetime
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


class UseRows(Struct, frozen=True):
    """The next step: use the rows. They contain all data that the vendor had at `requested_at`."""

    requested_at: datetime


def advance(export: Export, status: ExportStatus) -> tuple[Export, NextCall | UseRows]:
    """The state of the export after a response, and the next step. Raises GaveUp."""
    if status.forced and status.state in STATES:
        export = structs.replace(export, requested_at=status.called_at, polls=0)
    match status.state:
        case "started":
            requested_at = export.requested_at or status.called_at
            return _polling(structs.replace(export, requested_at=requested_at))
        case "in_progress":
            return _polling(structs.replace(export, requested_at=export.requested_at or export.not_before))
        case "finished" if status.has_rows:
            export = structs.replace(export, is_running=False, polls=0)
            if export.requested_at is None:
                return export, NextCall(force=True)
            return structs.replace(export, rebuilds=0), UseRows(export.requested_at)
        case "finished":
            return _failed(export, "it is finished, but has no list of rows", status.called_at)
        case "failed":
            return _failed(export, status.reason or "no reason given", status.called_at)
        case _:
            reason = f"the export is in an unknown state: {status.state[:40]!r}"
            raise GaveUp(export, RetryLater(reason, code="export_state_unknown"))


def abandoned(export: Export) -> Export:
    """The state of an export that was not polled for a while. Another client may have rebuilt one that was running."""
    return structs.replace(export, requested_at=None, is_running=False, polls=0) if export.is_running else export


class GaveUp(Exception):  # noqa: N818 - named by what happened
    """The export is not finished. Contains the state of the export to store, and the error to raise to the caller."""

    def __init__(self, export: Export, error: RetryLater | Park) -> None:
        super().__init__(str(error))
        self.export = export
        self.error = error


def _polling(export: Export) -> tuple[Export, NextCall]:
    """The next poll of a running export. Raises GaveUp after too many polls."""
    polls = export.polls + 1
    if polls > MAX_POLLS:
        reason = f"the export is not finished after {MAX_POLLS} polls"
        error = RetryLater(reason, code="export_timeout", narrower=True)
        raise GaveUp(structs.replace(export, is_running=True, polls=0), error)
    return structs.replace(export, is_running=True, polls=polls), NextCall(POLLS_S[min(polls, len(POLLS_S)) - 1])


def _failed(export: Export, reason: str, now: datetime) -> tuple[Export, NextCall]:
    """The rebuild of a failed export. Raises GaveUp if it was rebuilt too often."""
    export = structs.replace(export, is_running=False, requested_at=None, polls=0)
    if export.rebuilds < len(REBUILDS_S):
        wait_s = REBUILDS_S[export.rebuilds]
    elif export.rebuilt_at is None or now - export.rebuilt_at >= REBUILD_INTERVAL:
        wait_s = 0.0
    else:
        reason = f"the export failed {export.rebuilds} times: {reason[:200]}"
        advice = "if it persists, contact Quividi: its server fails to build the export, which is retried every hour"
        raise GaveUp(export, Park(reason, code="export_failed", advice=advice))
    return structs.replace(export, rebuilds=export.rebuilds + 1, rebuilt_at=now), NextCall(wait_s, force=True)
