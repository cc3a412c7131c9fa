"""What deploy/compose.yaml promises: it is right, names what there is, and opens nothing to other machines."""

import subprocess
from pathlib import Path

import pytest

from tests.commands.harness import collector
from tests.deploy.compose import FILE, OURS, image, mounts, services
from tests.kafka import broker
from tests.needs import need

SERVICES = services()
MOUNTS = sorted({path for service in SERVICES.values() for path in mounts(service).values()})
each_service = pytest.mark.parametrize("name", SERVICES)


def test_docker_understands_it() -> None:
    need("COMPOSE", _no_compose())
    done = subprocess.run(
        ["docker", "compose", "-f", FILE, "config", "--quiet"], check=False, capture_output=True, text=True
    )
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def _no_compose() -> str:
    try:
        done = subprocess.run(["docker", "compose", "version"], check=False, capture_output=True)
    except FileNotFoundError:
        return "no docker on the path"
    return "no docker compose" if done.returncode else ""


def test_it_is_the_whole_thing() -> None:
    assert {*OURS, "kafka", "prometheus", "grafana"} == SERVICES.keys()


@each_service
def test_the_version_of_every_image_is_named(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")
    assert tag not in ("", "latest")


def test_kafka_is_the_one_of_the_tests() -> None:
    version = SERVICES["kafka"]["image"].partition(":")[2]
    assert f"<version>{version}</version>" in broker.POM.read_text("utf-8")


@pytest.mark.parametrize("path", MOUNTS, ids=lambda path: path.name)
def test_what_is_mounted_is_there(path: Path) -> None:
    assert path.exists()


@each_service
def test_what_is_mounted_is_only_read(name: str) -> None:
    assert [] == [each for each in SERVICES[name].get("volumes", []) if not each.endswith(":ro")]


@each_service
def test_ports_are_open_to_this_machine_alone(name: str) -> None:
    assert [] == [each for each in SERVICES[name].get("ports", []) if not each.startswith("127.0.0.1:")]


def test_no_two_services_want_the_same_port() -> None:
    ports = [each.rsplit(":", 1)[0] for service in SERVICES.values() for each in service.get("ports", [])]
    assert len(ports) == len(set(ports))


@each_service
def test_nothing_gains_rights_and_but_for_kafka_nothing_writes_or_has_any(name: str) -> None:
    service = SERVICES[name]
    assert ["no-new-privileges:true"] == service["security_opt"]
    if name != "kafka":  # whose image writes its configuration as it starts
        assert (True, ["ALL"]) == (service["read_only"], service["cap_drop"])


@each_service
def test_a_service_waits_for_those_that_can_say_that_they_are_there(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert {"condition": "service_healthy"} == how
        assert "healthcheck" in SERVICES[other] or "collector" in other, "a collector's is in its image"


def test_a_collector_has_the_time_that_it_may_need_to_stop() -> None:
    assert ["30s", "30s"] == [SERVICES[name]["stop_grace_period"] for name in OURS if "collector" in name]


@pytest.mark.anyio
async def test_the_configuration_is_right_and_is_mounted_where_the_image_looks_for_it() -> None:
    path = mounts(SERVICES["collector-1"])[f"{image('WORKDIR')}/config.toml"]

    ended = await collector("check", "--offline", "--config", str(path))

    assert (0, f"ok     {path}: is right: 2 sources\n", "") == (ended.code, ended.out, ended.err)


def test_kafka_accepts_what_its_environment_says(tmp_path: Path) -> None:
    """As the image does it: KAFKA_A_B is the key a.b."""
    need("KAFKA", broker.unavailable_reason())
    environment = {name: str(value) for name, value in SERVICES["kafka"]["environment"].items()}
    cluster = environment.pop("CLUSTER_ID")
    keys = {name.removeprefix("KAFKA_").lower().replace("_", "."): value for name, value in environment.items()}
    keys["log.dirs"] = str(tmp_path / "data")
    written = tmp_path / "server.properties"
    written.write_text("".join(f"{key}={value}\n" for key, value in keys.items()), "utf-8")

    done = subprocess.run(
        ["java", "-cp", f"{broker.jars()}/*", "kafka.tools.StorageTool", "format", "-t", cluster, "-c", written],
        check=False,
        capture_output=True,
        text=True,
        timeout=broker.START_S,
    )

    assert 0 == done.returncode, done.stderr
    assert f"cluster.id={cluster}" in (tmp_path / "data/meta.properties").read_text("utf-8")
