"""`collector schema --register`: puts the schemas of the configured streams into a schema registry."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import anyio
from msgspec import Struct

from collector.commands.schema import json_schema
from collector.config import Settings, load
from collector.errors import NeedsOperator, RetryLater, UserError
from collector.model import EventType
from collector.registry.client import Credentials, RegisteredSchema, SchemaRegistry, schema_registry
from collector.registry.compatibility import Compatibility
from collector.registry.differences import differences
from collector.registry.failures import INCOMPATIBLE, SchemaRejected, one_line
from collector.secrets import Secret, redact
from collector.settings import parse_base_url

EXAMPLE = "https://registry.example"


class Outcome(Struct, frozen=True):
    """What became of one subject."""

    subject: str
    state: Literal["registered", "unchanged", "refused"]
    text: str
    """The version and the id, or why the registry refuses the schema."""

    def __str__(self) -> str:
        return f"{self.state:<10} {self.subject}: {one_line(redact(self.text))}"


Report = Callable[[Outcome], None]


def register(
    path: Path, url: str, compatibility: Compatibility, username: str | None, password_file: Path | None, report: Report
) -> bool:
    """Set the compatibility of each subject, and register its schema; return whether the registry accepts all.

    Raises UserError when the configuration or an option is wrong, and when the registry cannot be used.
    """
    try:
        address = parse_base_url(url, EXAMPLE)
    except ValueError as error:
        raise UserError(f"--register: {error}{_credentials_advice(url)}", code="invalid_url") from None
    credentials = _credentials(username, password_file)
    settings = load(path)
    try:
        return anyio.run(_register_all, settings, address, compatibility, credentials, report)
    except (NeedsOperator, RetryLater) as error:
        raise UserError(f"--register: {error}: {error.advice}", code=error.code) from None


def _credentials_advice(url: str) -> str:
    return ": use --username and --password-file" if "@" in url else ""


def _credentials(username: str | None, password_file: Path | None) -> Credentials | None:
    if username is None and password_file is None:
        return None
    if username is None or password_file is None:
        raise UserError("--username and --password-file must be used together", code="incomplete_credentials")
    if not username or ":" in username or not username.isprintable():
        raise UserError("--username: expected a name without colons (RFC 7617)", code="invalid_username")
    return Credentials(username, Secret.model_validate({"file": str(password_file)}))


async def _register_all(
    settings: Settings, url: str, compatibility: Compatibility, credentials: Credentials | None, report: Report
) -> bool:
    are_accepted = True
    async with schema_registry(url, credentials) as registry:
        for subject, event_type in sorted(subjects(settings.topics()).items()):
            outcome = await register_one(registry, subject, registry_schema(event_type), compatibility)
            report(outcome)
            are_accepted &= outcome.state != "refused"
    return are_accepted


def subjects(topics: Mapping[str, EventType]) -> dict[str, EventType]:
    """The types by their subject, as Confluent's TopicNameStrategy names it. A topic has the messages of one type."""
    return {f"{topic}-value": event_type for topic, event_type in topics.items()}


def registry_schema(event_type: EventType) -> dict[str, Any]:
    """The schema of a type, as it is registered: in draft-07, which every registry knows.

    Apicurio 2.6.13 accepts a first version in 2020-12, but responds with HTTP 500 ("could not determine version") to
    the second one: it cannot compare versions later than draft-07. Karapace knows no later draft either.
    """
    return json_schema(event_type, draft_07=True)


async def register_one(
    registry: SchemaRegistry, subject: str, schema: dict[str, Any], compatibility: Compatibility
) -> Outcome:
    """Set the compatibility of a subject if it is another, then register its schema unless it is a version already."""
    former = await registry.compatibility(subject)
    note = f"; compatibility {compatibility.value}"
    if former != compatibility:  # many users may register, but not set the compatibility
        await registry.set_compatibility(subject, compatibility)
        note += f", formerly {former}" if former else ""
    try:
        if found := await registry.find(subject, schema):
            return Outcome(subject, "unchanged", _place(found) + note)
        return Outcome(subject, "registered", _place(await registry.register(subject, schema)) + note)
    except SchemaRejected as error:
        return Outcome(subject, "refused", await _reason(registry, subject, schema, compatibility, error))


def _place(registered: RegisteredSchema) -> str:
    version = "" if registered.version is None else f"version {registered.version}, "
    return f"{version}id {registered.id}"


async def _reason(
    registry: SchemaRegistry,
    subject: str,
    schema: dict[str, Any],
    compatibility: Compatibility,
    rejected: SchemaRejected,
) -> str:
    """Why a schema is refused: how it differs from the latest version, and the registry's own reason."""
    own = f"the registry reports: {rejected}"
    if rejected.code != INCOMPATIBLE:
        return own
    latest = await registry.latest(subject)
    found = differences(_decoded(latest.schema), schema) if latest else ""
    compared = f"compared with version {latest.version}, it {found}; " if latest and found else ""
    return f"not {compatibility.value} compatible: {compared}{own}"


def _decoded(text: str) -> Any:  # noqa: ANN401 - JSON
    """The registered schema; None if it is not JSON: another program may have registered it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
