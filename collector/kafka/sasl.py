"""`[kafka.sasl]` in the configuration."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ModelWrapValidatorHandler, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError, ValidationError

from collector.errors import did_you_mean
from collector.raw_config import EnvironmentValue
from collector.secrets import Secret
from collector.settings import STRICT, can_carry_secrets, check_printable, parse_base_url

TOKENS = "OAUTHBEARER"
"""The mechanism with tokens (RFC 7628, KIP-255). All others have a user and a password."""
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", TOKENS)
_HINTS = {
    "AWS_MSK_IAM": f'. For Amazon MSK by IAM, set mechanism = "{TOKENS}" and aws_region',
    "GSSAPI": ". Kerberos (GSSAPI) is not supported",
    "KERBEROS": ". Kerberos (GSSAPI) is not supported",
}
"""What to say of mechanisms that the collector does not have, or that other programs name otherwise."""
_SOURCES = ("token", "token_url", "aws_region")
_OF_CLIENT = ("client_id", "client_secret")
_EXPECTED_SOURCE = (
    f"{TOKENS} requires one source of tokens: token; token_url, with client_id and client_secret; or aws_region"
)
_EXTENSION_NAME = re.compile(r"[A-Za-z]+")
_EXTENSION_VALUE = re.compile(r"[\x21-\x7e \t\r\n]+")
"""RFC 7628, 3.1, and KIP-342: printable ASCII and white space, not empty. The separator `\\x01` is excluded."""


def _explain_mechanism(given: object) -> object:
    if isinstance(given, str) and given not in MECHANISMS:
        hint = _HINTS.get(given.upper()) or did_you_mean(given.upper(), MECHANISMS)
        *others, last = map(repr, MECHANISMS)
        raise _custom(f"expected {', '.join(others)} or {last}{hint}", "not_allowed")
    return given


def _validate_token_url(given: str) -> str:
    check_printable(given)
    parse_base_url(given.partition("?")[0], "https://login.example/oauth2/token")
    if urlsplit(given).fragment:
        raise ValueError("expected a URL without a fragment")
    if not can_carry_secrets(given, insecure_http=False):
        raise ValueError("plain http exposes the client's secret: use an https URL")
    return given


def _parse_extensions(given: object) -> tuple[tuple[str, str], ...]:
    """The pairs of the table. A tuple, because settings are the keys of caches."""
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise PydanticCustomError("wrong_type", 'expected a table of strings, such as { logicalCluster = "lkc-12345" }')
    for name, value in given.items():
        if isinstance(value, EnvironmentValue):
            raise _custom("set it in the file: names of extensions are case-sensitive, those of variables are not")
        if not _EXTENSION_NAME.fullmatch(name) or name == "auth":
            raise ValueError(f"{name!a}: expected a name of letters other than auth (RFC 7628)")
        if not _EXTENSION_VALUE.fullmatch(value):
            raise ValueError(f"{name}: expected printable ASCII characters (RFC 7628)")
    return tuple(given.items())


class Sasl(BaseModel):
    """`[kafka.sasl]`: a user and a password, or the source of tokens."""

    model_config = STRICT

    mechanism: Annotated[
        Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"], BeforeValidator(_explain_mechanism)
    ]
    username: str | None = None
    password: Secret | None = None
    token: Secret | None = None
    token_url: Annotated[str, AfterValidator(_validate_token_url)] | None = None
    client_id: Annotated[str, Field(min_length=1)] | None = None
    client_secret: Secret | None = None
    scope: Annotated[str, Field(min_length=1)] | None = None
    aws_region: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")] | None = None
    extensions: Annotated[tuple[tuple[str, str], ...], BeforeValidator(_parse_extensions)] | None = None
    """The SASL extensions that are sent with each token."""

    @model_validator(mode="wrap")
    @classmethod
    def _report_all(cls, given: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - any type
        """Report which keys do not belong together, along with what is wrong with the value of each key."""
        problems: list[InitErrorDetails] = []
        sasl: Self | None = None
        try:
            sasl = handler(given)
        except ValidationError as error:
            problems = [_repeated(each) for each in error.errors(include_url=False)]
        wrong = {each["loc"][:1] for each in problems}
        if isinstance(given, dict):
            problems += [each for each in _conflicts(given) if each["loc"] not in wrong]
        if sasl is None or problems:
            raise ValidationError.from_exception_data(cls.__name__, problems, hide_input=True)
        return sasl

    @property
    def secrets(self) -> Mapping[str, Secret]:
        """Every secret, by its key."""
        keys = {"password": self.password, "token": self.token, "client_secret": self.client_secret}
        return {key: secret for key, secret in keys.items() if secret is not None}


def _repeated(error: ErrorDetails) -> InitErrorDetails:
    """The same error, to be raised once more with others."""
    again = PydanticCustomError(error["type"], error["msg"], error.get("ctx"))
    return InitErrorDetails(type=again, loc=error["loc"], input=error["input"])


def _conflicts(given: Mapping[str, object]) -> Iterator[InitErrorDetails]:
    """What is wrong with the keys together. Nothing is as long as the mechanism is not known."""
    if given.get("mechanism") == TOKENS:
        yield from _conflicts_with_tokens(given)
    elif given.get("mechanism") in MECHANISMS:
        for key in _given(given, *_SOURCES, *_OF_CLIENT, "scope", "extensions"):
            yield _conflict(given, key, f'requires mechanism = "{TOKENS}"')
        yield from _missing(given, "username", "password")


def _conflicts_with_tokens(given: Mapping[str, object]) -> Iterator[InitErrorDetails]:
    for key in _given(given, "username", "password"):
        yield _conflict(given, key, f'cannot be used with mechanism = "{TOKENS}"')
    sources = _given(given, *_SOURCES)
    if not sources:
        yield InitErrorDetails(type=_custom(_EXPECTED_SOURCE), loc=(), input=given)
    for key in sources[1:]:
        yield _conflict(given, key, f"cannot be used with {sources[0]}: expected one source of tokens")
    if "token_url" in given:
        yield from _missing(given, *_OF_CLIENT)
    else:
        for key in _given(given, *_OF_CLIENT, "scope"):
            yield _conflict(given, key, "requires token_url")


def _missing(given: Mapping[str, object], *keys: str) -> Iterator[InitErrorDetails]:
    return (InitErrorDetails(type="missing", loc=(key,), input=given) for key in keys if key not in given)


def _given(table: Mapping[str, object], *keys: str) -> list[str]:
    return [key for key in keys if key in table]


def _conflict(given: Mapping[str, object], key: str, text: str) -> InitErrorDetails:
    return InitErrorDetails(type=_custom(text), loc=(key,), input=given[key])


def _custom(text: str, code: str = "invalid_value") -> PydanticCustomError:
    return PydanticCustomError(code, "{text}", {"text": text})
