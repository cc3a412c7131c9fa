"""Which host owns each state partition, as the coordinator of the consumer group describes it.

The consumer of the group names its host in its client id, because the coordinator reports client ids but not hosts: the
address of a member is that of a container, or of a proxy. See docs/decisions/0053.
"""

import re
import socket
from collections.abc import Mapping
from functools import cache

import anyio
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError

from collector.clock import Clock
from collector.errors import KafkaMisconfigured
from collector.kafka import requests
from collector.kafka.connection import CLIENT_ID, UNAVAILABLE, reason_of
from collector.kafka.requests import Member
from collector.kafka.settings import KafkaSettings
from collector.kafka.topics import admin
from collector.telemetry.kafka import KafkaTelemetry

MAX_AGE_S = 10.0
"""How old the owners may be that are shown. A rebalance takes seconds, and each request opens connections."""
WAIT_S = 1.0
"""How long the status waits for them. After that, it shows what was known before."""
MAX_HOST_LENGTH = 253
"""The longest name of a host in DNS (RFC 1035)."""
_SEPARATOR = "@"
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")
"""What neither a host name nor a client id contains: brokers and their tools escape it in different ways."""


@cache
def this_host() -> str:
    """The name of this host, as other replicas see it: of a pod, that of the pod."""
    return _UNUSUAL.sub("-", socket.gethostname())[:MAX_HOST_LENGTH] or "localhost"


def member_client_id() -> str:
    """The client id of the group's consumer."""
    return f"{CLIENT_ID}{_SEPARATOR}{this_host()}"


def host_of(member: Member) -> str:
    """The host of a member: as it names it, or the address of one that runs a release that names none."""
    _, _, host = member.client_id.partition(_SEPARATOR)
    return host or member.client_host.removeprefix("/")


async def owners_of(client: AIOKafkaAdminClient, settings: KafkaSettings) -> Mapping[int, str] | None:
    """The host that owns each state partition; None while the group rebalances. Partitions without an owner are absent.

    Raises the KafkaError that the broker responds with, OSError or TimeoutError.
    """
    node = await requests.coordinator(client, settings.group, is_transactional=False)
    group = await requests.describe_group(client, node, settings.group)
    if group.members and not group.is_stable:
        return None
    return {
        partition: host_of(member)
        for member in group.members
        for partition in member.partitions.get(settings.state_topic, ())
    }


async def known_owners(client: AIOKafkaAdminClient, settings: KafkaSettings) -> Mapping[int, str]:
    """The host that owns each state partition; empty if that is not known."""
    try:
        return await owners_of(client, settings) or {}
    except UNAVAILABLE:
        return {}


class Owners:
    """Keeps the owners in the status, while somebody requests the status."""

    def __init__(self, settings: KafkaSettings, telemetry: KafkaTelemetry, clock: Clock) -> None:
        self._settings = settings
        self._telemetry = telemetry
        self._clock = clock
        self._requested_at: float | None = None
        """When they were last requested, in seconds of the monotonic clock."""
        self._due = anyio.Event()
        self._received = anyio.Event()

    async def refresh(self) -> None:
        """Request the owners if they are older than MAX_AGE_S. Returns when they are received, after WAIT_S at most."""
        now = self._clock.monotonic_s()
        if self._requested_at is not None and now - self._requested_at < MAX_AGE_S:
            return
        self._requested_at, self._received = now, anyio.Event()
        received = self._received
        self._due.set()
        with anyio.move_on_after(WAIT_S):
            await received.wait()

    async def run(self) -> None:
        """Request the owners whenever `refresh` wants them; never returns."""
        while True:
            await self._due.wait()
            self._due = anyio.Event()
            await self._request()
            self._received.set()

    async def _request(self) -> None:
        """Request the owners, and report them, or why they are not known. During a rebalance the former ones remain."""
        if self._settings.is_mock:  # the embedded broker describes no groups; the demo has a single replica
            self._telemetry.owners_known({})
            return
        try:
            with anyio.fail_after(self._settings.request_timeout_s):
                async with admin(self._settings) as client:
                    owners = await owners_of(client, self._settings)
        except GroupAuthorizationFailedError:
            self._telemetry.owners_unknown(f"this user may not Describe the group {self._settings.group}")
        except KafkaMisconfigured as error:
            self._telemetry.owners_unknown(str(error))
        except UNAVAILABLE as error:
            self._telemetry.owners_unknown(reason_of(error))
        except Exception as error:  # noqa: BLE001 - services may respond as no Apache Kafka does
            self._telemetry.owners_unknown(f"unexpected {type(error).__name__}")
        else:
            if owners is not None:
                self._telemetry.owners_known(owners)
