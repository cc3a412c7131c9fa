"""The commands of deploy/README.md: complete for each way to deploy, and consistent with the files that they use."""

import re
import subprocess

import pytest
import yaml

from tests.container.image import TREE
from tests.deploy.kustomize import rendered
from tests.deploy.test_production import ENVIRONMENT, SERVICES, VARIABLES
from tests.docs.pages import fenced
from tests.needs import absent, need

README = (TREE / "deploy/README.md").read_text("utf-8")
SECTIONS = {each.partition("\n")[0]: each for each in README.split("\n## ")}
WAYS = ("systemd", "Docker Compose", "Kubernetes")
BLOCKS = fenced(README, "sh")
_OWN = re.compile(r"(?<![\w/.-])(?:deploy|requirements)/[\w./*-]*[\w*]")
"""Files and folders of the checkout."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task", ["Install", "Add an account", "Upgrade", "Roll back", "Watch"])
def test_each_way_has_every_task(way: str, task: str) -> None:
    assert re.search(rf"^\*\*{task}\b", SECTIONS[way], re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_commands_are_commands_of_a_shell(block: str) -> None:
    need("BASH", absent("bash"))
    done = subprocess.run(["bash", "-n"], input=block, check=False, capture_output=True, text=True)
    assert (0, "") == (done.returncode, done.stderr)


def test_commands_use_files_that_exist() -> None:
    used = {name for block in BLOCKS for name in _OWN.findall(block)}
    assert used
    assert [] == [name for name in used if not list(TREE.glob(name))]


def test_the_commands_for_compose_use_its_services_and_ports() -> None:
    text = SECTIONS["Docker Compose"]
    assert {*SERVICES} == set(re.findall(r"\bcollector-\d\b", text))
    ports = {each.split(":")[-2] for service in SERVICES.values() for each in service["ports"]}
    assert ports == set(re.findall(r"127\.0\.0\.1:(\d+)", text))
    assert set(re.findall(r"\bCOLLECTOR_\w+", text)) <= VARIABLES.keys()
    assert ENVIRONMENT.name in text


def test_the_commands_for_kubernetes_use_its_objects() -> None:
    text = "".join(fenced(SECTIONS["Kubernetes"], "sh"))
    objects = {(each["kind"].lower(), each["metadata"]["name"]) for each in rendered()}
    assert set(re.findall(r"\b(deployment)/(\S+)", text)) <= objects
    selectors = {tuple(each.split("=")) for each in re.findall(r"--selector=(\S+)", text)}
    (deployment,) = (each for each in rendered() if each["kind"] == "Deployment")
    assert selectors <= deployment["spec"]["template"]["metadata"]["labels"].items()
    base = yaml.safe_load((TREE / "deploy/kubernetes/kustomization.yaml").read_text("utf-8"))
    assert {"sources.d/airport.toml", "sources.d/mall.toml"} == set(base["configMapGenerator"][1]["files"])
