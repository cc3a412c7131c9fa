"""Private authorities: a vendor with a certificate of one is accepted, and wrong variables are named."""

import ssl
from pathlib import Path

import pytest
import trustme

from collector.errors import Park
from collector.vendors.authorities import authority_advice
from tests.commands.harness import collector, write_config
from tests.vendors.loopback import failure, responding, serving

DEVICES = b'{"online": [], "online_total": 0, "offline": [], "offline_total": 0, "frozen": [], "frozen_total": 0}'


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


def server_tls(ca: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.anyio
async def test_a_vendor_with_a_private_authority_is_accepted_with_its_file(tmp_path: Path, ca: trustme.CA) -> None:
    async with serving(responding(DEVICES), server_tls(ca)) as url:
        config = write_config(tmp_path, url.replace("http:", "https:"))
        without, with_file = [
            await collector("check", "--config", config, env=env)
            for env in ({}, {"SSL_CERT_FILE": str(tmp_path / "ca.pem")})
        ]
    assert "SSL_CERT_FILE" in without.out
    assert "sources.mall: 0 devices" in with_file.out


@pytest.mark.anyio
async def test_an_untrusted_certificate_names_the_variable_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, ca: trustme.CA
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/missing.pem")
    async with serving(responding(), server_tls(ca)) as url:
        error = await failure(Park, url.replace("http:", "https:"))
    assert ("certificate_untrusted", True) == (error.code, "No such file" in error.advice)


def test_variables_that_openssl_cannot_use_are_named(tmp_path: Path, ca: trustme.CA) -> None:
    (tmp_path / "wrong.pem").write_text("not a certificate\n", "utf-8")
    (tmp_path / "empty.pem").touch()
    (tmp_path / "unhashed").mkdir()
    ca.cert_pem.write_to_path(str(tmp_path / "unhashed" / "ca.pem"))
    (tmp_path / "hashed").mkdir()
    ca.cert_pem.write_to_path(str(tmp_path / "hashed" / "0123abcd.0"))
    wrong = [
        ("SSL_CERT_FILE", ""),
        *(("SSL_CERT_FILE", str(tmp_path / name)) for name in ("missing.pem", "wrong.pem", "empty.pem", "unhashed")),
        ("SSL_CERT_DIR", ""),
        *(("SSL_CERT_DIR", str(tmp_path / name)) for name in ("missing", "ca.pem", "unhashed")),
    ]
    right = [("SSL_CERT_FILE", str(tmp_path / "ca.pem")), ("SSL_CERT_DIR", f"{tmp_path}/unhashed:{tmp_path}/hashed")]

    assert [] == [pair for pair in wrong if f"variable {pair[0]} " not in authority_advice(dict([pair]))]
    assert [] == [pair for pair in right if "variable" in authority_advice(dict([pair]))]
