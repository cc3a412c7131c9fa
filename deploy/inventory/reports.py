"""The hashes of installed wheels, from the installation reports of pip."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name


def sha256_of_wheels(reports: Iterable[Path]) -> dict[str, str]:
    """Return the SHA-256 of each wheel in hexadecimal, by the normalized name of its package.

    pip's documentation describes the format, "Installation Report".
    """
    items = [item for path in reports for item in json.loads(path.read_text("utf-8"))["install"]]
    return {
        canonicalize_name(item["metadata"]["name"]): _sha256(item["download_info"]["archive_info"]) for item in items
    }


def _sha256(archive: dict[str, Any]) -> str:
    """Return the hash of an archive. pip before 23.1 writes it in the older of the two forms only."""
    hashes: dict[str, str] = archive.get("hashes") or dict([archive["hash"].split("=", 1)])
    return hashes["sha256"]
