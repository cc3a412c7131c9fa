"""deploy/kubernetes: objects that Kubernetes accepts, consistent with each other and with the image."""

import re
import subprocess
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import jsonschema
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from collector import __version__
from collector.app import STOP_S
from collector.web.listening import ALL_ADDRESSES
from collector.web.settings import HttpSettings
from tests.commands.harness import collector
from tests.deploy.compose import image
from tests.deploy.included import secrets, sources
from tests.deploy.kustomize import FOLDER, Object, rendered
from tests.needs import absent, need

CONFIG_MAPS = {each["metadata"]["name"]: each for each in rendered() if each["kind"] == "ConfigMap"}
OBJECTS = {each["kind"]: each for each in rendered() if each["kind"] != "ConfigMap"}
"""By kind; there is one object of each."""
POD = OBJECTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
LABELS = POD["metadata"]["labels"]
OPERATOR_GROUP = "monitoring.coreos.com/"
"""The API group of the Prometheus Operator."""

# The part of https://prometheus-operator.dev/docs/api-reference/api/ that is used here. Other keys are rejected.
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


@pytest.mark.parametrize(
    "kind", [kind for kind, each in OBJECTS.items() if not each["apiVersion"].startswith(OPERATOR_GROUP)]
)
def test_kubernetes_accepts_every_key_of_an_object(kind: str) -> None:
    kubernetes_validate.validate(OBJECTS[kind], kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("name", CONFIG_MAPS)
def test_kubernetes_accepts_every_key_of_a_config_map(name: str) -> None:
    kubernetes_validate.validate(CONFIG_MAPS[name], kubernetes_validate.latest_version(), strict=True)


def test_the_operator_accepts_every_key_of_the_service_monitor() -> None:
    jsonschema.validate(OBJECTS["ServiceMonitor"], SERVICE_MONITOR)


def test_kubectl_renders_the_same_objects() -> None:
    need("KUBECTL", absent("kubectl"))
    output = subprocess.run(["kubectl", "kustomize", FOLDER], check=True, capture_output=True, text=True).stdout
    output = re.sub(
        r"\bcollector-[0-9a-z]{10}$", "collector", output, flags=re.MULTILINE
    )  # the hash of a generated name

    def ordered(objects: Iterable[Object]) -> list[Object]:
        return sorted(objects, key=lambda each: (str(each["kind"]), str(each["metadata"]["name"])))

    assert ordered(rendered()) == ordered(yaml.safe_load_all(output))


def test_every_selector_selects_the_pods() -> None:
    spread = POD["spec"]["topologySpreadConstraints"]
    selectors = [
        *(OBJECTS[kind]["spec"]["selector"]["matchLabels"] for kind in ("Deployment", "PodDisruptionBudget")),
        OBJECTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        OBJECTS["Service"]["spec"]["selector"],
        *(each["labelSelector"]["matchLabels"] for each in spread),
    ]
    assert [LABELS] * 6 == selectors


def test_the_service_monitor_selects_the_service_and_names_the_job_of_the_rules() -> None:
    monitor, service = OBJECTS["ServiceMonitor"]["spec"], OBJECTS["Service"]
    assert service["metadata"]["labels"] == monitor["selector"]["matchLabels"]
    assert "collector" == service["metadata"]["labels"][monitor["jobLabel"]]


def test_ports_are_named_and_match_the_image() -> None:
    ((name, port),) = ((each["name"], each["containerPort"]) for each in CONTAINER["ports"])
    assert (ALL_ADDRESSES, port) == HttpSettings(listen=dict(_environment())["COLLECTOR__HTTP__LISTEN"]).address
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


def test_mounted_paths_come_from_the_configuration_and_the_documented_secret() -> None:
    places = {each["name"]: each["mountPath"] for each in CONTAINER["volumeMounts"]}
    volumes = {each["name"]: each for each in POD["spec"]["volumes"]}
    assert places.keys() == volumes.keys()
    assert all(each["readOnly"] for each in CONTAINER["volumeMounts"])
    assert [*CONFIG_MAPS] == [volumes[name]["configMap"]["name"] for name in ("config", "sources")]
    home = image("WORKDIR")
    assert (f"{home}/config.toml", f"{home}/sources.d") == (places["config"], places["sources"])
    named = secrets(FOLDER)
    assert {places["secrets"]} == {name.rpartition("/")[0] for name in named}
    readme = (FOLDER.parent / "README.md").read_text("utf-8")
    assert [] == [name for name in named if f"--from-file={name.rpartition('/')[2]}" not in readme]
    assert f"create secret generic {volumes['secrets']['secret']['secretName']} " in readme


def test_a_changed_source_or_secret_reaches_the_running_pods() -> None:
    """Kubernetes never updates a mount with `subPath`, and a name with a hash of the content belongs to new pods."""
    base = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    options = {each["name"]: each.get("options", {}) for each in base["configMapGenerator"]}
    assert {"collector": {}, "collector-sources": {"disableNameSuffixHash": True}} == options
    mounts = {each["name"]: each for each in CONTAINER["volumeMounts"]}
    assert {"config": "config.toml", "sources": None, "secrets": None} == {
        name: each.get("subPath") for name, each in mounts.items()
    }


def test_every_source_is_in_its_config_map() -> None:
    assert {path.name for path in sources(FOLDER)} == CONFIG_MAPS["collector-sources"]["data"].keys()


@pytest.mark.anyio
async def test_the_configuration_is_valid() -> None:
    path = str(FOLDER / "config.toml")
    ended = await collector("check", "--offline", "--config", path)
    first, *others = ended.out.splitlines()
    assert (0, f"ok     {path}: valid, 2 sources", "") == (ended.code, first, ended.err)
    assert [] == [line for line in others if "included, 1 source:" not in line and "the secret file" not in line]


def test_the_network_policy_allows_the_port_of_kafka() -> None:
    (servers,) = re.findall(r'bootstrap_servers = "(.*)"', CONFIG_MAPS["collector"]["data"]["config.toml"])
    ports = [port["port"] for rule in OBJECTS["NetworkPolicy"]["spec"]["egress"] for port in rule["ports"]]
    assert [53, 53, int(servers.rpartition(":")[2]), 443] == ports


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("10.96.0.1", False),  # the usual address of the API of Kubernetes
        ("172.20.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("172.32.0.1", True),
        ("192.169.1.1", True),
        ("fe80::a9fe:a9fe", False),
        ("fd00:ec2::254", False),  # Amazon
        ("fd20:ce::254", False),  # Google
        ("fd00:c1::a9fe:a9fe", False),  # Oracle
    ],
)
def test_the_network_policy_allows_vendors_but_no_private_addresses_in_both_families(
    address: str, expected: bool
) -> None:
    def contains(network: str) -> bool:
        return ip_address(address) in ip_network(network)

    blocks = _blocks(443)
    assert expected == any(contains(each["cidr"]) and not any(map(contains, each["except"])) for each in blocks)


