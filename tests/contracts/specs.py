"""The JSON Schema of AsyncAPI 3.0 documents, from its publisher's package."""

import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# To upgrade, change the version and the hash.
VERSION = "6.11.1"
SHA256 = "01af8744dc33c0c7eb2e908f6a955319ee58b70ecadc9387d1aeb16c0cd28928"
CACHE = Path(__file__).parents[2] / ".cache"
FETCH_S = 60


class Missing(Exception):  # noqa: N818 - named by what happened
    """The package cannot be fetched."""


def schema() -> Any:  # noqa: ANN401 - JSON
    """The schema. The package is fetched once per checkout. Raises Missing."""
    cached = CACHE / f"asyncapi-specs-{VERSION}.tgz"
    if not cached.exists():
        CACHE.mkdir(exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as partial:
            _fetch(partial)
            (Path(partial) / cached.name).rename(cached)
    assert SHA256 == hashlib.sha256(cached.read_bytes()).hexdigest()
    with tarfile.open(cached) as package:
        member = package.extractfile("package/schemas/3.0.0.json")
        assert member is not None
        return json.load(member)


def _fetch(into: str) -> None:
    if shutil.which("npm") is None:
        raise Missing("no npm on the path")
    command = ["npm", "pack", f"@asyncapi/specs@{VERSION}", "--silent", "--fetch-retries=1", "--pack-destination", into]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=FETCH_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        raise Missing("npm cannot reach a registry") from None
