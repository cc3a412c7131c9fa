"""Fetches what tests start from Maven repositories: the published files of servers."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tests.java import QUICK_START

FETCH_S = 600


def fetched(name: str, pom: Path, goal: str, *options: str) -> Path:
    """A folder with the dependencies of a POM: a cache outside the repository, filled once for each version of the POM.

    `goal` is a goal of Maven's dependency plugin, which has the option `outputDirectory`.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "collector-tests"
    version = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    folder = cache / f"{name}-{version}"
    if not folder.exists():
        partial = cache / f"{folder.name}.{os.getpid()}"
        command = ["mvn", "-B", "-q", "-f", str(pom), f"dependency:{goal}", *options]
        # What Maven has unpacked is recorded here, and not beside the POM, so that it is unpacked into another cache.
        folders = [f"-DoutputDirectory={partial}", f"-DmarkersDirectory={partial / 'markers'}"]
        environment = {"MAVEN_OPTS": " ".join(QUICK_START), **os.environ}
        subprocess.run([*command, *folders], check=True, timeout=FETCH_S, env=environment)
        try:
            partial.rename(folder)
        except OSError:  # another process was faster
            shutil.rmtree(partial)
    return folder
