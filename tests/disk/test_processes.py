"""Several processes on one folder choose what one process chooses, and stop when one of them is lost."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from driver import choice, command, environment

from quests_jax.cli import main, shell


def start(folder: Path, cache: Path, processes: int, devices: int = 1) -> list[subprocess.Popen[str]]:
    forced = {"XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    meet = ["--coordinator", address, "--num-processes", str(processes), "--process-id"]
    return [
        subprocess.Popen(
            [*command(folder, "answer.json"), *meet, str(process)],
            env=environment(cache) | forced,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(processes)
    ]


def test_two_processes_of_two_devices_choose_what_one_chooses(undisturbed: Path, tmp_path: Path) -> None:
    (tmp_path / "data.xyz").write_bytes((undisturbed / "data.xyz").read_bytes())
    for running in start(tmp_path, undisturbed / "cache", processes=2, devices=2):
        printed, errors = running.communicate(timeout=300)
        assert running.returncode == 0, errors
        assert "peer ranks" not in printed  # said by the network below
    found, expected = choice(tmp_path / "answer.json"), choice(undisturbed / "answer.json")
    bound = expected.pop("upper_bound")  # of sums over devices, which are rounded in another order
    assert found.pop("upper_bound") == pytest.approx(bound, rel=1e-9)
    assert found == expected


@pytest.mark.parametrize(
    ("processes", "devices", "moment"),
    [
        (3, 1, "{}"),  # at the start
        (2, 2, "{}.choice-*"),  # when all choose together; with the programs of the test above
    ],
)
def test_a_lost_process_stops_the_others_with_a_clear_error(
    undisturbed: Path, tmp_path: Path, processes: int, devices: int, moment: str
) -> None:
    (tmp_path / "data.xyz").write_bytes((undisturbed / "data.xyz").read_bytes())
    running = start(tmp_path, undisturbed / "cache", processes, devices)
    signs = tmp_path / "work" / "processes"
    while not all(list(signs.glob(moment.format(process))) for process in range(processes)):
        time.sleep(0.02)
        assert all(process.poll() is None for process in running)
    *survivors, lost = running
    lost.send_signal(signal.SIGKILL)
    killed = time.monotonic()
    for survivor in survivors:
        _, errors = survivor.communicate(timeout=60)
        assert survivor.returncode != 0
        assert f"error: process {processes - 1} of {processes} has given no sign of life" in errors
    assert time.monotonic() - killed < 60
    lost.communicate()


def test_processes_need_a_folder_and_a_number(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "_keep_stdout", lambda: None)  # it is for the rest of a process
    alone = ["compress", "bundled:silicon", "--coordinator", "127.0.0.1:1"]
    for more, message in (([], "add --work"), (["--work", str(tmp_path / "w")], "give --num-processes")):
        assert main([*alone, *more]) == 2
        assert message in capfd.readouterr().err
