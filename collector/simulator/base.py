"""What a simulated vendor provides. To add one, write a class with this shape and list it in `vendors.py`."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Protocol

from aiohttp import web
from msgspec import Struct, field

from collector.simulator.faults import Faults
from collector.simulator.rules import Rules
from collector.simulator.world import World


class Simulation(Struct, frozen=True):
    """What all simulated vendors share."""

    world: World
    now_ms: Callable[[], int]
    """The vendors' clock: Unix time in milliseconds."""
    rules: Rules = Rules()
    """How the vendors behave."""
    faults: Faults = field(default_factory=Faults)


class SimulatedVendor(Protocol):
    """One simulated vendor with one account."""

    vendor: ClassVar[str]
    """Its name in a configuration: `vendor = "..."`."""
    source: ClassVar[str]
    """The name of its source in the printed configuration and in the demo."""
    base_path: ClassVar[str]
    """The path of `base_url`."""
    main_stream: ClassVar[str]
    """The stream that a source without `streams` runs. The demo requires a stream of history."""
    demo_interval: ClassVar[str]
    """`interval` of the main stream in the demo."""

    def __init__(self, simulation: Simulation) -> None: ...

    def routes(self) -> Sequence[web.RouteDef]:
        """The routes of its API. Must not overlap with those of another simulated vendor."""
        ...

    def source_table(self) -> Mapping[str, str | int | Sequence[int]]:
        """The keys of its source in a configuration, without `base_url` and `streams`."""
        ...

    def expected_records(self, first_ms: int, last_ms: int) -> Counter[str]:
        """The records that the main stream must publish, by `<started_at> <record_id>` of their events.

        Of the main stream's event types, those with a field `record_id` and none `position` represent whole records:
        they need a field `started_at`, and there is one for each record.

        Contains every record that starts in `[first_ms, last_ms)`, and may contain others.
        """
        ...
