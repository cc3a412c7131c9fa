"""The events of aggregated viewers, OTS, gates and extrapolations: one for each row, and a revision when it changes."""

from typing import Annotated

from msgspec import Meta

from collector.model import EventType
from collector.vendors.quividi.aggregate_bases import (
    AttentionMs,
    ByDemographics,
    ByLocation,
    BySelection,
    DurationMs,
    DwellMs,
    RepeatedDurationMs,
    WatcherCount,
)


class ViewersAggregatedV1(ByDemographics, frozen=True, kw_only=True, gc=False):
    """The number of people who looked at a location's screen in a period, and their total times."""

    watcher_count: WatcherCount
    dwell_ms: DwellMs
    attention_ms: AttentionMs
    conversion_percent: Annotated[
        float | None, Meta(description="Watchers as a percentage of OTS; null if grouped by demographics.")
    ]


class OtsV1(ByLocation, frozen=True, kw_only=True, gc=False):
    """The number of people who had the opportunity to see (OTS) a location's screen in a period."""

    ots_count: Annotated[int | None, Meta(description="Opportunities to see; includes the watchers.")]
    watcher_count: WatcherCount
    duration_ms: DurationMs
    effective_ots_count: Annotated[
        int | None,
        Meta(
            description="OTS inside the effective viewing angle. The vendor has it for periods of `1h`, `1d`, `7d` and "
            "`1M` only."
        ),
    ] = None
    status: Annotated[
        str | None,
        Meta(
            description="How the source of the data was doing, in the vendor's words, which it does not document. It "
            "has it for periods of `15m` only."
        ),
    ] = None


class _ByGate(ByLocation, frozen=True, gc=False):
    record_id: Annotated[
        str,
        Meta(
            description="`quividi/<user>/<stream>/<location>/<local start>/<resolution>/<gate>`: equal for all "
            "revisions of the record."
        ),
    ]
    gate_id: Annotated[int | None, Meta(description="The vendor's number of the gate; null if there is no data.")]


class GateV1(_ByGate, frozen=True, kw_only=True, gc=False):
    """The number of people who passed a location's gate in a period."""

    in_count: Annotated[int | None, Meta(description="People who entered.")]
    out_count: Annotated[int | None, Meta(description="People who left.")]
    duration_ms: RepeatedDurationMs


_ExtrapolatedWatchers = Annotated[
    float | None, Meta(description="People who looked at the screens, as projected by the vendor.")
]


class ExtrapolatedOtsV1(BySelection, frozen=True, kw_only=True, gc=False):
    """The opportunities to see (OTS) in a period, projected by the vendor from a sample of locations."""

    ots_count: Annotated[
        float | None, Meta(description="Opportunities to see, as projected by the vendor; includes the watchers.")
    ]
    watcher_count: _ExtrapolatedWatchers
    duration_ms: Annotated[
        int | None,
        Meta(description="`duration`, in milliseconds. The vendor does not document what it means for a projection."),
    ]


class ExtrapolatedWatchersV1(BySelection, frozen=True, kw_only=True, gc=False):
    """The people who looked at the screens in a period, projected by the vendor from a sample of locations."""

    watcher_count: _ExtrapolatedWatchers
    dwell_ms: DwellMs
    attention_ms: AttentionMs


VIEWERS_AGGREGATED = EventType("quividi.viewers_aggregated.v1", "quividi.viewers_aggregated", ViewersAggregatedV1)
OTS = EventType("quividi.ots.v1", "quividi.ots", OtsV1)
GATE = EventType("quividi.gate.v1", "quividi.gate", GateV1)
EXTRAPOLATED_OTS = EventType("quividi.extrapolated_ots.v1", "quividi.extrapolated_ots", ExtrapolatedOtsV1)
EXTRAPOLATED_WATCHERS = EventType(
    "quividi.extrapolated_watchers.v1", "quividi.extrapolated_watchers", ExtrapolatedWatchersV1
)
