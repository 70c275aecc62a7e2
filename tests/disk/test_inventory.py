"""What a working folder holds is listed, and what nobody needs is removed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command_line import Call, call, json_of

import quests_jax.disk.working_folder as module
from quests_jax.disk.inventory import Item, inventory

__all__ = ["call"]  # the fixture


@pytest.fixture
def folder(call: Call) -> Path:
    """A folder with work on two files of which one is shared."""
    shutil.copy("data.xyz", "other.xyz")
    Path("other.xyz").write_text(Path("data.xyz").read_text().replace("number=3", "number=33"))
    for files in (["data.xyz"], ["data.xyz", "other.xyz"]):
        assert call("metrics", *files, "--work", "folder", "--sample", "5").code == 0
    return Path("folder")


def stale(items: list[Item]) -> dict[str, int]:
    found: dict[str, int] = {}
    for item in items:
        if item.stale:
            found[item.stage] = found.get(item.stage, 0) + 1
    return found


def test_stages_are_listed_with_their_files(call: Call, folder: Path) -> None:
    found = json_of(call("work", "folder", "--check", "--json"))
    assert found["bytes"] == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    names = [(stage["stage"], stage["data"]) for stage in found["stages"]]
    assert names.count(("descriptors", "data.xyz")) == 1
    assert names.count(("descriptors", "data.xyz and 1 more")) == 1
    assert names.count(("structures", "data.xyz")) == 1  # the second command used it again
    assert not any(stage["stale"] for stage in found["stages"])
    assert "MB" in call("work", "folder").out


def test_what_a_file_was_before_is_stale(call: Call, folder: Path) -> None:
    Path("other.xyz").write_text(Path("data.xyz").read_text() + Path("data.xyz").read_text())
    assert stale(inventory(folder)) == {
        name: 1 for name in ("contents", "data", "descriptors", "sample", "sample-sums", "structures")
    }
    (next(folder.glob("data-*")) / ".unfinished-123").write_text("")
    assert "--remove stale" in call("work", "folder").out
    assert "and 1 unfinished file." in call("work", "folder", "--remove", "stale").out
    assert stale(inventory(folder)) == {}
    assert call("metrics", "data.xyz", "--work", "folder", "--sample", "5").code == 0
    Path("data.xyz").unlink()
    assert {item.stale for item in inventory(folder)} == {f"{Path('data.xyz').absolute()} is gone"}


def test_what_is_damaged_or_of_another_version_is_stale(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = next(folder.glob("descriptors-*/*.arrays"))
    result.write_bytes(result.read_bytes()[:-1])
    (next(folder.glob("sample-sums-*")) / "manifest.json").write_text("{}")
    assert stale(inventory(folder)) == {"sample-sums": 1}
    assert stale(inventory(folder, thorough=True)) == {"sample-sums": 1, "descriptors": 1}
    with monkeypatch.context() as later:
        later.setattr(module, "LAYOUT", 99)
        call("metrics", "data.xyz", "--work", "folder", "--sample", "5")
    assert "made by version" in {item.stale[:15] for item in inventory(folder)}
    call("work", "folder", "--remove", "all")
    assert not list(folder.iterdir())


def test_a_folder_of_something_else_is_not_touched(call: Call) -> None:
    Path("others").mkdir()
    Path("others/manifest.json").write_text("{}")
    for name, message in ((".", "holds no results"), ("nowhere", "no such folder")):
        outcome = call("work", name, "--remove", "all")
        assert (outcome.code, message in outcome.err) == (2, True)
    assert Path("others/manifest.json").exists()
