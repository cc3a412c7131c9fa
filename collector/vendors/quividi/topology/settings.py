"""The tables of the streams of an account's lists."""

from datetime import timedelta

from collector.vendors.source import PositiveDuration, SnapshotSettings


class TopologySettings(SnapshotSettings):
    """The keys that the tables have in common."""

    interval: PositiveDuration = timedelta(minutes=15)  # boxes upload about every 30 minutes; a list is one call


class LocationsSettings(TopologySettings):
    """`[sources.<name>.streams.locations]`."""


class SitesSettings(TopologySettings):
    """`[sources.<name>.streams.sites]`."""


class BoxesSettings(TopologySettings):
    """`[sources.<name>.streams.boxes]`."""


class ZonesSettings(TopologySettings):
    """`[sources.<name>.streams.zones]`."""


class TagsSettings(TopologySettings):
    """`[sources.<name>.streams.tags]`."""


class ContentsSettings(TopologySettings):
    """`[sources.<name>.streams.contents]`."""
