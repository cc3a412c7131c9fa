"""Why Kafka cannot be used: every cause that an operator can act on, with its code, its reason and its advice.

Each function returns a KafkaMisconfigured with a `code`. The daemon, `check` and the other commands share this list.
The two errors about lost state have classes of their own, in header.py.
"""

import os
import re
import ssl
from collections.abc import Sequence
from pathlib import Path
from socket import gaierror

from aiokafka.errors import BrokerResponseError

from collector.errors import OUT_OF_FILES, RAISE_FILE_LIMIT, KafkaMisconfigured, is_out_of_files
from collector.kafka.sasl import Sasl
from collector.kafka.settings import KafkaSettings, Tls
from collector.plurals import counted

MIN_MAX_MESSAGE_BYTES = 1_000_000
"""The least that max.message.bytes of a topic may be: one event may have 900 kB."""
_CHECK_ADDRESS = "check kafka.bootstrap_servers, and whether the brokers run"
_CHECK_PROTOCOL = "check the port, and whether it requires TLS ([kafka.tls]) or a password ([kafka.sasl])"
_WRONG_NAME, _OUT_OF_DATE = (62, 64), (9, 10)  # X509_V_ERR_* of OpenSSL: host name, address; not yet valid, expired


def brokers_unreachable(errors: Sequence[tuple[str, Exception]]) -> KafkaMisconfigured:
    """No server in kafka.bootstrap_servers accepts a connection; `errors` has each with its error."""
    reasons = "; ".join(f"{server}: {connection_failure(error)[0]}" for server, error in errors)
    advice = connection_failure(errors[0][1])[1]
    return KafkaMisconfigured(f"no broker responds at {reasons}", advice=advice, code="brokers_unreachable")


def no_response(server: str, error: Exception) -> KafkaMisconfigured:
    """A server accepts connections, but does not respond to requests."""
    reason = f"{server} accepts connections, but does not respond to requests: {connection_failure(error)[0]}"
    return KafkaMisconfigured(reason, advice=_CHECK_PROTOCOL, code="no_response")


def advertised_broker_unreachable(server: str, broker: str, error: Exception) -> KafkaMisconfigured:
    """A server responds, but advertises a broker at an address that cannot be reached."""
    return KafkaMisconfigured(
        f"{server} advertises a broker at {broker}, which cannot be reached: {connection_failure(error)[0]}",
        advice="set advertised.listeners of the brokers to addresses that this machine can reach",
        code="advertised_broker_unreachable",
    )


def slow_brokers() -> KafkaMisconfigured:
    """All brokers respond now, but did not before the deadline."""
    advice = "try again; if it happens again, read the brokers' logs"
    return KafkaMisconfigured("the brokers did not respond in time", advice=advice, code="slow_brokers")


def connection_failure(error: Exception) -> tuple[str, str]:
    """The reason and the advice for a connection that failed."""
    if isinstance(error, gaierror):
        return error.strerror or "unknown host", _CHECK_ADDRESS
    if isinstance(error, TimeoutError):
        return "no response in time", _CHECK_PROTOCOL
    # For a host with several addresses, asyncio raises one error that contains their numbers only in its text.
    if isinstance(error, OSError) and (number := error.errno or re.search(r"\[Errno (\d+)\]", str(error))):
        number = number if isinstance(number, int) else int(number[1])
        is_passing = is_out_of_files(OSError(number, ""))
        return os.strerror(number), RAISE_FILE_LIMIT if is_passing else _CHECK_ADDRESS
    return "the connection was closed", _CHECK_PROTOCOL


def broker_certificate(broker: str, error: ssl.SSLCertVerificationError) -> KafkaMisconfigured:
    if error.verify_code in _WRONG_NAME:
        problem, code = "is for another name", "broker_certificate_name"
        advice = "name the broker as its certificate does, in kafka.bootstrap_servers and in advertised.listeners"
    elif error.verify_code in _OUT_OF_DATE:
        problem, code = "has expired, or is not yet valid", "broker_certificate_date"
        advice = "renew the broker's certificate, or correct this machine's clock"
    else:
        problem, code = f"is not trusted: {error.verify_message}", "broker_certificate_untrusted"
        advice = "add the authority that signed it to kafka.tls.ca_file"
    return KafkaMisconfigured(f"the certificate of {broker} {problem}", advice=advice, code=code)


