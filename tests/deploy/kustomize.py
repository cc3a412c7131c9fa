"""Renders deploy/kubernetes as `kubectl kustomize` does, as far as that base needs it.

Unlike there, generated names have no hash.
"""

from pathlib import Path
from typing import Any

import yaml

from tests.container.image import TREE

FOLDER = TREE / "deploy/kubernetes"
KEYS = {"apiVersion", "kind", "resources", "configMapGenerator", "images"}
"""The supported keys of a kustomization."""

Object = dict[str, Any]


def rendered() -> list[Object]:
    base = yaml.safe_load((FOLDER / "kustomization.yaml").read_text("utf-8"))
    assert KEYS >= base.keys(), "support the other keys here"
    resources = [
        object_ for name in base["resources"] for object_ in yaml.safe_load_all((FOLDER / name).read_text("utf-8"))
    ]
    images = {each["name"]: _image(each) for each in base["images"]}
    for resource in resources:
        if resource["kind"] == "Deployment":
            for container in resource["spec"]["template"]["spec"]["containers"]:
                container["image"] = images[container["image"]]
    return [*resources, *map(_config_map, base["configMapGenerator"])]


def _image(override: Object) -> str:
    """The reference of an image. With a tag and a digest, Kubernetes uses the digest."""
    reference = f"{override['newName']}:{override['newTag']}"
    return f"{reference}@{override['digest']}" if "digest" in override else reference


def _config_map(generator: Object) -> Object:
    assert {"name", "files", "options"} >= generator.keys(), "support the other keys here"
    data = {Path(name).name: (FOLDER / name).read_text("utf-8") for name in generator["files"]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generator["name"]}, "data": data}
