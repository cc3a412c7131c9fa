"""How the dashboard asks: PromQL, with the dashboard's variables as filters.

What is of a stream is summed over all replicas, or the newest of it taken: a stream moves between them. Only what is
of a process is filtered by the replica.
"""


def replica(metric: str, *matchers: str) -> str:
    return _select(metric, 'instance=~"$instance"', *matchers)


def source(metric: str, *matchers: str) -> str:
    return _select(metric, 'source=~"$source"', *matchers)


def stream(metric: str, *matchers: str) -> str:
    return _select(metric, 'source=~"$source"', 'stream=~"$stream"', *matchers)


def _select(metric: str, *matchers: str) -> str:
    filters = ", ".join(('job="$job"', *matchers))
    return f"{metric}{{{filters}}}"


def total(by: str, expr: str) -> str:
    return f"sum by ({by}) ({expr})"


def newest(by: str, expr: str) -> str:
    return f"max by ({by}) ({expr})"


def per_second(counter: str) -> str:
    return f"rate({counter}[$__rate_interval])"


def quantile(share: float, by: str, buckets: str, over: str = "$__rate_interval") -> str:
    """Below which value so large a share of a histogram's observations lies."""
    return f"histogram_quantile({share}, sum by ({by}, le) (rate({buckets}[{over}])))"


def counted(counter: str, over: str) -> str:
    """How much was counted. A series that was not there before has counted all of it since."""
    return f"{counter} unless {counter} offset {over} or increase({counter}[{over}])"
