"""The panels of the states and the freshness of streams, on the dashboards for operators and of a source."""

from collections.abc import Sequence

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.grafana.panels import line_panel, state_panel, with_limit
from deploy.grafana.promql import max_by, stream
from deploy.grafana.states import STATE, STATE_NAMES

BY_STREAM = "source, stream"
NAME = "{{source}}/{{stream}}"
OBJECTIVE = 0.99
"""The share of the time in which a stream is to be fresh. The rules of CollectorFreshnessBurn have the same."""


def panels() -> Sequence[Builder[Panel]]:
    return (
        state_panel(
            "States",
            "The state of each stream over time. While a stream moves between replicas, the more severe state is "
            "shown.",
            {NAME: STATE},
            [STATE_NAMES],
        ),
        line_panel(
            "Behind",
            "Time from the watermark to now; all data that the vendor had before the watermark is published. The limit "
            "is the stream's freshness. If it grows, the stream cannot keep up, or its vendor is unavailable.",
            {NAME: max_by(BY_STREAM, stream("collector:watermark_age_seconds"))},
            unit="s",
            limits={NAME: max_by(BY_STREAM, stream("collector:freshness_target_seconds"))},
        ),
        line_panel(
            "Since last success",
            "Time since a window was last fetched and published completely. Normally between zero and the stream's "
            "interval. Above the limit, the stream is stale.",
            {NAME: max_by(BY_STREAM, stream("collector:success_age_seconds"))},
            unit="s",
            limits={NAME: max_by(BY_STREAM, stream("collector:stale_after_seconds"))},
        ),
        with_limit(
            line_panel(
                "Not fresh, of the last six hours",
                "Share of the time in which the watermark was older than the stream's freshness. Above the line, the "
                "error budget of a month is used up within five days.",
                {NAME: max_by(BY_STREAM, stream("collector:not_fresh:ratio_6h"))},
                unit="percentunit",
            ),
            6 * (1 - OBJECTIVE),  # the limit of CollectorFreshnessBurn
        ),
    )
