"""Streams audience data from signage vendors to Kafka, exactly once. Start reading at `worker.py`."""


def __getattr__(name: str) -> str:
    """`__version__`, read when it is used: reading it takes long enough for Ctrl-C to arrive meanwhile."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - see above

    return version("collector")
