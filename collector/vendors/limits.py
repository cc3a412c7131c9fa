"""The settings of the limits of requests, which all sources have."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, Field

from collector.settings import STRICT, Count, Duration, at_least


class Limits(BaseModel):
    """The limits of requests to a vendor. Sources of one account must have equal ones."""

    model_config = STRICT

    max_concurrency: Annotated[Count, Field(ge=1)] = 1
    max_requests_per_minute: Annotated[Count, Field(ge=1)] | None = None
    max_response_bytes: Annotated[Count, Field(ge=1 << 10)] = 16 << 20
    timeout: Annotated[Duration, at_least(timedelta(seconds=1))] = timedelta(seconds=60)
    """The longest time without a byte. A whole response may take `http.MAX_RESPONSE_TIMEOUTS` times as long."""
