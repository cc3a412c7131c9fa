"""Kafka's own command line tools, as operators have them: `kafka-acls.sh` and others."""

from pathlib import Path

from tests.maven import fetched

POM = Path(__file__).with_name("pom-tools.xml")
CLASSES = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
}
"""By command. The distribution has a script for each, which the published jars lack."""
_SCRIPT = """#!/bin/sh
exec java -cp '{jars}/*' -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -XX:TieredStopAtLevel=1 {main} "$@"
"""


def installed(folder: Path) -> Path:
    """The folder, for the start of PATH, with the commands in it. They need Java and Maven, as the brokers do."""
    jars = fetched("kafka-tools", POM, "copy-dependencies", "-DincludeScope=runtime")
    folder.mkdir(parents=True, exist_ok=True)
    for name, main in CLASSES.items():
        command = folder / name
        command.write_text(_SCRIPT.format(jars=jars, main=main), "utf-8")
        command.chmod(0o755)
    return folder
