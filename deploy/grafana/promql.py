"""PromQL expressions with the dashboard's variables as filters.

Metrics of streams and sources are aggregated over all replicas, because streams move between them. Only metrics of
processes are filtered by replica.
"""

from collections.abc import Callable


def replica(metric: str, *matchers: str) -> str:
    return _select(metric, 'instance=~"$instance"', *matchers)


def source(metric: str, *matchers: str) -> str:
    return _select(metric, 'source=~"$source"', *matchers)


def stream(metric: str, *matchers: str) -> str:
    return _select(metric, 'source=~"$source"', 'stream=~"$stream"', *matchers)


def _select(metric: str, *matchers: str) -> str:
    filters = ", ".join(('job="$job"', *matchers))
    return f"{metric}{{{filters}}}"


def sum_by(by: str, expr: str) -> str:
    return f"sum by ({by}) ({expr})"


def max_by(by: str, expr: str) -> str:
    return f"max by ({by}) ({expr})"


def per_second(counter: str, over: str = "$__rate_interval") -> str:
    return f"rate({counter}[{over}])"


def mean(by: str, select: Callable[[str], str], summary: str, over: str = "$__rate_interval") -> str:
    """The mean of a summary. `select` is `source` or `stream`."""
    total, count = (sum_by(by, per_second(select(summary + suffix), over)) for suffix in ("_sum", "_count"))
    return f"{total} / {count}"


def quantile(share: float, by: str, buckets: str) -> str:
    """The value below which this share of a histogram's observations lies."""
    return f"histogram_quantile({share}, {sum_by(f'{by}, le', per_second(buckets))})"


def in_hour(counter: str) -> str:
    """The increase of a counter over an hour, for a sum over series of which some may be new."""
    return increase(counter, "1h")


def increase(counter: str, over: str) -> str:
    """The increase of a counter over a range.

    PromQL's `increase` ignores the first value of a new series. For a series that did not exist before the range, the
    increase is its value.
    """
    return f"{counter} unless {counter} offset {over} or increase({counter}[{over}])"
