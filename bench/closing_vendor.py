"""The vendor of `live_vendor.py`, which closes connections: some after a response, and some instead of one."""

import asyncio
from itertools import count

from aiohttp import web

from bench.live_vendor import EVERY_S, LiveVendor, main

CLOSE_EVERY = 10
ABORT_EVERY = 101


class ClosingVendor(LiveVendor):
    """Closes the connection after some responses, and aborts it before others."""

    def __init__(self) -> None:
        super().__init__(EVERY_S)
        self._numbers = count(1)

    async def raw_data(self, request: web.Request) -> web.Response:
        response, number = await super().raw_data(request), next(self._numbers)
        if number % CLOSE_EVERY == 0:
            response.force_close()
        if number % ABORT_EVERY == 0 and request.transport is not None:
            request.transport.abort()
        return response


if __name__ == "__main__":
    asyncio.run(main(ClosingVendor()))
