"""The command line: what it writes, what it refuses, and that it never leaves half a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from command_line import STRUCTURES, Call, call, json_of
from rich.console import Console

from quests_jax.atoms import writing
from quests_jax.atoms.describe import environments
from quests_jax.atoms.reading import read
from quests_jax.base import progress as chunks
from quests_jax.cli import cli, descriptor_choice, generation
from quests_jax.information import delta_entropy, diversity, entropy
from quests_jax.output import terminal as console

__all__ = ["call"]  # the fixture


# ---- Numbers ----


def test_metrics_are_those_of_the_library(call: Call) -> None:
    found = json_of(call("metrics", "data.xyz", "-b", "0.05", "--json"))
    x = environments(STRUCTURES).x
    assert found["entropy"] == pytest.approx(float(entropy(x, bandwidth=0.05)), abs=1e-9)
    assert found["diversity"] == pytest.approx(float(diversity(x, bandwidth=0.05)), abs=1e-9)
    assert found["efficiency"] == pytest.approx(100 * found["entropy"] / np.log(32))


@pytest.mark.parametrize("name", ["entropy", "diversity"])
def test_single_measures_agree_with_metrics(call: Call, name: str) -> None:
    alone, together = (json_of(call(command, "data.xyz", "--json")) for command in (name, "metrics"))
    assert alone[name] == pytest.approx(together[name], rel=1e-13)


@pytest.mark.parametrize(
    "arguments",
    [
        "entropy FILE",
        "diversity FILE",
        "metrics FILE",
        "overlap FILE FILE",
        "delta-entropy FILE -r FILE",
        "compress FILE",
    ],
)
def test_every_json_says_how_it_came_about(call: Call, arguments: str) -> None:
    typed = arguments.replace("FILE", "data.xyz").split() + ["-k", "8", "--json"]
    found = json_of(call(*typed))
    assert found["command"] == " ".join(["quests-jax", *typed])
    assert (found["k"], found["cutoff"], found["bandwidth"]) == (8, 5.0, 0.015)
    assert found["seconds"]["total"] >= found["seconds"]["descriptors"] > 0
    assert {"quests_jax", "jax", "jaxlib", "numpy", "ase", "python"} == set(found["versions"])
    assert found["n_environments"] == 32


def test_a_set_covers_itself_and_not_a_stranger(call: Call) -> None:
    ase.io.write("stranger.xyz", bulk("Si"), format="extxyz")
    assert json_of(call("overlap", "data.xyz", "data.xyz", "--json"))["overlap"] == 1.0
    assert json_of(call("overlap", "stranger.xyz", "data.xyz", "--json"))["overlap"] == 0.0


def test_delta_entropy_is_written_for_every_atom(call: Call) -> None:
    ase.io.write("known.xyz", STRUCTURES[:3], format="extxyz")
    found = json_of(call("delta-entropy", "data.xyz", "-r", "known.xyz", "-o", "dH.xyz.gz", "--json"))
    written = np.concatenate([atoms.arrays["delta_entropy"] for atoms in read("dH.xyz.gz")])
    expected = delta_entropy(environments(STRUCTURES).x, environments(STRUCTURES[:3]).x, bandwidth=0.015)
    np.testing.assert_allclose(found["delta_entropy"], expected, atol=1e-9)
    np.testing.assert_allclose(written, expected, atol=1e-6)
    assert found["max"] == max(found["delta_entropy"])
    assert found["structure_id"] == [i // 4 for i in range(32)]


# ---- Files ----


def test_compress_writes_structures_in_order_of_choice(call: Call) -> None:
    call("compress", "data.xyz", "-s", "0.5", "-o", "small.xyz", "-o", "small.db", "-o", "small.json")
    selected = json.loads(Path("small.json").read_text())["selected"]
    assert len(selected) == 4
    assert [atoms.info["number"] for atoms in read("small.xyz")] == selected
    for atoms, number in zip(read("small.db"), selected, strict=True):
        np.testing.assert_allclose(atoms.positions, STRUCTURES[number].positions, atol=1e-8)


@pytest.mark.parametrize(
    ("size", "expected"), [("1", 1), ("1.0", 8), ("100%", 8), ("25%", 2), ("0.25", 2), ("3", 3), ("3.0", 3)]
)
def test_a_size_is_a_fraction_a_share_in_percent_or_a_number(call: Call, size: str, expected: int) -> None:
    assert json_of(call("compress", "data.xyz", "-s", size, "-m", "random", "--json"))["size"] == expected


def test_compress_measures_every_prefix_where_asked(call: Call) -> None:
    found = json_of(call("compress", "data.xyz", "-s", "0.5", "--prefixes", "--json"))
    assert found["prefixes"]["n_environments"] == [4, 8, 12, 16]
    for name in ("entropy", "diversity", "overlap", "coverage"):
        assert found["prefixes"][name][-1] == pytest.approx(found[name], abs=1e-9)
    assert "prefixes" not in json_of(call("compress", "data.xyz", "-s", "0.5", "--json"))


def test_a_full_certificate_needs_the_data_in_memory(call: Call) -> None:
    outcome = call("compress", "data.xyz", "-m", "cover", "--certify", "full", "--work", "folder")
    assert (outcome.code, "leave out --work" in outcome.err) == (2, True)


def test_a_bandwidth_is_found_for_data_on_disk_as_in_memory(call: Call) -> None:
    words = ("metrics", "data.xyz", "-b", "auto", "--json")
    memory, disk = (json_of(call(*words, *more)) for more in ((), ("--work", "folder")))
    assert disk["bandwidth"] == memory["bandwidth"] != 0.015
    assert disk["bandwidth_auto"] == memory["bandwidth_auto"]
    assert disk["entropy"] == pytest.approx(memory["entropy"], abs=1e-9)


def test_compress_complements_a_reference(call: Call) -> None:
    found = json_of(call("compress", "data.xyz", "-s", "1", "-r", "data.xyz", "--json"))
    assert found["overlap"] == 1.0
    assert found["reference_environments"] == found["n_environments"] == 32


@pytest.mark.parametrize(
    "command", ["metrics data.npz", "overlap data.npz data.xyz", "compress data.npz -s 3"]
)
def test_descriptors_stand_for_structures(call: Call, command: str) -> None:
    assert call("descriptors", "data.xyz", "-o", "data.npz").code == 0
    again, original = (
        json_of(call(*line.split(), "--json")) for line in (command, command.replace("npz", "xyz"))
    )
    again = json.loads(json.dumps(again).replace("data.npz", "data.xyz"))
    changing = ("command", "seconds", "elements", "symbols")  # descriptors know no symbols
    assert {name: again[name] for name in again if name not in changing} == {
        name: original[name] for name in original if name not in changing
    }


def test_a_bare_matrix_is_read_and_its_parameters_are_unknown(call: Call) -> None:
    call("descriptors", "data.xyz", "-o", "data.npy")
    found = json_of(call("entropy", "data.npy", "--json"))
    assert found["entropy"] == json_of(call("entropy", "data.xyz", "--json"))["entropy"]
    assert found["k"] is found["cutoff"] is None


def test_generate_writes_what_the_generator_makes(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    made = lambda name, seed, progress: asked.append((name, seed)) or STRUCTURES[:2]  # noqa: E731
    monkeypatch.setattr(generation, "simulate", made)
    assert call("generate", "metals", "--seed", "7", "-o", "made.xyz.gz", "-o", "made.json").code == 0
    found = json.loads(Path("made.json").read_text())
    assert asked == [("metals", 7)] == [(found["name"], found["seed"])]
    assert [atoms.info["number"] for atoms in read("made.xyz.gz")] == [0, 1]


# ---- Bad input ----


def spoil(**changes: Any) -> Atoms:
    atoms = STRUCTURES[1].copy()
    for name, value in changes.items():
        getattr(atoms, name)[1] = value
    return atoms


BAD_FILES: dict[str, tuple[list[Atoms], str]] = {
    "nan.xyz": ([STRUCTURES[0], spoil(positions=np.nan)], "nan.xyz: structure 1, atom 1"),
    "inf.xyz": ([STRUCTURES[0], spoil(positions=np.inf)], "inf.xyz: structure 1, atom 1"),
    "flat.xyz": ([STRUCTURES[0], spoil(cell=0)], "flat.xyz: structure 1: the cell is singular"),
    "void.xyz": ([Atoms(cell=[1, 1, 1])], "void.xyz: holds no atoms"),
    "same.xyz": ([STRUCTURES[0], spoil(positions=STRUCTURES[1].positions[0])], "same.xyz: structure 1"),
}

REFUSED = [
    ("entropy missing.xyz", "missing.xyz: no such file"),
    ("entropy empty.xyz", "empty.xyz: the file is empty"),
    ("entropy cut.xyz", "cut.xyz: structure 7"),
    ("entropy empty_folder", "empty_folder: holds no structure files"),
    *((f"entropy {name}", words) for name, (_, words) in BAD_FILES.items()),
    *((f"compress {name} -o out.xyz", words) for name, (_, words) in BAD_FILES.items()),
    ("entropy void.xyz", "void.xyz: holds no atoms"),
    ("overlap data.xyz missing.xyz", "missing.xyz: no such file"),
    ("compress data.xyz -s 0 -o out.xyz", "size must be"),
    ("compress data.xyz -s -3 -o out.xyz", "size must be"),
    ("compress data.xyz -s 9 -o out.xyz", "size 9 is larger than the data set of 8"),
    ("compress data.xyz -s 2.5 -o out.xyz", "size as a fraction"),
    ("compress data.xyz -s many -o out.xyz", "size must be a number, got 'many'"),
    ("compress data.xyz -s nan -o out.xyz", "size must be"),
    ("compress data.xyz -s 200% -o out.xyz", "size in percent must be"),
    ("compress data.xyz -m magic -o out.xyz", "method 'magic' is not known"),
    ("entropy data.xyz -b 0", "bandwidth must be a positive number"),
    ("entropy data.xyz -b -0.1", "bandwidth must be a positive number"),
    ("entropy data.xyz -b nan", "bandwidth must be a positive number"),
    ("entropy data.xyz -c 0", "cutoff must be a positive number"),
    ("entropy data.xyz -k 0", "k must be"),
    ("entropy data.xyz -k -5", "k must be"),
    ("entropy data.xyz -k few", "'few' is not a valid integer"),
    ("compress data.xyz -o data.xyz --overwrite", "data.xyz: is an input"),
    ("compress data.xyz -o old.xyz", "old.xyz: exists already"),
    ("compress data.xyz -o nowhere/out.xyz", "does not exist"),
    ("compress data.xyz -o old.xyz/out.xyz", "does not exist"),
    ("compress data.xyz -o out.pdf", "unknown output format"),
    ("entropy data.xyz -o out.xyz", "unknown output format"),
    ("compress data.xyz -o out.xyz -o out.xyz", "given twice"),
    ("compress data.xyz -o out.json -o ./out.json", "given twice"),
    ("metrics bad.npz", "not a complete .npy or .npz file"),
    ("metrics data.npz -k 16", "made with k 8; add --k 8"),
    ("compress data.npy", "does not say which structure"),
    ("compress data.npz -k 8 -o out.xyz", "holds no structures to write"),
    ("overlap data.npz data.xyz", "made with k 8"),
    ("entropy data.npy -r data.xyz", "No such option"),
    ("entropy", "Missing argument 'FILE...'"),
    ("nonsense data.xyz", "No such command 'nonsense'"),
]


@pytest.mark.parametrize(("line", "words"), REFUSED)
def test_bad_input_is_refused_in_one_line_before_anything_is_written(
    call: Call, line: str, words: str
) -> None:
    text = Path("data.xyz").read_text()
    Path("cut.xyz").write_text(text[: text.rindex("Cu")])
    Path("empty.xyz").touch()
    Path("empty_folder").mkdir()
    Path("old.xyz").write_text("precious")
    Path("bad.npz").write_bytes(b"PK\x03\x04 and no more")
    for name, (structures, _) in BAD_FILES.items():
        ase.io.write(name, structures, format="extxyz")
    call("descriptors", "data.xyz", "-k", "8", "-o", "data.npz", "-o", "data.npy", "--quiet")
    before = {path: path.stat().st_mtime_ns for path in Path().iterdir()}
    outcome = call(*line.split())
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert words in outcome.err
    assert {path: path.stat().st_mtime_ns for path in Path().iterdir()} == before


# ---- Never half a file ----


def write_half(known: Any, path: Path, unfinished: Path, *_: Any) -> None:
    """Stand-in for a writer that fails after its first bytes."""
    unfinished.write_text("half")
    raise OSError("no space left on device")


@pytest.mark.parametrize("suffix", [".xyz", ".xyz.gz", ".db", ".traj"])
def test_a_failing_write_leaves_the_old_file(
    call: Call, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    Path(f"out{suffix}").write_text("precious")
    monkeypatch.setattr(writing, "_attempt", write_half)
    outcome = call("compress", "data.xyz", "-o", f"out{suffix}", "--overwrite")
    words = "not written (no space left on device); other outputs are."
    assert (outcome.code, outcome.err) == (2, f"error: out{suffix}: {words}\n")
    assert {path.name for path in Path().iterdir()} == {"data.xyz", f"out{suffix}"}
    assert Path(f"out{suffix}").read_text() == "precious"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_writing_leaves_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    def write_and_die(known: Any, path: Path, unfinished: Path, *_: Any) -> None:
        unfinished.write_text("half")
        os.kill(os.getpid(), kind)

    monkeypatch.setattr(writing, "_attempt", write_and_die)
    try:
        code = call("compress", "data.xyz", "-o", "out.xyz").code
    except SystemExit as exit_:
        code = exit_.code
    assert code == 128 + kind
    assert [path.name for path in Path().iterdir()] == ["data.xyz"]


def test_an_interrupt_is_one_line(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(descriptor_choice, "environments", interrupt)
    outcome = call("entropy", "data.xyz", "-o", "out.json")
    assert (outcome.code, outcome.err.strip()) == (130, "error: interrupted; no unfinished output is left.")
    assert not Path("out.json").exists()


# ---- Terminal ----


def test_quiet_is_silent_and_pipes_see_no_progress(call: Call) -> None:
    assert call("entropy", "data.xyz", "--quiet") == (0, "", "")
    outcome = call("entropy", "data.xyz")
    assert "entropy" in outcome.out
    assert "bandwidth 0.015 Å⁻¹" in outcome.out
    assert outcome.err == ""


def test_progress_is_drawn_on_a_terminal_unless_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = StringIO()
    monkeypatch.setattr(console, "Console", lambda **_: Console(file=screen, force_terminal=True, width=100))
    for quiet in (True, False):
        with console.show_progress(quiet):
            chunks.advance("thinking", 0, 0)
            chunks.advance("counting", 1, 3)
        drawn = screen.getvalue()
        assert ("thinking" in drawn) is ("counting" in drawn) is ("1/3" in drawn) is not quiet


@pytest.mark.parametrize("name", ["", *cli.commands])
def test_help_explains_itself(call: Call, name: str) -> None:
    outcome = call(*name.split(), "--help")
    assert outcome.code == 0
    assert f"quests-jax {name}".strip() in outcome.out
    assert outcome.out == call(*name.split(), "-h").out


def test_version_names_jax_and_its_devices(call: Call) -> None:
    import jax

    outcome = call("--version")
    assert outcome.code == 0
    assert f"jax {jax.__version__}" in outcome.out
    assert f"backend {jax.default_backend()}" in outcome.out


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, check=True
    )


@pytest.mark.slow
def test_help_loads_nothing_slow() -> None:
    slow = {"jax_md", "matplotlib", "mpax", "pymatgen", "rich", "vesin"}
    run = python("import sys; from quests_jax.cli import main; main(['-h']); print(*sys.modules)")
    assert not slow & set(run.stdout.splitlines()[-1].split())


@pytest.mark.slow
def test_programs_are_kept_from_run_to_run_without_noise(call: Call, tmp_path: Path) -> None:
    code = f"from quests_jax.cli import main; main(['entropy', {str(tmp_path / 'data.xyz')!r}])"
    cache = tmp_path / "cache" / "jit"
    first = python(code, QUESTS_JAX_CACHE=str(cache))
    kept = {path.name for path in cache.iterdir()}
    second = python(code, QUESTS_JAX_CACHE=str(cache))
    assert kept == {path.name for path in cache.iterdir()} != set()
    assert (first.stdout, first.stderr) == (second.stdout, "")
    assert second.stderr == ""


def test_a_cache_that_cannot_be_written_is_no_failure(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUESTS_JAX_CACHE", "data.xyz/cache")
    outcome = call("entropy", "data.xyz")
    assert (outcome.code, outcome.err) == (0, "")


@pytest.mark.parametrize("command", ["metrics data.xyz", "compress data.xyz -s 2 --quiet"])
def test_much_data_come_with_advice(call: Call, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("quests_jax.cli.information.MANY", 10)
    with pytest.warns(UserWarning, match=r"32 environments take long at once; add .*--work FOLDER"):
        assert call(*command.split()).code == 0
