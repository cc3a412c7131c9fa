"""`collector run` on what it cannot run with: one clear line, exit 2, and nothing begun."""

import socket
import subprocess
import sys
from pathlib import Path

CONFIG = """
[http]
listen = "127.0.0.1:{port}"
[sources.mall]
vendor = "seemetrix"
user_id = 864
user_key = {key}
"""


def run(tmp_path: Path, port: int, key: str = '"0123456789"') -> subprocess.CompletedProcess[str]:
    config = tmp_path / "config.toml"
    config.write_text(CONFIG.format(port=port, key=key), encoding="utf-8")
    command = [sys.executable, "-m", "collector", "run", "--config", str(config)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_an_address_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run(tmp_path, port)
    assert (2, "") == (ended.returncode, ended.stdout)
    assert [f"http.listen = 127.0.0.1:{port}"] == [
        line[: len(f"http.listen = 127.0.0.1:{port}")] for line in told(ended)
    ]


def test_a_secret_that_is_not_there_is_told_with_its_key(tmp_path: Path) -> None:
    ended = run(tmp_path, 9464, key='{ env = "NO_SUCH_VARIABLE" }')
    assert 2 == ended.returncode
    (line,) = told(ended)
    assert line.startswith("sources.mall.user_key: the environment variable NO_SUCH_VARIABLE is not set")


def told(ended: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in ended.stderr.splitlines() if line.strip()]
