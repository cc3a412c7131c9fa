"""deploy/kubernetes, put together as `kubectl kustomize` does it: as far as the base there goes, and no further.

Generated names end with no hash here.
"""

from typing import Any

import yaml

from tests.container.image import TREE

FOLDER = TREE / "deploy/kubernetes"
KEYS = {"apiVersion", "kind", "resources", "configMapGenerator", "images"}
"""What is understood here of a kustomization."""

Object = dict[str, Any]


def rendered() -> list[Object]:
    base = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    assert KEYS >= base.keys(), "teach the tests about the others"
    resources = [each for name in base["resources"] for each in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))]
    images = {each["name"]: f"{each['newName']}:{each['newTag']}" for each in base["images"]}
    for resource in resources:
        if resource["kind"] == "Deployment":
            for container in resource["spec"]["template"]["spec"]["containers"]:
                container["image"] = images[container["image"]]
    return [*resources, *map(_config_map, base["configMapGenerator"])]


def _config_map(generator: Object) -> Object:
    data = {name: (FOLDER / name).read_text("utf-8") for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}
