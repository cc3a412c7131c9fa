"""Why there is no token for the brokers, or why they refuse it: as in causes.py, with code, reason and advice."""

from collector.authorization.client_credentials import secret_unreadable
from collector.errors import OUT_OF_FILES, KafkaMisconfigured, NeedsOperator, RetryLater, UserError
from collector.kafka import causes
from collector.kafka.sasl import Sasl
from collector.redaction import redact

MAX_REASON = 300
"""Characters of the text of an error of AWS's library that are shown."""


def token_unreadable(error: RetryLater | UserError) -> KafkaMisconfigured:
    """The secret `token` cannot be read."""
    if error.code == OUT_OF_FILES:
        return causes.out_of_files(f"no Kafka token: {error}")
    advice = "provide kafka.sasl.token; a new file is noticed without a restart"
    return KafkaMisconfigured(f"no Kafka token: {error}", advice=advice, code="token_unreadable")


def client_secret_unreadable(error: RetryLater | UserError) -> KafkaMisconfigured:
    """The secret with which tokens are requested cannot be read."""
    return no_token(secret_unreadable(error))


def no_token(error: NeedsOperator) -> KafkaMisconfigured:
    """The authorization server has issued no token."""
    return KafkaMisconfigured(f"no Kafka token: {error}", advice=error.advice, code=error.code)


def token_refused(broker: str, sasl: Sasl, *, has_expired: bool) -> KafkaMisconfigured:
    """The broker refuses a token."""
    reason = f"{broker} refuses the token, which has expired" if has_expired else f"{broker} refuses the token"
    advice = "check what the brokers require of it: issuer, audience, scope; and the clocks of all machines"
    if sasl.token is not None and has_expired:
        advice = "replace kafka.sasl.token; a new file is noticed without a restart"
    elif sasl.aws_region is not None:
        advice = "check kafka.sasl.aws_region, this machine's clock, and that the role may kafka-cluster:Connect"
    return KafkaMisconfigured(reason, advice=advice, code="token_refused")


def aws_extra_missing() -> KafkaMisconfigured:
    return KafkaMisconfigured(
        "kafka.sasl.aws_region requires a package that is not installed: aws-msk-iam-sasl-signer-python",
        advice="install the collector with its extra: pip install 'collector[aws]'",
        code="aws_extra_missing",
    )


def aws_credentials(error: Exception) -> KafkaMisconfigured:
    """AWS's library signs no token. Without credentials, it fails with an AttributeError."""
    text = "" if isinstance(error, AttributeError) else " ".join(redact(str(error)).split())[:MAX_REASON]
    reason = f"no Kafka token: no AWS credentials{f': {text}' if text else ''}"
    advice = "provide them as AWS's tools expect them: a role of the machine or the pod, AWS_PROFILE, AWS_ACCESS_KEY_ID"
    return KafkaMisconfigured(reason, advice=advice, code="aws_credentials")
