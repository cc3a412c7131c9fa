"""Write the SBOM and the notices of an environment. The image's build runs this.

Usage: `python -m deploy.inventory SITE_PACKAGES OUTPUT REPORT...`. `pip install --report` wrote each REPORT when it
installed the packages. It has the hashes of their wheels.
"""

import sys
from pathlib import Path

from deploy.inventory.notices import notices
from deploy.inventory.packages import installed
from deploy.inventory.reports import sha256_of_wheels
from deploy.inventory.sbom import sbom

PROJECT = "collector"

site_packages, output, *reports = map(Path, sys.argv[1:])
packages = installed(site_packages)
output.mkdir(parents=True, exist_ok=True)
(output / "sbom.cdx.json").write_text(sbom(PROJECT, packages, sha256_of_wheels(reports)), "utf-8")
(output / "THIRD-PARTY-NOTICES.txt").write_text(notices(PROJECT, packages), "utf-8")