def tls_alert(broker: str, tls: Tls, alert: str) -> KafkaMisconfigured:
    """The broker ends the TLS handshake with an alert, as OpenSSL names it."""
    text = alert.rpartition("ALERT_")[2].replace("_", " ").lower()
    if "CERTIFICATE" not in alert and "UNKNOWN_CA" not in alert:
        advice = "compare the TLS versions and ciphers of the brokers and of this machine"
        return KafkaMisconfigured(f"{broker} ends the TLS handshake: {text}", advice=advice, code="tls_handshake")
    if tls.cert_file is None:
        reason, advice = f"{broker} requires a client certificate", "set kafka.tls.cert_file and kafka.tls.key_file"
        return KafkaMisconfigured(reason, advice=advice, code="client_certificate_required")
    return KafkaMisconfigured(
        f"{broker} refuses the certificate in {tls.cert_file}: {text}",
        advice="renew it: it must be in date, and signed by an authority that the brokers trust",
        code="client_certificate_refused",
    )


def tls_not_spoken(broker: str) -> KafkaMisconfigured:
    advice = "remove [kafka.tls], or set kafka.bootstrap_servers to a port that speaks TLS"
    return KafkaMisconfigured(f"{broker} does not speak TLS", advice=advice, code="tls_not_spoken")


def tls_required(broker: str) -> KafkaMisconfigured:
    advice = "add [kafka.tls], or set kafka.bootstrap_servers to a port without TLS"
    return KafkaMisconfigured(f"{broker} speaks TLS", advice=advice, code="tls_required")


def tls_file(key: str, file: Path | None, error: OSError) -> KafkaMisconfigured:
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "not PEM").replace("_", " ").lower()
        text, code = f"kafka.tls.{key} {file} cannot be used: {reason}", "tls_file_unusable"
        advice = "expected PEM; a key must have no password and belong to cert_file"
    elif is_out_of_files(error):
        return out_of_files(f"kafka.tls.{key} {file} cannot be read: {error.strerror}")
    else:
        text, code = f"kafka.tls.{key} {file} cannot be read: {error.strerror}", "tls_file_unreadable"
        advice = "create it, or correct its path; the collector must be allowed to read it"
    return KafkaMisconfigured(text, advice=advice, code=code)


def sasl_required(broker: str, mechanisms: Sequence[str]) -> KafkaMisconfigured:
    advice = f"add [kafka.sasl], with one of these mechanisms: {', '.join(mechanisms)}"
    return KafkaMisconfigured(f"{broker} requires authentication", advice=advice, code="sasl_required")


def sasl_not_spoken(broker: str) -> KafkaMisconfigured:
    advice = "remove [kafka.sasl], or set kafka.bootstrap_servers to a port with SASL"
    return KafkaMisconfigured(f"{broker} has no SASL", advice=advice, code="sasl_not_spoken")


def sasl_mechanism(broker: str, sasl: Sasl, mechanisms: Sequence[str]) -> KafkaMisconfigured:
    advice = f"set kafka.sasl.mechanism to one of these: {', '.join(mechanisms)}"
    return KafkaMisconfigured(f"{broker} does not support {sasl.mechanism}", advice=advice, code="sasl_mechanism")


def credentials_refused(broker: str, sasl: Sasl) -> KafkaMisconfigured:
    return KafkaMisconfigured(
        f"{broker} refuses the user {sasl.username} or the password, with {sasl.mechanism}",
        advice="correct kafka.sasl; a changed password is noticed without a restart",
        code="credentials_refused",
    )


def out_of_files(reason: str) -> KafkaMisconfigured:
    """The process cannot open another file. It retries, as after every other error."""
    return KafkaMisconfigured(reason, advice=RAISE_FILE_LIMIT, code=OUT_OF_FILES)


def password_unreadable(error: Exception) -> KafkaMisconfigured:
    reason, advice = f"no Kafka password: {error}", "provide kafka.sasl.password"
    return KafkaMisconfigured(reason, advice=advice, code="password_unreadable")


def topic_denied(settings: KafkaSettings, topic: str, operation: str) -> KafkaMisconfigured:
    """`operation` is Describe, Read or Write. All streams need the state topic, so its error has no `topic`."""
    return KafkaMisconfigured(
        f"no permission to {operation} the topic {topic}",
        advice=f"allow {_user(settings)} to {operation} the topic {topic}",
        code="topic_denied",
        topic=_event_topic(settings, topic),
    )


