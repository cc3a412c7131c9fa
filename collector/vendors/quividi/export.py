"""An export, which the vendor builds while one asks for it again and again: pure, one answer at a time.

Source: the vendor's document, "Asynchronous usage" and "Rate limiting". Polling repeats the request *without*
`force_rebuild`: with it, the export would start over for ever. A first answer that is already finished is an old one
out of the cache, and is rebuilt once; one that is in progress was started lately, by ourselves before a restart or by
the replica before us, and is taken.
"""

from datetime import datetime, timedelta

from msgspec import Struct, structs

from collector.errors import Park, RetryLater

MAX_RUNNING_EXPORTS = 3
"""Of one user; the vendor refuses a fourth."""
POLLS_S = (1.0, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0)
"""Before the polls, the last for all that follow: small exports come at once, large ones cost two calls a minute."""
MAX_POLLS = 120
"""An export that is not there after an hour is not waited for: less is asked for next time."""
REBUILDS_S = (10.0, 60.0, 300.0)
"""Before each rebuild of an export that failed; after these it is the operator's case."""
REBUILD_AGAIN = timedelta(hours=1)
"""Then a rebuild is tried so often: a user who invalidates the cache all the time may be disabled."""


STATES = ("started", "in_progress", "finished", "failed")


class Export(Struct, frozen=True):
    """What this process knows of one export, which is one exact set of parameters."""

    not_before: datetime
    """Nobody asked for it earlier: its window had not come to its end."""
    requested_at: datetime | None = None
    """What the vendor had at this instant is in it; None while it is not known who started it, and when."""
    running: bool = False
    """The vendor is building it, as far as was heard: it takes one of the places."""
    polls: int = 0
    rebuilds: int = 0
    """Of a failed one, in a row."""
    rebuilt_at: datetime | None = None


class ExportStatus(Struct, frozen=True):
    """One answer of the vendor to a call made at `called_at`."""

    state: str
    called_at: datetime
    forced: bool = False
    """The call asked for a rebuild."""
    has_rows: bool = False
    reason: str = ""
    """Why it failed, in the vendor's words."""


class Call(Struct, frozen=True):
    """Make the request, after so many seconds."""

    wait_s: float = 0.0
    force: bool = False


class Take(Struct, frozen=True):
    """The rows are there: all that the vendor had at `asked_at`."""

    requested_at: datetime


def advance(export: Export, said: ExportStatus) -> tuple[Export, Call | Take]:
    """What is known after an answer, and what to do now. Raises GaveUp."""
    if said.forced and said.state in STATES:
        export = structs.replace(export, requested_at=said.called_at, polls=0)
    match said.state:
        case "started":
            requested_at = export.requested_at or said.called_at
            return _polling(structs.replace(export, requested_at=requested_at))
        case "in_progress":
            return _polling(structs.replace(export, requested_at=export.requested_at or export.not_before))
        case "finished" if said.has_rows:
            export = structs.replace(export, running=False, polls=0)
            if export.requested_at is None:
                return export, Call(force=True)
            return structs.replace(export, rebuilds=0), Take(export.requested_at)
        case "finished":
            return _failed(export, "it is finished, and has no list of rows", said.called_at)
        case "failed":
            return _failed(export, said.reason or "no reason given", said.called_at)
        case _:
            raise GaveUp(export, RetryLater(f"the export is in an unknown state: {said.state[:40]!r}"))


def abandoned(export: Export) -> Export:
    """What is left of what was known, when nobody has asked for a while about one that was running."""
    return structs.replace(export, requested_at=None, running=False, polls=0) if export.running else export


class GaveUp(Exception):  # noqa: N818 - named by what happened
    """Nothing more can be done now: what is known of the export, and what the caller of it all must do."""

    def __init__(self, export: Export, error: RetryLater | Park) -> None:
        super().__init__(str(error))
        self.export = export
        self.error = error


def _polling(export: Export) -> tuple[Export, Call]:
    polls = export.polls + 1
    if polls > MAX_POLLS:
        trouble = RetryLater(f"the export is not finished after {MAX_POLLS} polls", narrower=True)
        raise GaveUp(structs.replace(export, running=True, polls=0), trouble)
    return structs.replace(export, running=True, polls=polls), Call(POLLS_S[min(polls, len(POLLS_S)) - 1])


def _failed(export: Export, reason: str, now: datetime) -> tuple[Export, Call]:
    export = structs.replace(export, running=False, requested_at=None, polls=0)
    if export.rebuilds < len(REBUILDS_S):
        wait_s = REBUILDS_S[export.rebuilds]
    elif export.rebuilt_at is None or now - export.rebuilt_at >= REBUILD_AGAIN:
        wait_s = 0.0
    else:
        advice = "the vendor cannot build it: if it lasts, ask Quividi; it is rebuilt once an hour, and nothing is lost"
        raise GaveUp(export, Park(f"the export failed {export.rebuilds} times: {reason[:200]}", advice=advice))
    return structs.replace(export, rebuilds=export.rebuilds + 1, rebuilt_at=now), Call(wait_s, force=True)
