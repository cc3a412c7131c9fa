"""`collector schema --register`: puts the schemas of the configured streams into a schema registry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import anyio
from msgspec import Struct

from collector.config import Settings, load
from collector.errors import NeedsOperator, RetryLater, UserError
from collector.kafka.schema_registry import EXAMPLE, SchemaRegistrySettings, validate_username
from collector.redaction import redact
from collector.registry.client import Credentials, RegisteredSchema, SchemaRegistry, schema_registry
from collector.registry.compatibility import Compatibility
from collector.registry.failures import SchemaRejected
from collector.registry.ids import credentials
from collector.registry.subjects import registry_schema, subjects, why_refused
from collector.secrets import Secret
from collector.settings import parse_base_url
from collector.vendors.plain_session import one_line


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

    If `url` is empty, the registry is that of the configuration, and so is its user unless another one is given.

    Raises UserError when the configuration or an option is wrong, and when the registry cannot be used.
    """
    address = _address(url) if url else None
    given = _credentials(username, password_file)
    settings = load(path)
    target = (address, given) if address else _configured(path, settings.kafka.schema_registry, given)
    try:
        return anyio.run(_register_all, settings, *target, compatibility, report)
    except (NeedsOperator, RetryLater) as error:
        raise UserError(f"--register: {error}: {error.advice}", code=error.code) from None


def _configured(
    path: Path, registry: SchemaRegistrySettings | None, given: Credentials | None
) -> tuple[str, Credentials | None]:
    """URL and user of the registry of the configuration."""
    if registry is None:
        text = f"--register: {path} has no [kafka.schema_registry]: add this table, or give the URL of a registry"
        raise UserError(text, code="registry_not_configured")
    return registry.url, given or credentials(registry)


def _address(url: str) -> str:
    try:
        return parse_base_url(url, EXAMPLE)
    except ValueError as error:
        raise UserError(f"--register: {error}{_credentials_advice(url)}", code="invalid_url") from None


def _credentials_advice(url: str) -> str:
    return ": use --username and --password-file" if "@" in url else ""


def _credentials(username: str | None, password_file: Path | None) -> Credentials | None:
    if username is None and password_file is None:
        return None
    if username is None or password_file is None:
        raise UserError("--username and --password-file must be used together", code="incomplete_credentials")
    try:
        validate_username(username)
    except ValueError as error:
        raise UserError(f"--username: {error}", code="invalid_username") from None
    return Credentials(username, Secret.model_validate({"file": str(password_file)}))


async def _register_all(
    settings: Settings, url: str, user: Credentials | None, compatibility: Compatibility, report: Report
) -> bool:
    are_accepted = True
    async with schema_registry(url, user) as registry:
        for subject, event_type in sorted(subjects(settings.topics()).items()):
            outcome = await register_one(registry, subject, registry_schema(event_type), compatibility)
            report(outcome)
            are_accepted &= outcome.state != "refused"
    return are_accepted


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
        return Outcome(subject, "refused", await why_refused(registry, subject, schema, compatibility, error))


def _place(registered: RegisteredSchema) -> str:
    version = "" if registered.version is None else f"version {registered.version}, "
    return f"{version}id {registered.id}"
