"""Kafka's own command line tools, as operators have them: `kafka-acls.sh` and others."""

import os
import subprocess
from pathlib import Path

from confluent_kafka.admin import (
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.java import QUICK_START
from tests.kafka.broker import START_S
from tests.kafka.strict_broker import StrictBroker
from tests.maven import fetched

POM = Path(__file__).with_name("pom-tools.xml")
CLASSES = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}
"""By command. The distribution has a script for each, which the published jars lack."""
_SCRIPT = """#!/bin/sh
# The first call stores the classes as the JVM has them in memory: each later one takes two thirds of the CPU time.
archive='{jars}/{main}.jsa'
[ ! -e "$archive" ] || exec java -XX:SharedArchiveFile="$archive" {options} "$@"
java -XX:ArchiveClassesAtExit="$archive.$$" {options} "$@"
code=$?
mv "$archive.$$" "$archive"
exit $code
"""
_OPTIONS = "-cp '{jars}/*' -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Xlog:disable"


def installed(folder: Path) -> Path:
    """The folder, for the start of PATH, with the commands in it. They need Java and Maven, as the brokers do."""
    jars = fetched("kafka-tools", POM, "copy-dependencies", "-DincludeScope=runtime")
    folder.mkdir(parents=True, exist_ok=True)
    for name, main in CLASSES.items():
        command = folder / name
        options = " ".join([_OPTIONS.format(jars=jars), *QUICK_START, main])
        command.write_text(_SCRIPT.format(jars=jars, main=main, options=options), "utf-8")
        command.chmod(0o755)
    return folder


def run_script(
    script: str, broker: StrictBroker, folder: Path, *, group: str, principal: str = "User:collector"
) -> None:
    """Run the output of `collector topics --as kafka` as an administrator.

    Returns when the broker applies the last right, that of the group: the controller responds before.
    """
    settings = folder / "administrator.properties"
    settings.write_text("request.timeout.ms=30000\n", "utf-8")
    environment = {
        "PATH": f"{installed(folder / 'tools')}:{os.environ['PATH']}",
        "BOOTSTRAP_SERVER": broker.address,
        "COMMAND_CONFIG": str(settings),
        "PRINCIPAL": principal,
    }
    done = subprocess.run(["sh"], input=script.encode(), check=False, capture_output=True, env=environment)
    assert 0 == done.returncode, (done.stdout + done.stderr).decode()
    admin = AdminClient({"bootstrap.servers": broker.address})
    last = AclBindingFilter(
        ResourceType.GROUP,
        group,
        ResourcePatternType.LITERAL,
        principal,
        None,
        AclOperation.READ,
        AclPermissionType.ALLOW,
    )
    while not admin.describe_acls(last).result(START_S):
        pass
