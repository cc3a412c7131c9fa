"""What the state topic has of streams and of pauses, for `collector state show`."""

from collections.abc import Mapping
from datetime import datetime
from urllib.parse import unquote

from msgspec import structs

from collector.pipeline.pauses import pauses_by_prefix, pauses_of, source_prefix
from collector.pipeline.shards import published_prefix
from collector.pipeline.state import Summary, by_stream, summary


def summaries(pairs: Mapping[bytes, bytes], now: datetime) -> list[Summary]:
    """A summary of each stream, with the pause that is in effect. `pairs` are those of whole partitions.

    A stream is paused with its shards and its backfill. A source or a stream that is paused and has no state has a
    summary too.
    """
    found: dict[str, Summary] = {}
    for prefix, of_stream in by_stream(pairs).items():
        if (of_prefix := summary(prefix, of_stream)) is not None:
            pauses = [each for each in pauses_of(published_prefix(prefix), pairs).values() if not each.is_over(now)]
            found[prefix] = structs.replace(of_prefix, paused=next(iter(pauses), None))
    listed = {name for prefix in found for name in (source_prefix(prefix), published_prefix(prefix))}
    for prefix, pause in pauses_by_prefix(pairs).items():
        if prefix not in listed and not pause.is_over(now):
            vendor, user, source, *stream = map(unquote, prefix.split("/"))
            found[prefix] = Summary(vendor, user, source, next(iter(stream), None), None, 0, paused=pause)
    return [found[prefix] for prefix in sorted(found)]
