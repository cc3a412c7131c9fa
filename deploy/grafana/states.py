"""The states of streams: severity, colour, and the query that returns them."""

from deploy.grafana.panels import BLUE, GREEN, GREY, ORANGE, RED, value_mapping
from deploy.grafana.promql import max_by, stream

STATES = {
    "live": (1, GREEN),
    "complete": (2, GREY),
    "paused": (3, GREY),
    "catching_up": (4, BLUE),
    "restoring": (5, BLUE),
    "backing_off": (6, ORANGE),
    "parked": (7, RED),
    "not_owned": (8, RED),
}
"""The severity and the colour of each state. Red: an operator must act. Orange: the collector retries by itself."""
STATE_NAMES = value_mapping({severity: (state, colour) for state, (severity, colour) in STATES.items()})

STATE = max_by(
    "source, stream",
    " or ".join(stream("collector:stream_state", f'state="{state}"') + f" * {n}" for state, (n, _) in STATES.items()),
)
"""The state of each stream as its severity in STATES; the more severe one while the stream moves between replicas."""
