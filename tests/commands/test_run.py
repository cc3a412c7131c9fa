"""`collector run` does not start with wrong input: it prints one line and ends with 2."""

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


def test_an_address_in_use_is_an_error_of_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
        result = run(tmp_path, port)
    assert (2, "") == (result.returncode, result.stdout)
    (line,) = error_lines(result)
    assert line.startswith(f"http.listen = 127.0.0.1:{port}: ")


def test_a_missing_secret_is_an_error_of_one_line_with_its_key(tmp_path: Path) -> None:
    result = run(tmp_path, 9464, key='{ env = "NO_SUCH_VARIABLE" }')
    assert 2 == result.returncode
    (line,) = error_lines(result)
    assert (True, True) == (line.startswith("sources.mall.user_key: "), "NO_SUCH_VARIABLE" in line)


def error_lines(result: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.strip()]
