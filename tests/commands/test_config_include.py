"""Further sources come from the files that `include` names."""

from pathlib import Path

import pytest

from collector.config import Settings, load
from collector.errors import InvalidConfiguration, Problem, UserError
from collector.raw_config import digest


def source(name: str, *, user_id: int = 864, more: str = "") -> str:
    return f'[sources.{name}]\nvendor = "seemetrix"\nuser_id = {user_id}\nuser_key = "invented-key-42"\n{more}\n'


class Folder:
    """A folder with config.toml, which includes the files of `sources.d`."""

    def __init__(self, path: Path) -> None:
        self.config = path / "config.toml"
        self.sources = path / "sources.d"
        self.sources.mkdir()
        self.config.write_text('include = "sources.d/*.toml"\n', "utf-8")

    def add(self, name: str, text: str) -> Path:
        (file := self.sources / name).write_text(text, "utf-8")
        return file

    def load(self) -> Settings:
        return load(self.config)

    def problems(self) -> list[Problem]:
        with pytest.raises(InvalidConfiguration) as raised:
            self.load()
        return list(raised.value.problems)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_sources_of_all_files_are_configured(folder: Folder) -> None:
    folder.config.write_text(f'include = "sources.d/*.toml"\n{source("mall")}', "utf-8")
    folder.add("airport.toml", source("airport", user_id=2) + source("station", user_id=3))
    folder.add("museum.toml", source("museum", user_id=4))

    assert {"mall", "airport", "station", "museum"} == folder.load().sources.keys()


def test_only_files_that_match_are_included(folder: Folder) -> None:
    folder.add("mall.toml", source("mall"))
    folder.add("mall.toml.bak", source("backup"))
    folder.add(".hidden.toml", source("hidden"))
    (folder.sources / "folder.toml").mkdir()

    assert {"mall"} == folder.load().sources.keys()


def test_the_environment_sets_the_pattern(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.add("mall.conf", source("mall"))
    monkeypatch.setenv("COLLECTOR__INCLUDE", "sources.d/*.conf")

    assert {"mall"} == folder.load().sources.keys()


def test_a_pattern_may_be_absolute(folder: Folder, tmp_path: Path) -> None:
    folder.add("mall.toml", source("mall"))
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (config := elsewhere / "config.toml").write_text(f'include = "{folder.sources}/*.toml"', "utf-8")

    assert {"mall"} == load(config).sources.keys()


def test_a_source_in_two_files_is_refused_and_both_are_named(folder: Folder) -> None:
    first, second = folder.add("a.toml", source("mall")), folder.add("b.toml", source("mall"))

    (found,) = folder.problems()

    assert ("sources.mall", "defined_twice", str(second)) == (found.path, found.code, found.file)
    assert str(first) in found.text


def test_an_included_file_has_only_sources(folder: Folder) -> None:
    file = folder.add("a.toml", f'kafka.group = "other"\n{source("mall")}')

    (found,) = folder.problems()

    assert ("kafka", "not_a_source", str(file)) == (found.path, found.code, found.file)


def test_a_wrong_key_names_its_file(folder: Folder) -> None:
    file = folder.add("a.toml", source("mall", more='base_url = "nowhere"'))

    (found,) = folder.problems()

    assert ("sources.mall.base_url", str(file)) == (found.path, found.file)
    assert str(found).startswith(f"{file}: sources.mall.base_url: ")


def test_a_file_that_is_not_toml_is_named(folder: Folder) -> None:
    file = folder.add("a.toml", "[sources.mall")

    with pytest.raises(UserError) as raised:
        folder.load()

    assert "config_not_toml" == raised.value.code
    assert str(file) in str(raised.value)


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(folder: Folder) -> None:
    folder.add("mall.toml", source("mall"))
    before = digest(folder.config, "sources.d/*.toml")
    folder.sources.rename(folder.sources.with_name("elsewhere"))
    folder.sources.write_text("no folder", "utf-8")

    with pytest.raises(UserError) as raised:
        folder.load()

    assert "include_unreadable" == raised.value.code
    assert before != digest(folder.config, "sources.d/*.toml")


@pytest.mark.parametrize(("given", "code"), [("7", "wrong_type"), ('""', "out_of_range"), ("true", "wrong_type")])
def test_a_pattern_is_text(folder: Folder, given: str, code: str) -> None:
    folder.config.write_text(f"include = {given}\n{source('mall')}", "utf-8")

    (found,) = folder.problems()

    assert ("include", code) == (found.path, found.code)


def test_without_any_source_nothing_runs(folder: Folder) -> None:
    (found,) = folder.problems()

    assert "sources" == found.path


def test_the_digest_changes_with_every_file_and_with_their_number(folder: Folder) -> None:
    folder.add("a.toml", source("mall"))
    digests = [digest(folder.config, "sources.d/*.toml")]
    for name, text in (("a.toml", source("mall", user_id=2)), ("b.toml", source("airport")), ("c.toml", "")):
        folder.add(name, text)
        digests.append(digest(folder.config, "sources.d/*.toml"))
    (folder.sources / "c.toml").unlink()
    folder.config.write_text("", "utf-8")
    digests.append(digest(folder.config, "sources.d/*.toml"))
    folder.config.unlink()
    digests.append(digest(folder.config, "sources.d/*.toml"))

    assert len(digests) == len(set(digests))
    assert digests[-1] == digest(folder.config, "sources.d/*.toml")
