"""deploy/compose.yaml: valid, consistent with the image, and closed to other machines."""

import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from collector.settings import parse_duration
from tests.commands.harness import collector
from tests.container.image import TREE
from tests.deploy.compose import COLLECTOR_SERVICES, FILE, image, mounts, services, why_no_compose
from tests.kafka import broker
from tests.monitoring.definitions import rules
from tests.needs import need

SERVICES = services()
MOUNTS = sorted({path for service in SERVICES.values() for path in mounts(service).values()})
each_service = pytest.mark.parametrize("name", SERVICES)


def test_docker_compose_accepts_the_file() -> None:
    need("COMPOSE", why_no_compose())
    done = subprocess.run(
        ["docker", "compose", "-f", FILE, "config", "--quiet"], check=False, capture_output=True, text=True
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_the_system_is_complete() -> None:
    assert {*COLLECTOR_SERVICES, "kafka", "prometheus", "grafana"} == SERVICES.keys()


def test_prometheus_keeps_what_the_alerts_compare_with() -> None:
    command = SERVICES["prometheus"]["command"]
    (retention,) = (each.partition("time=")[2] for each in command if "retention" in each)
    texts = [rule["expr"] for rule in rules()]
    hours = [int(each) for text in texts for each in re.findall(r"offset (\d+)h\b", text)]
    assert timedelta(hours=max(hours)) < parse_duration(retention)
    assert f"`--storage.tsdb.retention.time={retention}`" in (TREE / "deploy/README.md").read_text("utf-8")


@each_service
def test_every_image_has_a_version(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert tag not in ("", "latest")


def test_the_version_of_kafka_is_the_tested_one() -> None:
    version = SERVICES["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in broker.NEWEST.read_text("utf-8")


@pytest.mark.parametrize("path", MOUNTS, ids=lambda path: path.name)
def test_mounted_paths_exist(path: Path) -> None:
    assert path.exists()


@each_service
def test_mounts_are_read_only(name: str) -> None:
    assert [] == [each for each in SERVICES[name].get("volumes", []) if not each.endswith(":ro")]


@each_service
def test_ports_are_published_on_the_loopback_address_only(name: str) -> None:
    assert [] == [each for each in SERVICES[name].get("ports", []) if not each.startswith("127.0.0.1:")]


def test_no_two_services_want_the_same_port() -> None:
    ports = [each.rsplit(":", 1)[0] for service in SERVICES.values() for each in service.get("ports", [])]
    assert len(ports) == len(set(ports))


@each_service
def test_services_have_no_privileges_and_all_but_kafka_a_read_only_root(name: str) -> None:
    service = SERVICES[name]
    assert ["no-new-privileges:true"] == service["security_opt"]
    if name != "kafka":  # the image of Kafka writes its configuration at start
        assert (True, ["ALL"]) == (service["read_only"], service["cap_drop"])


@each_service
def test_a_service_waits_until_its_dependencies_are_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert {"condition": "service_healthy"} == how
        assert "healthcheck" in SERVICES[other] or "collector" in other, (
            "the health check of a collector is in its image"
        )


def test_a_collector_has_enough_time_to_stop() -> None:
    assert ["30s", "30s"] == [SERVICES[name]["stop_grace_period"] for name in COLLECTOR_SERVICES if "collector" in name]


@pytest.mark.anyio
async def test_the_configuration_is_valid_and_mounted_where_the_image_looks_for_it() -> None:
    path = mounts(SERVICES["collector-1"])[f"{image('WORKDIR')}/config.toml"]

    ended = await collector("check", "--offline", "--config", str(path))

    assert (0, f"ok     {path}: valid, 2 sources\n", "") == (ended.code, ended.out, ended.err)


def test_kafka_accepts_its_environment(tmp_path: Path) -> None:
    """The image of Kafka turns the variable KAFKA_A_B into the key a.b."""
    need("KAFKA", broker.unavailable_reason())
    environment = {name: str(value) for name, value in SERVICES["kafka"]["environment"].items()}
    cluster = environment.pop("CLUSTER_ID")
    keys = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in environment.items()}
    keys["log.dirs"] = str(tmp_path / "data")
    properties = tmp_path / "server.properties"
    properties.write_text("".join(f"{key}={value}\n" for key, value in keys.items()), "utf-8")

    done = subprocess.run(
        ["java", "-cp", f"{broker.jars()}/*", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties],
        check=False,
        capture_output=True,
        text=True,
        timeout=broker.START_S,
    )

    assert 0 == done.returncode, done.stderr
    assert f"cluster.id={cluster}" in (tmp_path / "data/meta.properties").read_text("utf-8")
