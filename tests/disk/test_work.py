"""Results on disk: made once, whole, checked when read, divided among processes."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from quests_jax.base.checks import InputError
from quests_jax.disk import Work, rerun_after_repairs
from quests_jax.disk import work as module
from quests_jax.disk.work import Damaged


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
    assert '"h": 1' in (one.folder / "manifest.json").read_text()


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.filterwarnings("ignore:.*was damaged or gone")
def test_whatever_bit_of_a_result_is_flipped_it_is_made_again(tmp_path: Path) -> None:
    stage = Work(tmp_path).stage("squares", {})
    stage.complete(1, squares)
    content = stage.path(0).read_bytes()
    for place in range(0, len(content), 7):
        stage.path(0).write_bytes(
            content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :]
        )
        with pytest.raises(Damaged, match="00000"):
            stage.load(0)
        assert not stage.path(0).exists()


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

    with pytest.warns(UserWarning, match="00001.npz was damaged"):
        assert rerun_after_repairs(again) == [0, 4]
    assert stage.load(1)["square"] == 1


def test_another_version_of_the_package_makes_its_own_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Work(tmp_path).stage("squares", {"h": 1}).folder
    monkeypatch.setattr(module, "versions", lambda: {"quests_jax": "99.0"})
    assert Work(tmp_path).stage("squares", {"h": 1}).folder != before


def test_whoever_finds_a_damaged_result_makes_it_again_whosever_it_is(tmp_path: Path) -> None:
    Work(tmp_path).stage("squares", {}).complete(3, squares)
    stage = Work(tmp_path, process=1, processes=3).stage("squares", {})
    truncate(stage.path(2))
    with pytest.raises(Damaged, match="00002"):
        stage.load(2)
    stage.complete(3, squares)
    assert stage.load(2)["square"] == 4


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

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.np, "savez", full)
    with pytest.raises(InputError, match="no space left .* what is finished is kept"):
        stage.complete(2, squares)
    assert sorted(path.name for path in stage.folder.iterdir()) == ["00000.npz", "manifest.json"]


def test_processes_divide_a_stage_and_wait_for_each_other(tmp_path: Path) -> None:
    made: dict[int, list[int]] = {0: [], 1: [], 2: []}

    def run(process: int) -> None:
        def make(number: int) -> dict[str, np.ndarray]:
            made[process].append(number)
            return squares(number)

        stage = Work(tmp_path, process, 3).stage("squares", {})
        stage.complete(7, make)
        assert [int(stage.load(number)["square"][0]) for number in range(7)] == [n**2 for n in range(7)]

    threads = [threading.Thread(target=run, args=(process,)) for process in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
        assert not thread.is_alive()
    assert made == {0: [0, 3, 6], 1: [1, 4], 2: [2, 5]}


class Together:
    """Processes as threads that make one result by a sum in which all of them take part."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.parties = threading.Barrier(processes, timeout=30)
        self.works = [Work(folder, process, processes) for process in range(processes)]
        self.made: list[int] = []
        self.found: dict[int, int] = {}

    def pipeline(self, process: int) -> int:
        parts, total = (self.works[process].stage(name, {}) for name in ("parts", "total"))
        parts.complete(len(self.works), squares)

        def make(loaded: list[int]) -> dict[str, np.ndarray]:
            if total.path(0) not in self.works[process].repairs:
                self.parties.wait()  # as a sum over devices would
            self.made.append(process)
            return {"total": np.array([sum(loaded)])}

        def load(_) -> list[int]:
            return [int(parts.load(number)["square"][0]) for number in range(len(self.works))]

        total.together(0, load, make)
        return int(total.load(0)["total"][0])

    def run(self) -> None:
        def one(process: int) -> None:
            self.found[process] = rerun_after_repairs(lambda: self.pipeline(process))

        threads = [threading.Thread(target=one, args=(work.process,), daemon=True) for work in self.works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()


def test_processes_make_one_result_together(tmp_path: Path) -> None:
    together = Together(tmp_path, 3)
    together.run()
    assert together.found == {0: 5, 1: 5, 2: 5}
    assert sorted(together.made) == [0, 1, 2]
    assert not list(together.works[0].signs.iterdir())
    together.made.clear()
    together.run()
    assert together.made == []  # it is there


@pytest.mark.filterwarnings("ignore:.*was damaged or gone")
def test_damage_that_one_process_finds_before_does_not_leave_the_others_waiting(tmp_path: Path) -> None:
    together = Together(tmp_path, 3)
    stage = together.works[0].stage("parts", {})
    for number in range(3):
        stage.save(number, squares(number))
    truncate(stage.path(1))
    together.run()
    assert together.found == {0: 5, 1: 5, 2: 5}
    assert sorted(together.made) == [0, 1, 2]


@pytest.mark.filterwarnings("ignore:.*was damaged or gone")
def test_a_common_result_that_is_damaged_is_made_again_by_whoever_finds_it(tmp_path: Path) -> None:
    together = Together(tmp_path, 3)
    together.run()
    truncate(together.works[0].stage("total", {}).path(0))
    together.made.clear()
    together.run()
    assert together.found == {0: 5, 1: 5, 2: 5}
    assert together.made
