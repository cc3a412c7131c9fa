"""The tables of the streams with a row for each viewer."""

from collections.abc import Mapping

from collector.vendors.quividi import finest_types
from collector.vendors.quividi.export_settings import ContentIds, FinestSettings, content_ids_argument


class ViewersSettings(FinestSettings):
    """`[sources.<name>.streams.viewers]`."""

    export_type = finest_types.VIEWERS


class ViewersApcSettings(FinestSettings):
    """`[sources.<name>.streams.viewers_apc]`."""

    export_type = finest_types.VIEWERS_APC

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return content_ids_argument(self.content_ids)
