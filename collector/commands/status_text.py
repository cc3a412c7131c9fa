"""The status of a replica as text. It has the facts of the status page, in the same order: the worst first."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from collector.plurals import counted

Json = Mapping[str, Any]

ORDER = ("parked", "backing_off", "restoring", "catching_up", "paused", "live", "complete", "not_owned")
"""The states, worst first. States that this version does not know come last."""
_STYLES = {"parked": "bold red", "backing_off": "yellow", "live": "green", "complete": "green"}
_UNITS = ((2 * 86_400, 86_400, "d"), (3600, 3600, "h"), (60, 60, "min"), (0, 1, "s"))
"""From how many seconds on a unit is used, its length, and its name."""
_HEADER = ("STATE", "SOURCE", "STREAM", "VENDOR", "OWNER", "BEHIND", "PUBLISHED UP TO", "EVENTS IN 1 H")


def is_well(status: Json) -> bool:
    """Whether the replica is ready, no stream of it is parked, and no changed configuration was refused.

    Streams of other replicas do not count: this one does not know how they are.
    """
    return bool(status["ready"]) and not _in_state(status, "parked") and not _refused(status)


def lines(status: Json) -> Iterator[Text]:
    """The lines for a terminal. Control characters in texts of vendors and brokers are replaced."""
    now = datetime.fromisoformat(status["now"])
    yield _headline(status)
    yield _line(_about(status, now), "dim")
    for text in _elsewhere(status):
        yield _line(text)
    if _refused(status):
        yield _line(f"configuration refused at {status['config']['refused_at']}; the former one applies", "bold yellow")
        yield from (_line(f"  {error}") for error in status["config"].get("errors") or ())
        yield _line("  what to do: correct it; the files are read again every ten seconds, without a restart")
    yield from _troubles(status, now)
    streams = sorted(status["streams"], key=_rank)
    if streams:
        yield Text()
        yield from _table(streams)
    if notices := list(_notices(status, now)):
        yield Text()
        yield from notices


def _headline(status: Json) -> Text:
    """What an operator must know first."""
    streams = status["streams"]
    owned = [each for each in streams if each["state"] != "not_owned"]
    of_all = f"{counted(len(owned), 'stream')}{'' if len(owned) == len(streams) else ' of this replica'}"
    if not status["ready"]:
        return _line(f"not ready: {status['reason']}", "bold red")
    for state, words in (("parked", "parked"), ("backing_off", "backing off"), ("restoring", "being restored")):
        if found := _in_state(status, state):
            name = f": {_name(found[0])}" if len(found) == 1 else ""
            return _line(f"{len(found)} of {of_all} {words}{name}", _STYLES.get(state, "bold"))
    if _refused(status):
        return _line("the changed configuration was refused", "bold yellow")
    return _calm_headline(status, of_all)


def _calm_headline(status: Json, of_all: str) -> Text:
    """The summary when no stream has a problem; `of_all` is the number of streams of this replica."""
    streams, others = status["streams"], _in_state(status, "not_owned")
    if not streams:
        return _line("no streams configured", "bold")
    if len(others) == len(streams):
        return _line("on standby: this replica owns no streams", "bold")
    if paused := _in_state(status, "paused"):
        rest = ", the others healthy" if len(paused) + len(others) < len(streams) else ""
        return _line(f"{len(paused)} of {of_all} paused{rest}", "bold")
    return _line(f"{of_all} healthy", "bold" if others else "bold green")


def _about(status: Json, now: datetime) -> str:
    kafka = status["kafka"]
    facts = [f"collector {status['version']}", f"host {status['host']}" if status.get("host") else ""]
    facts += [f"group {status['group']}", f"Kafka {kafka['state']}"]
    if kafka.get("bootstrap_servers"):
        facts[-1] += f" at {kafka['bootstrap_servers']}"
    facts.append(f"last commit {_ago(kafka['last_commit'], now)}" if kafka["last_commit"] else "no commit yet")
    if status["started"]:
        facts.append(f"up {_ago(status['started'], now, '')}")
    return ", ".join(filter(None, facts))


def _elsewhere(status: Json) -> Iterator[str]:
    """Who owns the streams that this replica does not."""
    others = _in_state(status, "not_owned")
    counts = Counter(map(_owner, others))
    unknown = counts.pop("", 0)
    for owner, count in sorted(counts.items()):
        yield f"{owner} owns {counted(count, 'stream')}: see the status of that replica"
    if unknown:
        problem = status.get("owners_problem")
        why = f"the owner is not known ({problem})" if problem else "no replica owns it yet"
        yield f"{counted(unknown, 'stream')}: {why}"


def _troubles(status: Json, now: datetime) -> Iterator[Text]:
    """Each error once for the streams of a source that have it, and what to do."""
    causes: dict[tuple[str, str, str, str], list[Json]] = {}
    for state in ("parked", "backing_off"):
        for stream in _in_state(status, state):
            if error := stream["last_error"]:
                cause = state, stream["source"], error["error"], error["advice"]
                causes.setdefault(cause, []).append(stream)
    for (state, source, reason, advice), streams in causes.items():
        yield Text()
        names = ", ".join(each["stream"] for each in streams)
        yield _line(f"{state.replace('_', ' ')}: {source} {names}", _STYLES[state])
        yield _line(f"  {'what to do: ' if state == 'parked' else ''}{advice}")
        retry_at = min((each["last_error"]["retry_at"] or "" for each in streams), default="")
        yield _line(f"  {reason} ({_ago(streams[0]['last_error']['at'], now)}{_next(retry_at, now)})", "dim")


def _table(streams: Sequence[Json]) -> Iterator[Text]:
    rows = [_HEADER, *map(_cells, streams)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    states = ["", *(each["state"] for each in streams)]
    for row, state in zip(rows, states, strict=True):
        first, *others = map(str.ljust, row, widths)
        style = _STYLES.get(state, "") if state else "bold"
        line = Text(no_wrap=True).append(first, style=style)
        yield line.append("  " + "  ".join(others).rstrip(), style="" if state else "bold")


def _cells(stream: Json) -> tuple[str, ...]:
    state, lag = stream["state"].replace("_", " "), stream["lag_s"]
    if stream["state"] == "restoring" and stream["restoring"] is not None:
        state += f" {int(100 * stream['restoring'])} %"
    if (backfill := stream.get("backfill")) and isinstance(backfill.get("share"), (int, float)):
        state += f" {int(100 * backfill['share'])} %"
    events = "-" if stream["state"] == "not_owned" else str(sum(stream["events_per_minute"]))
    behind = "-" if lag is None or backfill else _duration(lag)
    watermark = stream["watermark"] or "-"
    if backfill:  # its watermark goes on to the present, as that of the stream does
        watermark = min(watermark, backfill.get("to") or watermark)
    names = (state, stream["source"], stream["stream"], stream["vendor"], _owner(stream) or "-")
    return tuple(map(_printable, (*names, behind, watermark, events)))


def _notices(status: Json, now: datetime) -> Iterator[Text]:
    """Why streams are paused or wait, what could not be published, and each notice once, with what it is about."""
    for stream in status["streams"]:
        if paused := stream.get("paused"):
            until = f" until {paused['until']}" if paused.get("until") else ""
            by = f" by {paused['by']}" if paused.get("by") else ""
            yield _line(f"{_name(stream)} is paused{by} since {paused.get('since')}{until}: {paused.get('reason')}")
        if late_until := _late_until(stream, now):
            yield _line(f"{_name(stream)} waits for late records until {late_until}, and is complete then")
    for stream in status["streams"]:
        if count := sum((stream["counts"].get("dead_letters") or {}).values()):
            yield _line(f"{_name(stream)}: {counted(count, 'dead letter')}: see `collector dead-letters list`")
        if missing := stream.get("missing"):
            yield _line(f"{_name(stream)}: {counted(missing, 'numbered record')} not received so far")
    about: dict[str, list[str]] = {text: ["this replica"] for text in status.get("notices") or ()}
    for name, each in [(row["source"], row) for row in status["sources"]] + [(_name(s), s) for s in status["streams"]]:
        for text in each.get("notices") or ():
            about.setdefault(text, []).append(name)
    for text, names in about.items():
        yield _line(f"notice about {', '.join(names)}: {text}")


def _late_until(stream: Json, now: datetime) -> str:
    """Until when a backfill waits that has published everything else; empty if it does not wait."""
    backfill = stream.get("backfill") or {}
    late_until = backfill.get("late_until") if stream["state"] == "live" and backfill.get("share") == 1 else None
    return late_until if late_until and datetime.fromisoformat(late_until) > now else ""


def _in_state(status: Json, state: str) -> list[Json]:
    return [each for each in status["streams"] if each["state"] == state]


def _refused(status: Json) -> bool:
    return bool((status.get("config") or {}).get("refused_at"))


def _rank(stream: Json) -> tuple[int, str, str]:
    state = stream["state"]
    return ORDER.index(state) if state in ORDER else len(ORDER), stream["source"], stream["stream"]


def _owner(stream: Json) -> str:
    """The owner's host; empty if it is not known, and of replicas that report none."""
    return stream.get("owner") or ""


def _name(stream: Json) -> str:
    return f"{stream['source']} {stream['stream']}"


def _ago(instant: str, now: datetime, suffix: str = " ago") -> str:
    return _duration((now - datetime.fromisoformat(instant)).total_seconds()) + suffix


def _next(instant: str, now: datetime) -> str:
    if not instant:
        return ""
    return f", next attempt in {_duration((datetime.fromisoformat(instant) - now).total_seconds())}"


def _duration(seconds: float) -> str:
    """In its largest unit, rounded down, as on the page."""
    seconds = max(0, int(seconds))
    length, unit = next((length, unit) for start, length, unit in _UNITS if seconds >= start)
    return f"{seconds // length} {unit}"


def _line(text: str, style: str = "") -> Text:
    return Text(_printable(text), style=style)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text)
