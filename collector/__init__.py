"""Streams audience data from signage vendors to Kafka, exactly once. Start reading at `worker.py`."""

from importlib.metadata import version

__version__ = version("collector")
