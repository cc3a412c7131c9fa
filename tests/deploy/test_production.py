"""deploy/compose.production.yaml: complete, limited, without privileges, and consistent with the image."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from collector.app import STOP_S
from tests.commands.harness import collector
from tests.container.image import TREE
from tests.deploy.compose import image, why_no_compose
from tests.deploy.included import secrets
from tests.deploy.kustomize import FOLDER as KUBERNETES
from tests.needs import need

FILE = TREE / "deploy/compose.production.yaml"
ENVIRONMENT = TREE / "deploy/compose/production.env"
EXAMPLE = TREE / "deploy/compose/production"
TEXT = FILE.read_text("utf-8")
SERVICES: dict[str, Any] = yaml.safe_load(TEXT)["services"]
README = (TREE / "deploy/README.md").read_text("utf-8")
VARIABLES = dict(line.split("=", 1) for line in ENVIRONMENT.read_text("utf-8").splitlines() if not line.startswith("#"))
SECRETS_FOLDER = "/run/secrets"
each_service = pytest.mark.parametrize("name", SERVICES)


def test_docker_compose_accepts_the_file_with_its_example() -> None:
    need("COMPOSE", why_no_compose())
    command = ["docker", "compose", "-f", str(FILE), "--env-file", str(ENVIRONMENT), "config", "--quiet"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (0, "", "") == (done.returncode, done.stdout, done.stderr)


def test_every_variable_is_in_the_example_and_one_that_is_not_set_is_an_error() -> None:
    used = re.findall(r"\$\{(\w+)(:[?-])", TEXT)
    assert VARIABLES.keys() == {name for name, _ in used}
    assert {"COLLECTOR_LISTEN"} == {name for name, operator in used if operator == ":-"}


def test_the_example_pins_the_image() -> None:
    """A tag can be moved to another image."""
    assert re.fullmatch(r"\S+/collector@sha256:0{64}", VARIABLES["COLLECTOR_IMAGE"])


def test_there_are_replicas_only_and_they_differ_in_their_port_only() -> None:
    assert ["collector-1", "collector-2"] == [*SERVICES]
    first, second = ({key: value for key, value in each.items() if key != "ports"} for each in SERVICES.values())
    assert first == second
    ports = [SERVICES[name]["ports"] for name in SERVICES]
    assert [["${COLLECTOR_LISTEN:-127.0.0.1}:9464:9464"], ["${COLLECTOR_LISTEN:-127.0.0.1}:9465:9464"]] == ports


@each_service
def test_a_service_has_limits_and_no_swap(name: str) -> None:
    service, pod = SERVICES[name], yaml.safe_load((KUBERNETES / "deployment.yaml").read_text("utf-8"))
    (container,) = pod["spec"]["template"]["spec"]["containers"]
    assert f"{service['mem_limit']}i" == container["resources"]["limits"]["memory"].lower()
    assert service["mem_limit"] == service["memswap_limit"]
    assert (128, {"core": 0, "nofile": 8192}) == (service["pids_limit"], service["ulimits"])


@each_service
def test_the_log_of_a_service_cannot_fill_the_disk(name: str) -> None:
    assert {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}} == SERVICES[name]["logging"]


@each_service
def test_a_service_has_no_privileges_and_writes_no_files(name: str) -> None:
    service = SERVICES[name]
    assert (image("USER"), True, ["ALL"], ["no-new-privileges:true"]) == tuple(
        service[key] for key in ("user", "read_only", "cap_drop", "security_opt")
    )
    assert not {"privileged", "network_mode", "pid", "ipc", "devices", "cap_add", "tmpfs"} & service.keys()
    assert [True, True] == [each["read_only"] for each in service["volumes"]]


@each_service
def test_a_service_restarts_is_healthy_and_stops_as_the_image_does(name: str) -> None:
    service = SERVICES[name]
    assert "unless-stopped" == service["restart"]
    assert ["CMD", *image("HEALTHCHECK")] == service["healthcheck"]["test"]
    assert int(service["stop_grace_period"].removesuffix("s")) >= STOP_S + 5


@each_service
def test_folders_are_mounted_so_that_a_replaced_file_is_noticed(name: str) -> None:
    """A file that is mounted by itself keeps its content when another one takes its name."""
    mounts = {each["target"]: each["source"] for each in SERVICES[name]["volumes"]}
    assert {image("WORKDIR"), SECRETS_FOLDER} == mounts.keys()
    assert [False, False] == [each["bind"]["create_host_path"] for each in SERVICES[name]["volumes"]]
    assert ["run", "--config", f"{image('WORKDIR')}/config.toml"] == SERVICES[name]["command"]


def test_the_secrets_are_where_the_example_and_the_readme_say() -> None:
    named = secrets(EXAMPLE)
    assert {SECRETS_FOLDER} == {name.rpartition("/")[0] for name in named}
    assert [] == [name for name in named if f"{VARIABLES['COLLECTOR_SECRETS']}/{name.rpartition('/')[2]}" not in README]


@pytest.mark.anyio
async def test_the_example_is_valid_with_the_brokers_of_the_environment() -> None:
    path = EXAMPLE / "config.toml"
    environment = {"COLLECTOR__KAFKA__BOOTSTRAP_SERVERS": VARIABLES["COLLECTOR_KAFKA"]}
    ended = await collector("check", "--offline", "--config", str(path), env=environment)
    first, *others = ended.out.splitlines()
    assert (0, f"ok     {path}: valid, 2 sources", "") == (ended.code, first, ended.err)
    assert [] == [line for line in others if "included, 1 source:" not in line and "the secret file" not in line]
