"""Streams audience data from signage vendors to Kafka, exactly once. Start reading at `worker.py`."""


def __getattr__(name: str) -> str:
    """Return `__version__`, read on first use: reading it is slow, and Ctrl-C during this import prints a traceback."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - see above

    return version("collector")
