"""How long a token is used, and what happens when there is none; simulated time."""

import json
import sys
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from types import ModuleType

import anyio
import pytest
from aiokafka.conn import OAuthAuthenticator
from pydantic import TypeAdapter

from collector.authorization.client_credentials import IssuedToken
from collector.errors import KafkaMisconfigured
from collector.kafka.connection import options, reason_of
from collector.kafka.sasl import Sasl
from collector.kafka.settings import KafkaSettings
from collector.kafka.tokens import (
    MIN_REFUSED_AGE_S,
    RETRY_S,
    Tokens,
    TokenUnavailable,
    lifetime_of,
    tokens_of,
    usable_s,
)
from collector.redaction import REDACTED, redact

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _forget_tokens() -> None:
    tokens_of.cache_clear()


class Source:
    """Issues numbered tokens, or fails."""

    def __init__(self, lifetime_s: float | None = 100) -> None:
        self.now = 0.0
        self.requests = 0
        self.fails = False
        self.tokens = Tokens(self._obtain, lambda: self.now)
        self._lifetime_s = lifetime_s

    async def _obtain(self) -> IssuedToken:
        self.requests += 1
        await anyio.lowlevel.checkpoint()
        if self.fails:
            raise KafkaMisconfigured("no token", advice="wait", code="away")
        return IssuedToken(f"numbered-token-{self.requests}", self._lifetime_s)


def sasl(**keys: object) -> Sasl:
    return TypeAdapter(Sasl).validate_python({"mechanism": "OAUTHBEARER", **keys})


def jwt(**claims: object) -> str:
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{payload}.c2ln"


@pytest.mark.parametrize(
    ("lifetime_s", "used_s"), [(3600, 2880), (100, 70), (60, 30), (10, 5), (300, 240)], ids=lambda each: f"{each} s"
)
async def test_a_token_is_used_while_enough_of_its_lifetime_is_left(lifetime_s: float, used_s: float) -> None:
    assert used_s == usable_s(lifetime_s)
    source = Source(lifetime_s)

    async def at(now: float) -> str:
        source.now = now
        return await source.tokens.token()

    assert ["numbered-token-1", "numbered-token-1"] == [await at(0), await at(used_s - 0.1)]
    assert "numbered-token-2" == await at(used_s)


async def test_concurrent_connections_request_one_token() -> None:
    source, found = Source(), list[str]()

    async def connect() -> None:
        found.append(await source.tokens.token())

    async with anyio.create_task_group() as tasks:
        for _ in range(32):
            tasks.start_soon(connect)
    assert ["numbered-token-1"] * 32 == found


async def test_a_request_that_is_cancelled_leaves_the_next_one_to_another_connection() -> None:
    source = Source()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await source.tokens.token()
    assert "numbered-token-1" == await source.tokens.token()


async def test_a_token_of_unknown_lifetime_is_used_once() -> None:
    source = Source(None)
    assert ["numbered-token-1", "numbered-token-2"] == [await source.tokens.token() for _ in range(2)]


async def test_after_a_failure_all_connections_wait_for_the_next_request() -> None:
    source = Source()
    source.fails = True
    for _ in range(32):
        with pytest.raises(TokenUnavailable) as raised:
            await source.tokens.token()
        assert ("away", "no token") == (raised.value.cause.code, reason_of(raised.value))
    assert 1 == source.requests

    source.fails, source.now = False, RETRY_S
    assert "numbered-token-2" == await source.tokens.token()


async def test_a_token_that_a_broker_refuses_is_replaced_unless_it_is_new() -> None:
    source = Source()
    await source.tokens.token()

    source.now = MIN_REFUSED_AGE_S
    source.tokens.refused()
    assert "numbered-token-1" == await source.tokens.token()

    source.now += 0.1
    source.tokens.refused()
    assert "numbered-token-2" == await source.tokens.token()


@pytest.mark.parametrize(
    "text", ["", "opaque", "a.b", "a.!.c", jwt(), jwt(exp="soon"), jwt(exp=None), "e30.W10.c", "é.é"]
)
def test_other_texts_than_web_tokens_have_no_known_lifetime(text: str) -> None:
    assert lifetime_of(text) is None


@pytest.mark.parametrize("left_s", [3600, -5])
def test_the_lifetime_of_a_web_token_is_that_until_exp(left_s: float) -> None:
    found = lifetime_of(jwt(exp=time.time() + left_s))
    assert found is not None
    assert abs(found - left_s) < 1


