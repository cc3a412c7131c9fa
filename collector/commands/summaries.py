"""What the state topic has of streams, pauses and backfills, for `collector state show`."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote

from msgspec import structs

from collector.pipeline.backfills import backfills_by_prefix
from collector.pipeline.pauses import pauses_by_prefix, pauses_of, source_prefix
from collector.pipeline.shards import published_prefix, whole_prefix
from collector.pipeline.state import Summary, by_stream, summary


def summaries(pairs: Mapping[bytes, bytes], now: datetime) -> list[Summary]:
    """A summary of each stream, with the pause that is in effect. `pairs` are those of whole partitions.

    A stream is paused with its shards and its backfill. A source or a stream that is paused and has no state has a
    summary too, and so has a backfill that has not begun.
    """
    backfills = backfills_by_prefix(pairs)
    found = {prefix: _without_state(prefix) for prefix in backfills}
    for prefix, of_stream in by_stream(pairs).items():
        if (of_prefix := summary(prefix, of_stream)) is not None:
            found[prefix] = of_prefix
    for prefix, each in found.items():
        pauses = (pause for pause in pauses_of(published_prefix(prefix), pairs).values() if not pause.is_over(now))
        found[prefix] = structs.replace(each, paused=next(pauses, None), backfill=backfills.get(whole_prefix(prefix)))
    listed = {name for prefix in found for name in (source_prefix(prefix), published_prefix(prefix))}
    for prefix, pause in pauses_by_prefix(pairs).items():
        if prefix not in listed and not pause.is_over(now):
            found[prefix] = structs.replace(_without_state(prefix), paused=pause)
    return [found[prefix] for prefix in sorted(found)]


def _without_state(prefix: str) -> Summary:
    """The summary of a source or a stream that has no state."""
    vendor, user, source, *stream = map(unquote, prefix.split("/"))
    return Summary(vendor, user, source, next(iter(stream), None), None, 0)
