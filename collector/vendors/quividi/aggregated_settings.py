"""The tables of the streams with numbers for each period."""

from collections.abc import Mapping

from collector.settings import Switch
from collector.vendors.quividi import aggregated_types
from collector.vendors.quividi.export_settings import AggregatedSettings, ContentIds, content_ids_argument
from collector.vendors.quividi.export_types import GROUP_BY_DEMOGRAPHICS


class ViewersAggregatedSettings(AggregatedSettings):
    """`[sources.<name>.streams.viewers_aggregated]`."""

    export_type = aggregated_types.VIEWERS_AGGREGATED

    group_by_demographics: Switch = False

    @property
    def options(self) -> Mapping[str, str]:
        return {GROUP_BY_DEMOGRAPHICS: "1"} if self.group_by_demographics else {}  # its presence counts, not its value


class OtsSettings(AggregatedSettings):
    """`[sources.<name>.streams.ots]`."""

    export_type = aggregated_types.OTS


class GateSettings(AggregatedSettings):
    """`[sources.<name>.streams.gate]`."""

    export_type = aggregated_types.GATE


class ProofOfPlayByLocationSettings(AggregatedSettings):
    """`[sources.<name>.streams.proof_of_play_by_location]`."""

    export_type = aggregated_types.PROOF_OF_PLAY_BY_LOCATION

    content_ids: ContentIds | None = None

    @property
    def options(self) -> Mapping[str, str]:
        return content_ids_argument(self.content_ids)


class ProofOfPlayBySiteSettings(ProofOfPlayByLocationSettings):
    """`[sources.<name>.streams.proof_of_play_by_site]`."""

    export_type = aggregated_types.PROOF_OF_PLAY_BY_SITE