async def test_an_expired_token_in_a_file_is_recognized_and_a_new_one_is_used_at_once(tmp_path: Path) -> None:
    path = tmp_path / "token"
    tokens = tokens_of(sasl(token={"file": str(path)}))

    with pytest.raises(TokenUnavailable) as raised:
        await tokens.token()
    assert ("token_unreadable", True) == (raised.value.cause.code, str(path) in str(raised.value.cause))

    tokens = tokens_of(sasl(token={"file": str(path)}))
    for exp, has_expired in ((time.time() - 5, True), (time.time() + 600, False)):
        path.write_text(jwt(exp=exp) + "\n", "utf-8")
        fresh = Tokens(tokens._obtain)
        assert jwt(exp=exp) == await fresh.token()
        assert has_expired == fresh.refused()
        assert REDACTED == redact(jwt(exp=exp))


def test_clients_of_equal_settings_share_their_tokens_and_options_reads_nothing(tmp_path: Path) -> None:
    settings = KafkaSettings(sasl=sasl(token={"file": str(tmp_path / "missing")}))
    first, second = options(settings), options(settings.model_copy(update={"group": "other"}))

    assert first["sasl_oauth_token_provider"] is second["sasl_oauth_token_provider"]
    assert ("OAUTHBEARER", "SASL_PLAINTEXT") == (first["sasl_mechanism"], first["security_protocol"])
    assert not [name for name in first if name.startswith("sasl_plain")]


def test_extensions_are_sent_with_the_token() -> None:
    """The client library puts them into its first message (RFC 7628, 3.1)."""
    given = {"logicalCluster": "lkc-12345", "identityPoolId": "pool-Ab1"}
    provider = options(KafkaSettings(sasl=sasl(token="x-42-token", extensions=given)))["sasl_oauth_token_provider"]
    authenticator = OAuthAuthenticator(sasl_oauth_token_provider=provider)

    message = authenticator._build_oauth_client_request("x-42-token", authenticator._token_extensions())

    assert "n,,\x01auth=Bearer x-42-token\x01logicalCluster=lkc-12345\x01identityPoolId=pool-Ab1\x01\x01" == message


@pytest.mark.parametrize("value", ["a b", "a\tb", "~!=,", "x" * 1000])
def test_every_value_of_the_standard_may_be_sent(value: str) -> None:
    tokens = tokens_of(sasl(token="x-42-token", extensions={"X": value}))
    assert {"X": value} == tokens.extensions()


def test_without_extensions_none_are_sent() -> None:
    assert {} == tokens_of(sasl(token="x-42-token")).extensions()


class Signer:
    """In place of AWS's package: the same function."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        self.calls: list[str] = []
        for name in ("aws_msk_iam_sasl_signer", "aws_msk_iam_sasl_signer.MSKAuthTokenProvider"):
            module = ModuleType(name)
            vars(module)["generate_auth_token"] = self.generate_auth_token
            monkeypatch.setitem(sys.modules, name, module)

    def generate_auth_token(self, region: str, aws_debug_creds: bool = False) -> tuple[str, int]:  # noqa: FBT002
        del aws_debug_creds
        self.calls.append(region)
        if self.error is not None:
            raise self.error
        return f"signed-for-{region}", int((time.time() + 900) * 1000)


async def test_tokens_of_aws_are_signed_for_the_region_and_used_for_most_of_their_lifetime(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    signer = Signer(monkeypatch)
    tokens = tokens_of(sasl(aws_region="eu-west-1"))
    assert ["signed-for-eu-west-1"] * 2 == [await tokens.token() for _ in range(2)]
    assert ["eu-west-1"] == signer.calls


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AttributeError("'NoneType' object has no attribute 'access_key'"), "no Kafka token: no AWS credentials"),
        (ValueError("AWS Credentials can not be empty"), "AWS Credentials can not be empty"),
    ],
)
async def test_missing_credentials_of_aws_are_reported(
    monkeypatch: pytest.MonkeyPatch, error: Exception, text: str
) -> None:
    Signer(monkeypatch).error = error
    with pytest.raises(TokenUnavailable) as raised:
        await tokens_of(sasl(aws_region="eu-west-2")).token()
    assert ("aws_credentials", True) == (raised.value.cause.code, text in str(raised.value.cause))
    assert "NoneType" not in str(raised.value.cause)


def test_a_missing_extra_is_reported_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aws_msk_iam_sasl_signer", None)
    with pytest.raises(KafkaMisconfigured) as raised:
        options(KafkaSettings(sasl=sasl(aws_region="eu-west-3")))
    assert ("aws_extra_missing", True) == (raised.value.code, "collector[aws]" in raised.value.advice)


async def test_the_package_of_aws_signs_without_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, where it is installed; a presigned URL needs no connection."""
    pytest.importorskip("aws_msk_iam_sasl_signer")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAINVENTED")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "invented-secret-key")
    source = tokens_of(sasl(aws_region="us-east-1"))._obtain

    issued = await source()

    assert issued.lifetime_s is not None
    assert 890 < issued.lifetime_s <= 901
    assert issued.text.isascii()