def test_the_network_policy_allows_the_dns_cache_of_the_node() -> None:
    """Its address is in the documentation of Kubernetes, "Using NodeLocal DNSCache in Kubernetes Clusters"."""
    assert [{"cidr": "169.254.20.10/32"}] == _blocks(53)


@pytest.mark.parametrize("kept", range(2))
def test_the_examples_of_the_network_policy_are_accepted(kept: int) -> None:
    """With each commented rule in place."""
    lines = (FOLDER / "networkpolicy.yaml").read_text("utf-8").splitlines()
    examples = [at for at, line in enumerate(lines) if line == "    # - to:"]
    assert 2 == len(examples)
    at = examples[kept]
    while at < len(lines) and re.match("    # ( |- to:)", lines[at]):
        lines[at] = f"    {lines[at][6:]}"
        at += 1
    policy = yaml.safe_load("\n".join(lines))
    assert len(OBJECTS["NetworkPolicy"]["spec"]["egress"]) + 1 == len(policy["spec"]["egress"])
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)


def _blocks(port: int) -> list[Object]:
    rules = OBJECTS["NetworkPolicy"]["spec"]["egress"]
    to = [each for rule in rules if port in [it["port"] for it in rule["ports"]] for each in rule["to"]]
    return [each["ipBlock"] for each in to if "ipBlock" in each]


def test_the_pod_is_restricted() -> None:
    """As the standard "Restricted" requires, and with a read-only root file system.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/
    """
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


def test_the_pod_has_enough_time_to_stop() -> None:
    assert POD["spec"]["terminationGracePeriodSeconds"] >= STOP_S + 5


def test_the_image_has_this_version() -> None:
    assert __version__ == CONTAINER["image"].partition("@")[0].rpartition(":")[2]