def transactional_id_denied(settings: KafkaSettings) -> KafkaMisconfigured:
    return KafkaMisconfigured(
        "no permission for the transactional ids",
        advice=f"allow {_user(settings)} to Describe and Write transactional ids that start with "
        f"{settings.transactional_id_prefix}",
        code="transactional_id_denied",
    )


def group_denied(settings: KafkaSettings) -> KafkaMisconfigured:
    advice = f"allow {_user(settings)} to Read the group {settings.group}"
    return KafkaMisconfigured("no permission to join it", advice=advice, code="group_denied")


def topics_missing(names: Sequence[str]) -> KafkaMisconfigured:
    """Topics do not exist, and the collector must not create them."""
    advice = "create them as `collector topics` prints them, or set kafka.create_topics = true"
    return KafkaMisconfigured(f"topics are missing: {', '.join(names)}", advice=advice, code="topics_missing")


def topic_missing(settings: KafkaSettings, topic: str) -> KafkaMisconfigured:
    """An event topic does not exist: it was not created yet, or was deleted."""
    advice = f"create the topic {topic}, or restart the collector, which creates it"
    if not settings.create_topics:
        advice = f"create the topic {topic} as `collector topics` prints it, or set kafka.create_topics = true"
    return KafkaMisconfigured(
        f"the topic {topic} is missing", advice=advice, code="topic_missing", topic=topic, is_missing=True
    )


def emptiness_unknown(error: KafkaMisconfigured) -> KafkaMisconfigured:
    """A new deployment may claim the state topic only if no event topic has messages, and `error` hides one of them."""
    return KafkaMisconfigured(
        f"{error}: the state topic is new, and whether the topic has messages is not known",
        advice=error.advice,
        code="topic_emptiness_unknown",
    )


def topic_not_created(settings: KafkaSettings, topic: str, reason: str, *, is_denied: bool) -> KafkaMisconfigured:
    """The brokers refuse to create a topic, for their `reason`."""
    advice = f"create {topic} by hand"
    if is_denied:
        advice = f"allow {_user(settings)} to Create it, or create {topic} and set kafka.create_topics = false"
    return KafkaMisconfigured(
        f"the topic {topic} cannot be created: {reason}",
        advice=advice,
        code="topic_not_created",
        topic=_event_topic(settings, topic),
    )


def topic_refused(settings: KafkaSettings, topic: str, reason: str) -> KafkaMisconfigured:
    """The brokers refuse a topic even with its `cleanup.policy` alone."""
    advice = f"create {topic} as this Kafka allows, with the cleanup.policy in docs/events.md"
    if settings.replication_factor is not None:
        advice = f"leave kafka.replication_factor out, for the brokers' default; or {advice}"
    return KafkaMisconfigured(
        f"the topic {topic} cannot be created: {reason}",
        advice=f"{advice}; a Kafka without compacted topics cannot be used",
        code="topic_refused",
        topic=_event_topic(settings, topic),
    )


def brokers_incompatible(error: Exception) -> KafkaMisconfigured:
    """The brokers lack a version of a request that the client library has."""
    return KafkaMisconfigured(
        f"the brokers do not support what the client library sends: {error}",
        advice="see Kafka services in docs/operations.md: not every service that is compatible with Kafka can be used",
        code="brokers_incompatible",
    )


def no_transactions(reason: str) -> KafkaMisconfigured:
    """A transaction was tried, and failed."""
    return KafkaMisconfigured(
        f"no transaction is possible: {reason}",
        advice="use a service, or a tier of it, that has transactions: see Kafka services in docs/operations.md",
        code="no_transactions",
    )


def too_few_brokers(
    settings: KafkaSettings, brokers: int | None = None, *, topic: str | None = None
) -> KafkaMisconfigured:
    """There are fewer brokers than replicas. `brokers` is their number, and `topic` what is not created, if known."""
    count = "fewer brokers" if brokers is None else counted(brokers, "broker")
    return KafkaMisconfigured(
        f"kafka.replication_factor is {settings.replication_factor}, and the cluster has {count}",
        advice="lower kafka.replication_factor, or start more brokers",
        code="too_few_brokers",
        topic=None if topic is None else _event_topic(settings, topic),
    )


def cleanup_policy(topic: str, policy: str, *, must_be: str, of_one_topic: bool = False) -> KafkaMisconfigured:
    """The policy would delete messages that are still needed. `must_be` is the correct policy: delete or compact.

    `of_one_topic`: only the streams that publish to it are affected.
    """
    harm = "all but the newest event of each key" if must_be == "delete" else "what has not changed for a long time"
    return KafkaMisconfigured(
        f"cleanup.policy of {topic} is {policy}, which deletes {harm}",
        advice=f"set cleanup.policy of {topic} to {must_be}",
        code="cleanup_policy",
        topic=topic if of_one_topic else None,
    )


