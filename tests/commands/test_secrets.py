"""What is promised of secrets: where they come from, and that they appear nowhere."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from collector.config import load
from collector.errors import UserError
from collector.secrets import REDACTED, Secret, redact
from collector.vendors.seemetrix import SeemetrixSource


def secret(given: object) -> Secret:
    return Secret.model_validate(given)


@pytest.fixture(autouse=True)
def _no_overrides(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("COLLECTOR__")]:
        monkeypatch.delenv(name)


def test_a_string_is_the_secret_itself() -> None:
    assert secret("plain-81").reveal() == "plain-81"


def test_a_secret_of_the_environment_is_looked_up_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from_outside = secret({"env": "INVENTED_KEY"})

    monkeypatch.setenv("INVENTED_KEY", "env-82\n")
    assert from_outside.reveal() == "env-82"

    monkeypatch.setenv("INVENTED_KEY", "env-83")
    assert from_outside.reveal() == "env-83"


def test_a_secret_of_a_file_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "key"
    from_file = secret({"file": str(path)})

    path.write_text("file-84\n", "utf-8")
    assert from_file.reveal() == "file-84"

    path.write_text("file-85", "utf-8")
    assert from_file.reveal() == "file-85"


def test_a_variable_that_is_not_set_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVENTED_KEY", raising=False)
    with pytest.raises(UserError, match="INVENTED_KEY is not set: set it"):
        secret({"env": "INVENTED_KEY"}).reveal()


def test_a_file_that_is_not_there_is_told_by_its_path(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with pytest.raises(UserError, match="cannot be read") as told:
        secret({"file": str(path)}).reveal()
    assert str(path) in str(told.value)


def test_a_file_that_is_no_text_is_told_without_its_content(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"binary-86\xff")
    with pytest.raises(UserError, match="cannot be read") as told:
        secret({"file": str(path)}).reveal()
    assert "binary-86" not in str(told.value)


@pytest.mark.parametrize("content", [b"plain-95\n", b"plain-95\r\n", b"\xef\xbb\xbfplain-95", b" plain-95 \n\n"])
def test_what_editors_put_around_a_secret_is_no_part_of_it(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)

    assert "plain-95" == secret({"file": str(path)}).reveal()


def _absent(path: Path) -> None:
    del path


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _unreadable(path: Path) -> None:
    path.symlink_to("/proc/self/mem")  # a file whose first byte nobody may read, not even root


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _holding(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (_absent, "cannot be read: No such file or directory: put the secret there"),
        (_folder, "cannot be read: it is no file"),
        (_pipe, "cannot be read: it is no file"),
        (_endless, "cannot be read: it is no file"),
        (_unreadable, "cannot be read: Input/output error: put the secret there"),
        (_holding(b""), "is empty: put the secret there"),
        (_holding(b"\r\n"), "is empty: put the secret there"),
        (_holding(b"\x00\x01binary"), "holds more than one line, or no text: put the secret there, and nothing else"),
        (_holding(b"\xff\xfeu\x00t\x00f\x00"), "cannot be read: it is not UTF-8: put the secret there, as text"),
        (_holding(b"one-96\ntwo-96\n"), "holds more than one line, or no text: put the secret there, and nothing else"),
        (_holding(b"k" * 70_000), "is larger than any secret: put the secret there, and nothing else"),
    ],
    ids=["absent", "folder", "pipe", "endless", "unreadable", "empty", "blank", "binary", "utf-16", "lines", "large"],
)
def test_a_file_that_holds_no_secret_is_told_by_its_path_with_what_to_do(
    tmp_path: Path, make: Callable[[Path], object], expected: str
) -> None:
    path = tmp_path / "key"
    make(path)
    from_file = secret({"file": str(path)})

    with pytest.raises(UserError) as told:
        from_file.reveal()

    assert f"the secret's file {path} {expected}" == str(told.value)[: len(f"the secret's file {path} {expected}")]
    assert from_file.peek() is None


def test_files_that_are_swapped_all_at_once_are_read_as_they_are_then(tmp_path: Path) -> None:
    """As Kubernetes does: the file is a link into a folder that is a link, and that one is replaced."""
    for name in ("first-97", "second-97"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "key").write_text(name, "utf-8")
    (tmp_path / "..data").symlink_to("first-97")
    (tmp_path / "key").symlink_to("..data/key")
    from_file = secret({"file": str(tmp_path / "key")})
    assert "first-97" == from_file.reveal()

    (tmp_path / "..data_tmp").symlink_to("second-97")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")

    assert "second-97" == from_file.reveal()


@pytest.mark.parametrize("blank", ["", " \n"])
def test_an_empty_secret_is_told_by_the_name_of_where_it_is(
    blank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVENTED_KEY", blank)
    with pytest.raises(UserError, match="INVENTED_KEY"):
        secret({"env": "INVENTED_KEY"}).reveal()

    path = tmp_path / "key"
    path.write_text(blank, "utf-8")
    with pytest.raises(UserError, match=str(path)):
        secret({"file": str(path)}).reveal()


def test_a_secret_prints_as_itself_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text('[sources.mall]\nvendor = "seemetrix"\nuser_id = 864\nuser_key = "printed-87"\n', "utf-8")
    settings = load(path)
    mall = settings.sources["mall"]
    assert isinstance(mall, SeemetrixSource)
    key = mall.user_key

    shown = f"{key} {key!r} {key!s} {settings} {settings!r} {[key]}"

    assert "printed-87" not in shown
    assert REDACTED in shown


AWKWARD = ["plain-88", "with/slash-88", "with space-88", "a,b:c-88", "both, of them-88", 'a"b-88', "naïve-88", "50%-88"]


@pytest.mark.parametrize("text", AWKWARD)
def test_conceal_removes_a_secret_and_what_urls_make_of_it(text: str) -> None:
    secret(text)

    # The last is how a request's query is written: the vendor's times are wanted with their slashes and colons.
    for form in (text, quote(text), quote(text, safe=""), quote(text, safe="/:,")):
        assert redact(f"GET /devices/?key={form}&tzo=0") == f"GET /devices/?key={REDACTED}&tzo=0"


def test_conceal_removes_what_came_from_the_environment_and_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVENTED_KEY", "env-89")
    path = tmp_path / "key"
    path.write_text("file-90", "utf-8")
    secret({"env": "INVENTED_KEY"}).reveal()
    from_file = secret({"file": str(path)})
    from_file.reveal()
    path.write_text("file-91", "utf-8")
    from_file.reveal()

    assert redact("env-89 file-90 file-91") == f"{REDACTED} {REDACTED} {REDACTED}"


def test_conceal_leaves_no_tail_of_a_secret_that_begins_like_another() -> None:
    secret("twin-92")
    secret("twin-92-longer")

    assert redact("twin-92-longer twin-92") == f"{REDACTED} {REDACTED}"


def test_conceal_leaves_everything_else_as_it_is() -> None:
    assert redact("device 5315, session 1331") == "device 5315, session 1331"


SECRET = "s3cret-93"
MALL = 'vendor = "seemetrix"\nuser_id = 864\n'


@pytest.mark.parametrize(
    "text",
    [
        f"[sources.mall]\n{MALL}user_key = {{ value = '{SECRET}' }}",
        f"[sources.mall]\n{MALL}user_key = {{ env = 'A', file = '{SECRET}' }}",
        f"[sources.mall]\n{MALL}user_key = ['{SECRET}']",
        f"[sources.mall]\n{MALL}user_kye = '{SECRET}'",
        f"[sources.mall]\n{MALL}user_key = {SECRET}",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}'\nuser_key = '{SECRET}'",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}'\nnope = 1",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}'\nbase_url = 'https://me:{SECRET}@vendor.example'",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}'\nbase_url = 'http://vendor.example/{SECRET}'",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}'\n[kafka]\nsasl = '{SECRET}'",
        f"[sources.mall]\n{MALL}user_key = '{SECRET}'\n[kafka.sasl]\nmechanism = '{SECRET}'\npassword = '{SECRET}'",
        f"[sources.mall]\nvendor = '{SECRET}'",
        f"sources = '{SECRET}'",
    ],
)
def test_no_error_of_the_configuration_shows_a_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")

    with pytest.raises(UserError) as told:
        load(path)

    assert SECRET not in str(told.value)
    assert str(told.value)


@pytest.mark.parametrize("name", ["SOURCES__MALL__USER_KYE", "SOURCES__MALL__USER_ID", "KAFKA__SASL", "SOURCES__MALL"])
def test_no_error_of_the_environment_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[sources.mall]\n{MALL}user_key = 'invented-94'", "utf-8")
    monkeypatch.setenv(f"COLLECTOR__{name}", SECRET)

    with pytest.raises(UserError) as told:
        load(path)

    assert SECRET not in str(told.value)
