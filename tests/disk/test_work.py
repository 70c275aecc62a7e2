"""Results on disk: made once, whole, checked when read."""

from __future__ import annotations

import errno
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quests_jax.base.checks import InputError
from quests_jax.disk import Work, rerun_after_repairs
from quests_jax.disk import working_folder as module
from quests_jax.disk.checksummed_arrays import Damaged
from quests_jax.disk.working_folder import manifest_of


def squares(number: int) -> dict[str, np.ndarray]:
    return {"square": np.array([number**2])}


def test_a_result_is_made_once(tmp_path: Path) -> None:
    made = []

    def make(number: int) -> dict[str, np.ndarray]:
        made.append(number)
        return squares(number)

    for _ in range(2):
        stage = Work(tmp_path).stage("squares", {"h": 1})
        stage.complete(5, make)
    assert made == [0, 1, 2, 3, 4]
    assert stage.load(3)["square"] == 9


def test_other_parameters_are_another_stage(tmp_path: Path) -> None:
    one, two = (Work(tmp_path).stage("squares", {"h": h}) for h in (1, 2))
    assert one.folder != two.folder
    about = manifest_of(one.folder)
    assert about is not None
    assert about["parameters"] == {"h": 1}


def test_a_damaged_manifest_is_known_and_written_again(tmp_path: Path) -> None:
    stage = Work(tmp_path).stage("squares", {"h": 1})
    manifest = stage.folder / "manifest.json"
    whole = manifest.read_bytes()
    for harm in (whole.replace(b'"h": 1', b'"h": 2'), whole[:20], b"", b"[]", b"[" * 100_000, b"\xff\xfe"):
        manifest.write_bytes(harm)
        assert manifest_of(stage.folder) is None
    Work(tmp_path).stage("squares", {"h": 1})
    assert manifest.read_bytes() == whole


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.filterwarnings("ignore:.*was damaged or gone")
@pytest.mark.parametrize("harm", [truncate, lambda path: path.write_bytes(b""), lambda path: path.unlink()])
def test_a_damaged_result_is_named_and_made_again(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    stage = Work(tmp_path).stage("squares", {})
    stage.complete(3, squares)
    harm(stage.path(1))
    answers = []

    def pipeline() -> list[int]:
        answers.append([int(stage.load(number)["square"][0]) for number in (0, 2)])
        stage.load(1)
        return answers[-1]

    def again() -> list[int]:
        if answers:
            stage.complete(3, squares)
        return pipeline()

    with pytest.warns(UserWarning, match="00001.arrays was damaged"):
        assert rerun_after_repairs(again) == [0, 4]
    assert stage.load(1)["square"] == 1


def test_a_result_in_the_place_of_another_is_damaged(tmp_path: Path) -> None:
    stage, other = (Work(tmp_path).stage("squares", {"h": h}) for h in (1, 2))
    for each in (stage, other):
        each.complete(2, squares)
    for swapped in (stage.path(1), other.path(0)):
        stage.path(0).write_bytes(swapped.read_bytes())
        with pytest.raises(Damaged, match="00000"):
            stage.load(0)
        assert not stage.path(0).exists()


def test_another_version_of_the_package_makes_its_own_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Work(tmp_path).stage("squares", {"h": 1}).folder
    monkeypatch.setattr(module, "versions", lambda: {"quests_jax": "99.0"})
    assert Work(tmp_path).stage("squares", {"h": 1}).folder != before


def test_what_cannot_be_read_back_is_an_error_and_no_endless_loop(tmp_path: Path) -> None:
    stage = Work(tmp_path).stage("squares", {})

    def pipeline() -> None:
        stage.complete(1, squares)
        stage.path(0).write_bytes(b"nonsense")
        stage.load(0)

    with pytest.warns(UserWarning, match="damaged"), pytest.raises(InputError, match="check the disk"):
        rerun_after_repairs(pipeline)


def test_a_full_disk_says_so_and_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    stage = Work(tmp_path).stage("squares", {})
    stage.complete(1, squares)

    def full(path: Path, *_) -> None:
        path.write_bytes(b"half of a res")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_arrays", full)
    with pytest.raises(InputError, match="no space left .* what is finished is kept"):
        stage.complete(2, squares)
    assert sorted(path.name for path in stage.folder.iterdir()) == ["00000.arrays", "manifest.json"]


def test_a_worker_that_is_sent_a_stage_works_for_itself(tmp_path: Path) -> None:
    stage = Work(tmp_path, lambda name, task, numbers: None).stage("squares", {})
    stage.complete(2, squares)
    assert not stage.path(0).exists()  # this runner does nothing
    sent = pickle.loads(pickle.dumps(stage))
    sent.complete(2, squares)
    assert stage.load(1)["square"] == 1
