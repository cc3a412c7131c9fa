"""What deploy/kubernetes promises: objects that Kubernetes accepts, that agree with each other and with the program."""

import re
import subprocess
from collections.abc import Iterable

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from collector import __version__
from collector.app import STOP_S
from collector.web.settings import HttpSettings
from tests.commands.harness import collector
from tests.deploy.compose import image
from tests.deploy.kustomize import FOLDER, Object, rendered
from tests.needs import absent, need

OBJECTS = {each["kind"]: each for each in rendered()}
"""One of a kind."""
POD = OBJECTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
LABELS = POD["metadata"]["labels"]
OWNERS = "monitoring.coreos.com/"
"""Of kinds that are not Kubernetes' own."""

# As https://prometheus-operator.dev/docs/api-reference/api/ has it: what is used here, and nothing unknown.
_TEXT = {"type": "string"}
_DURATION = {"type": "string", "pattern": "^([0-9]+(ms|s|m|h))+$"}
_LABELS = {"type": "object", "additionalProperties": _TEXT}
SERVICE_MONITOR = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["selector", "endpoints"],
            "properties": {
                "jobLabel": _TEXT,
                "namespaceSelector": {"type": "object"},
                "selector": {"type": "object", "additionalProperties": False, "properties": {"matchLabels": _LABELS}},
                "endpoints": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["port"],
                        "properties": {
                            "port": _TEXT,
                            "path": _TEXT,
                            "scheme": {"enum": ["http", "https"]},
                            "interval": _DURATION,
                            "scrapeTimeout": _DURATION,
                        },
                    },
                },
            },
        },
    },
}


@pytest.mark.parametrize("kind", [kind for kind, each in OBJECTS.items() if not each["apiVersion"].startswith(OWNERS)])
def test_kubernetes_knows_every_key_of_an_object(kind: str) -> None:
    kubernetes_validate.validate(OBJECTS[kind], kubernetes_validate.latest_version(), strict=True)


def test_the_operator_knows_every_key_of_the_service_monitor() -> None:
    jsonschema.validate(OBJECTS["ServiceMonitor"], SERVICE_MONITOR)


def test_kustomize_makes_the_same_of_it() -> None:
    need("KUBECTL", absent("kubectl"))
    told = subprocess.run(["kubectl", "kustomize", FOLDER], check=True, capture_output=True, text=True).stdout
    told = re.sub(r"\bcollector-[0-9a-z]{10}$", "collector", told, flags=re.MULTILINE)  # the hash of a generated name

    def ordered(objects: Iterable[Object]) -> list[Object]:
        return sorted(objects, key=lambda each: str(each["kind"]))

    assert ordered(rendered()) == ordered(yaml.safe_load_all(told))


def test_every_selector_selects_the_pods() -> None:
    spread = POD["spec"]["topologySpreadConstraints"]
    selectors = [
        *(OBJECTS[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")),
        OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        OBJECTS["Service"]["spec"]["selector"],
        *(each["labelSelector"]["matchLabels"] for each in spread),
    ]
    assert [LABELS] * 6 == selectors


def test_prometheus_finds_the_service_and_calls_its_job_as_the_rules_do() -> None:
    monitor, service = OBJECTS["ServiceMonitor"]["spec"], OBJECTS["Service"]
    assert service["metadata"]["labels"] == monitor["selector"]["matchLabels"]
    assert "collector" == service["metadata"]["labels"][monitor["jobLabel"]]


def test_ports_are_named_and_are_those_of_the_image() -> None:
    ((name, port),) = ((each["name"], each["containerPort"]) for each in CONTAINER["ports"])
    assert HttpSettings(listen=dict(_environment())["COLLECTOR__HTTP__LISTEN"]).address == ("0.0.0.0", port)  # noqa: S104
    assert str(port) == image("EXPOSE")
    probes = [CONTAINER[each]["httpGet"] for each in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert [("/healthz", name), ("/healthz", name), ("/readyz", name)] == [(it["path"], it["port"]) for it in probes]
    ((published, target),) = ((each["name"], each["targetPort"]) for each in OBJECTS["Service"]["spec"]["ports"])
    assert name == target
    assert [published] == [each["port"] for each in OBJECTS["ServiceMonitor"]["spec"]["endpoints"]]
    (ingress,) = OBJECTS["NetworkPolicy"]["spec"]["ingress"]
    assert [name] == [each["port"] for each in ingress["ports"]]


def _environment() -> list[list[str]]:
    return [each.split("=", 1) for each in image("ENV").split()]


def test_what_is_mounted_is_there_and_the_rest_is_the_operators_secret() -> None:
    places = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    sources = {each["name"]: each for each in POD["spec"]["volumes"]}
    assert places.keys() == sources.keys()
    assert all(each["readOnly"] for each in CONTAINER["volumeMounts"])
    assert OBJECTS["ConfigMap"]["metadata"]["name"] == sources["config"]["configMap"]["name"]
    assert image("WORKDIR") == places["config"]
    named = re.findall(r'file = "(.*)"', OBJECTS["ConfigMap"]["data"]["config.toml"])
    assert {places["secrets"]} == {name.rpartition("/")[0] for name in named}
    told = (FOLDER.parent / "README.md").read_text("utf-8")
    assert [] == [name for name in named if f"--from-file={name.rpartition('/')[2]}" not in told]
    assert f"create secret generic {sources['secrets']['secret']['secretName']} " in told


@pytest.mark.anyio
async def test_the_configuration_is_right() -> None:
    path = str(FOLDER / "config.toml")
    ended = await collector("check", "--offline", "--config", path)
    assert (0, f"ok     {path}: valid, 2 sources\n", "") == (ended.code, ended.out, ended.err)


def test_kafkas_port_is_let_through() -> None:
    (servers,) = re.findall(r'bootstrap_servers = "(.*)"', OBJECTS["ConfigMap"]["data"]["config.toml"])
    ports = [port["port"] for rule in OBJECTS["NetworkPolicy"]["spec"]["egress"] for port in rule["ports"]]
    assert [53, 53, int(servers.rpartition(":")[2]), 443] == ports


def test_the_pod_is_restricted() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, "Restricted", and a root that is read."""
    pod = POD["spec"]["securityContext"]
    assert (True, {"type": "RuntimeDefault"}) == (pod["runAsNonRoot"], pod["seccompProfile"])
    assert image("USER") == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    } == CONTAINER["securityContext"]
    assert (False, False) == (
        POD["spec"]["automountServiceAccountToken"],
        OBJECTS["ServiceAccount"]["automountServiceAccountToken"],
    )
    assert OBJECTS["ServiceAccount"]["metadata"]["name"] == POD["spec"]["serviceAccountName"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & POD["spec"].keys()


def test_it_has_the_time_that_it_may_need_to_stop() -> None:
    assert POD["spec"]["terminationGracePeriodSeconds"] >= STOP_S + 5


def test_the_image_is_of_this_version() -> None:
    assert __version__ == CONTAINER["image"].rpartition(":")[2]