def message_size(topic: str, reason: str, *, of_one_topic: bool = False) -> KafkaMisconfigured:
    """The topic refuses messages as large as the collector's. `of_one_topic`: other streams are not affected."""
    return KafkaMisconfigured(
        f"the topic {topic} does not accept messages of {MIN_MAX_MESSAGE_BYTES:,} bytes: {reason}",
        advice=f"set max.message.bytes of {topic} to 1048588 or more",
        code="message_size",
        topic=topic if of_one_topic else None,
    )


def state_partitions(settings: KafkaSettings, partitions: int) -> KafkaMisconfigured:
    """The state topic has another number of partitions than is configured."""
    configured = settings.state_partitions
    return KafkaMisconfigured(
        f"{settings.state_topic} has {counted(partitions, 'partition')}, and kafka.state_partitions is {configured}",
        advice=f"set kafka.state_partitions = {partitions}: the number is fixed when the topic is created",
        code="state_partitions",
    )


def leaderless(topic: str, count: int, partitions: int) -> KafkaMisconfigured:
    reason = f"{count} of its {counted(partitions, 'partition')} {'has' if count == 1 else 'have'} no leader"
    return KafkaMisconfigured(reason, advice=f"start the brokers that hold {topic}", code="leaderless")


def timestamps_refused(topic: str | None) -> KafkaMisconfigured:
    """The timestamps of records are too far from the brokers' clocks. `topic` is None when all topics refuse them."""
    return KafkaMisconfigured(
        f"{topic or 'Kafka'} refuses the records' timestamps: this machine's clock is further from the brokers' than "
        "message.timestamp.after.max.ms and message.timestamp.before.max.ms allow",
        advice="correct this machine's clock (NTP), or the brokers'; no restart is needed",
        code="timestamps_refused",
        topic=topic,
    )


def transaction_timeout(settings: KafkaSettings, max_s: float | None = None) -> KafkaMisconfigured:
    """kafka.transaction_timeout is above the brokers' limit, `max_s` seconds if known."""
    own_s = settings.transaction_timeout.total_seconds()
    limit = "the brokers allow" if max_s is None else f"the {max_s:g} s that the brokers allow"
    return KafkaMisconfigured(
        f"kafka.transaction_timeout = {own_s:g} s is longer than {limit} (transaction.max.timeout.ms)",
        advice="lower kafka.transaction_timeout, or raise the brokers' limit",
        code="transaction_timeout",
    )


def session_timeout(settings: KafkaSettings, limits_s: tuple[float, float] | None = None) -> KafkaMisconfigured:
    """kafka.session_timeout is outside the brokers' limits, the lowest and the highest value in seconds if known."""
    own_s = settings.session_timeout.total_seconds()
    allowed = "what" if limits_s is None else f"the {limits_s[0]:g} to {limits_s[1]:g} s that"
    return KafkaMisconfigured(
        f"kafka.session_timeout = {own_s:g} s is not within {allowed} the brokers allow "
        "(group.min.session.timeout.ms, group.max.session.timeout.ms)",
        advice="change kafka.session_timeout, or the brokers' limits",
        code="session_timeout",
    )


def no_coordinator(*, is_transactional: bool) -> KafkaMisconfigured:
    """The brokers have no coordinator for a transactional id or a group: the cluster may be too small."""
    key = "transaction.state.log.replication.factor" if is_transactional else "offsets.topic.replication.factor"
    return KafkaMisconfigured(
        "the brokers have no coordinator for it",
        advice=f"read the brokers' logs: with fewer than three brokers, {key} must be lowered",
        code="no_coordinator",
    )


def broker_error(error: BrokerResponseError) -> KafkaMisconfigured:
    """Any other error that a broker responds with."""
    name = error.message or type(error).__name__
    return KafkaMisconfigured(f"the brokers report {name}", advice="read the brokers' logs", code="broker_error")


def _event_topic(settings: KafkaSettings, topic: str) -> str | None:
    """The topic, if only the streams that publish to it are affected; None for the state topic, which all need."""
    return None if topic == settings.state_topic else topic


def _user(settings: KafkaSettings) -> str:
    return settings.username or "the collector's user"
