"""Secrets are read from the configuration, the environment and files, and are not shown anywhere."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from collector.config import load
from collector.errors import UserError
from collector.redaction import MAX_PASSING, REDACTED, PassingSecret, redact
from collector.secrets import Secret
from collector.vendors.seemetrix import SeemetrixSource


def secret(given: object) -> Secret:
    return Secret.model_validate(given)


def test_a_string_is_the_secret() -> None:
    assert secret("plain-81").reveal() == "plain-81"


def test_a_variable_is_read_at_each_use(monkeypatch: pytest.MonkeyPatch) -> None:
    from_environment = secret({"env": "INVENTED_KEY"})

    monkeypatch.setenv("INVENTED_KEY", "env-82\n")
    assert from_environment.reveal() == "env-82"

    monkeypatch.setenv("INVENTED_KEY", "env-83")
    assert from_environment.reveal() == "env-83"


def test_a_file_is_read_at_each_use(tmp_path: Path) -> None:
    path = tmp_path / "key"
    from_file = secret({"file": str(path)})

    path.write_text("file-84\n", "utf-8")
    assert from_file.reveal() == "file-84"

    path.write_text("file-85", "utf-8")
    assert from_file.reveal() == "file-85"


def test_a_variable_that_is_not_set_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVENTED_KEY", raising=False)
    with pytest.raises(UserError, match="INVENTED_KEY") as raised:
        secret({"env": "INVENTED_KEY"}).reveal()
    assert "variable_not_set" == raised.value.code


def test_the_error_of_a_file_that_is_not_text_does_not_show_its_content(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"binary-86\xff")
    with pytest.raises(UserError) as raised:
        secret({"file": str(path)}).reveal()
    assert "binary-86" not in str(raised.value)


@pytest.mark.parametrize("content", [b"plain-95\n", b"plain-95\r\n", b"\xef\xbb\xbfplain-95", b" plain-95 \n\n"])
def test_a_byte_order_mark_and_surrounding_whitespace_are_ignored(tmp_path: Path, content: bytes) -> None:
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
    path.symlink_to("/proc/self/mem")  # a file whose first byte cannot be read, not even by root


def _endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _containing(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (_absent, "secret_unreadable"),
        (_folder, "secret_not_a_file"),
        (_pipe, "secret_not_a_file"),
        (_endless, "secret_not_a_file"),
        (_unreadable, "secret_unreadable"),
        (_containing(b""), "secret_empty"),
        (_containing(b"\r\n"), "secret_empty"),
        (_containing(b"\x00\x01binary"), "secret_not_one_line"),
        (_containing(b"\xff\xfeu\x00t\x00f\x00"), "secret_not_utf8"),
        (_containing(b"one-96\ntwo-96\n"), "secret_not_one_line"),
        (_containing(b"k" * 70_000), "secret_too_large"),
    ],
    ids=["absent", "folder", "pipe", "endless", "unreadable", "empty", "blank", "binary", "utf-16", "lines", "large"],
)
def test_a_file_without_a_secret_is_an_error_with_its_path(
    tmp_path: Path, make: Callable[[Path], object], code: str
) -> None:
    path = tmp_path / "key"
    make(path)
    from_file = secret({"file": str(path)})

    with pytest.raises(UserError) as raised:
        from_file.reveal()

    assert (code, True) == (raised.value.code, str(path) in str(raised.value))
    assert from_file.peek() is None


def test_the_reason_why_a_file_cannot_be_read_is_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file or directory"):
        secret({"file": str(tmp_path / "key")}).reveal()


def test_a_file_that_is_replaced_through_links_is_read_again(tmp_path: Path) -> None:
    """As in Kubernetes: the file is a link into a folder that is itself a link, which is replaced."""
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
def test_an_empty_secret_is_an_error_with_its_variable_or_path(
    blank: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVENTED_KEY", blank)
    with pytest.raises(UserError, match="INVENTED_KEY"):
        secret({"env": "INVENTED_KEY"}).reveal()

    path = tmp_path / "key"
    path.write_text(blank, "utf-8")
    with pytest.raises(UserError, match=str(path)):
        secret({"file": str(path)}).reveal()


def test_str_and_repr_do_not_show_a_secret(tmp_path: Path) -> None:
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
def test_a_secret_is_redacted_in_plain_and_in_urls(text: str) -> None:
    secret(text)

    # The last form is that of queries, in which the times for the vendor keep their slashes and colons.
    for form in (text, quote(text), quote(text, safe=""), quote(text, safe="/:,")):
        assert redact(f"GET /devices/?key={form}&tzo=0") == f"GET /devices/?key={REDACTED}&tzo=0"


def test_present_and_former_values_of_variables_and_files_are_redacted(
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


def test_a_secret_that_starts_with_another_is_redacted_as_a_whole() -> None:
    secret("twin-92")
    secret("twin-92-longer")

    assert redact("twin-92-longer twin-92") == f"{REDACTED} {REDACTED}"


def test_text_without_secrets_is_not_changed() -> None:
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

    with pytest.raises(UserError) as raised:
        load(path)

    assert SECRET not in str(raised.value)
    assert str(raised.value)


@pytest.mark.parametrize("name", ["SOURCES__MALL__USER_KYE", "SOURCES__MALL__USER_ID", "KAFKA__SASL", "SOURCES__MALL"])
def test_no_error_of_the_environment_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[sources.mall]\n{MALL}user_key = 'invented-94'", "utf-8")
    monkeypatch.setenv(f"COLLECTOR__{name}", SECRET)

    with pytest.raises(UserError) as raised:
        load(path)

    assert SECRET not in str(raised.value)


def test_only_the_last_values_of_a_passing_secret_are_redacted() -> None:
    """A token that changes every few minutes would otherwise make each log line slower than the last."""
    passing = PassingSecret()
    values = [f"passing-{number}-of-a-token" for number in range(MAX_PASSING + 2)]
    for value in values:
        assert value == passing.register(value)
        passing.register(value)

    expected = [*values[:2], *[REDACTED] * MAX_PASSING]
    assert expected == [redact(value) for value in values]


def test_a_passing_secret_does_not_reveal_another_one_of_the_same_value() -> None:
    passing, value = PassingSecret(), "shared-by-two-secrets"
    secret(value).reveal()
    for each in (value, *(f"later-value-{number}" for number in range(MAX_PASSING))):
        passing.register(each)

    assert REDACTED == redact(value)
