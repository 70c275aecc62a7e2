"""Published data sets by name: addresses, parts and readers.

`load("gap20:Diamond")` downloads what is not in the cache yet ($QUESTS_JAX_DATA, or quests_jax/data in the
user's cache) and reads one part. A file that was downloaded by hand can be placed there instead.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms

from quests_jax.atoms.writing import whole_file
from quests_jax.base.checks import InputError
from quests_jax.datasets import published_formats

GITHUB = "https://raw.githubusercontent.com"
BOTNET = f"{GITHUB}/davkovacs/BOTNet-datasets/4a5ea06c3f514f24164428823ba1f5e2d2233b58"
MLEARN = f"{GITHUB}/materialsvirtuallab/mlearn/a04d3b6ecaac47c27aa8f7e452c16a5c9a2a8cff"
MATERIALS_CLOUD = "https://archive.materialscloud.org/record"


class Part(NamedTuple):
    """One part of a data set: a file to download, and the reader of its structures."""

    url: str
    file: str  # its name in the cache
    members: tuple[str, ...]  # files of an archive that are read; none if the file is no archive
    read: Callable[..., list[Atoms]]  # of the paths of the members, or of the file


class Source(NamedTuple):
    """A published data set."""

    title: str
    key: str  # in papers/references.bib
    page: str  # for people
    license: str
    parts: str  # what stands behind the colon
    part: Callable[[str], Part]


def _gap20(name: str) -> Part:
    url = "https://www.repository.cam.ac.uk/bitstreams/d511936c-aac2-4d26-ba4b-5f405ec9bba0/download"
    which = "Carbon_GAP_20_Training_Set" if name == "training" else "Carbon_Data_Set_Total"
    wanted = None if name in ("total", "training") else name
    members = (f"Carbon_GAP_20/{which}.xyz",)
    return Part(url, "Carbon_GAP_20.tgz", members, lambda path: published_formats.extended_xyz(path, wanted))


def _tm23(name: str) -> Part:
    element, _, rest = name.partition("_")
    regime, _, split = rest.partition("_")
    middle = "2700cwm" if regime == "full" else f"{regime}_nequip"
    splits = (split,) if split else ("train", "test")
    folder, file = "benchmarking_master_collection", "benchmarking_master_collection-20240316T202423Z-001.zip"
    members = tuple(f"{folder}/{element}_{middle}_{each}.xyz" for each in splits)
    return Part(
        f"{MATERIALS_CLOUD}/file?record_id=2113&filename={file}",
        file,
        members,
        published_formats.extended_xyz_files,
    )


def _rmd17(name: str) -> Part:
    molecule, _, split = name.partition("_")
    members = (f"rmd17/npz_data/rmd17_{molecule}.npz",)
    members += (f"rmd17/splits/index_{split}.csv",) if split else ()
    return Part(
        "https://figshare.com/ndownloader/files/23950376", "rmd17.tar.bz2", members, published_formats.rmd17
    )


def _3bpa(name: str) -> Part:
    return Part(f"{BOTNET}/dataset_3BPA/{name}.xyz", f"3BPA_{name}.xyz", (), published_formats.extended_xyz)


def _mlearn(name: str) -> Part:
    element, _, split = name.partition("_")
    return Part(f"{MLEARN}/data/{element}/{split}.json", f"mlearn_{name}.json", (), published_formats.mlearn)


def _colabfit(name: str) -> Part:
    url = f"https://materials.colabfit.org/dataset-xyz/{name}.tar.gz"
    return Part(url, f"{name}.tar.gz", (f"{name}_*.xyz.xz",), published_formats.extended_xyz_files)


SOURCES = {
    "gap20": Source(
        "GAP-20 carbon",
        "rowe:20",
        "https://doi.org/10.17863/CAM.54529",
        "CC-BY-4.0",
        "a config_type (Diamond, Fullerenes, ...), total or training",
        _gap20,
    ),
    "tm23": Source(
        "TM23: 27 transition metals, cold, warm and molten",
        "owen:24",
        f"{MATERIALS_CLOUD}/2024.48",
        "see the record",
        "Cu_full, Cu_cold, Cu_warm, Cu_melt, ..., and Cu_cold_train or Cu_cold_test for one of the splits",
        _tm23,
    ),
    "rmd17": Source(
        "revised MD17: ten molecules",
        "christensen:20",
        "https://figshare.com/articles/dataset/Revised_MD17_dataset_rMD17_/12672038",
        "see the record",
        "ethanol, ..., and ethanol_train_01 to ethanol_test_05 for the splits",
        _rmd17,
    ),
    "3bpa": Source(
        "3BPA",
        "kovacs:21",
        "https://github.com/davkovacs/BOTNet-datasets",
        "MIT",
        "train_300K, train_mixedT, test_300K, test_600K, test_1200K",
        _3bpa,
    ),
    "mlearn": Source(
        "mlearn: Li, Mo, Ni, Cu, Si, Ge",
        "zuo:20",
        "https://github.com/materialsvirtuallab/mlearn",
        "BSD-3-Clause",
        "Si_training, Si_test, ...",
        _mlearn,
    ),
    "colabfit": Source(
        "ColabFit Exchange",
        "vita:23",
        "https://materials.colabfit.org",
        "that of each data set",
        "an identifier such as DS_jasbxoigo7r4_0",
        _colabfit,
    ),
}


def load_published(name: str) -> list[Atoms]:
    """Structures of one part of a published data set, with energies in eV and forces in eV/Å.

    Args:
        name: a name in `SOURCES`, a colon, and one of its parts.

    Raises:
        InputError: an unknown name, a file that is not in the cache and cannot be downloaded, or a part
            that the file does not hold.

    >>> structures = load_published("3bpa:train_300K")  # doctest: +SKIP
    >>> load_published("3bpa")  # without a part it says which there are
    Traceback (most recent call last):
    quests_jax.base.checks.InputError: 3bpa: say which part after a colon: train_300K, train_mixedT, ...
    """
    data_set, _, part_name = name.partition(":")
    if data_set not in SOURCES:
        raise InputError(f"{name}: no such data set; known are {', '.join(SOURCES)}.")
    source = SOURCES[data_set]
    if not re.fullmatch(r"[\w-]+", part_name):
        raise InputError(f"{name}: say which part after a colon: {source.parts}.")
    part = source.part(part_name)
    path = _fetched(part, source)
    structures = part.read(*(_extracted(path, part.members) if part.members else (path,)))
    if not structures:
        raise InputError(f"{name}: {path} holds nothing of this name; the parts are {source.parts}.")
    return structures


def cache_folder() -> Path:
    """Folder of downloaded files: $QUESTS_JAX_DATA, or quests_jax/data in the user's cache."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(os.environ.get("QUESTS_JAX_DATA") or os.path.join(home, "quests_jax", "data"))


def _fetched(part: Part, source: Source) -> Path:
    """The file in the cache, downloaded if it is not there."""
    path = cache_folder() / part.file
    if path.exists():
        return path
    advice = f"download {part.url} (described at {source.page}) by hand and place it at {path}."
    try:
        import pooch
    except ImportError:
        raise InputError(
            f"{path}: not there, and pooch is not installed; run `pip install pooch`, or {advice}"
        ) from None
    try:
        # None of the sources publishes a checksum; those on GitHub are named by their commit.
        pooch.retrieve(part.url, known_hash=None, fname=part.file, path=path.parent, progressbar=False)
    except Exception as reason:  # whatever requests, urllib and the operating system raise
        raise InputError(f"{path}: cannot be downloaded ({type(reason).__name__}); {advice}") from None
    return path


def _extracted(archive: Path, patterns: tuple[str, ...]) -> list[Path]:
    """Files of an archive whose names match, beside it, extracted where they are not there yet."""
    folder = archive.with_name(archive.name + ".members")
    known = [folder / Path(pattern).name for pattern in patterns]
    if all(path.exists() for path in known):
        return known
    folder.mkdir(exist_ok=True)
    found = []
    try:
        with _opened(archive) as (names, stream):
            for pattern in patterns:
                matching = [name for name in names if Path(name).match(pattern)]
                if not matching:
                    raise InputError(f"{archive}: holds no {pattern}; check the name of the part.")
                for name in matching:
                    found.append(folder / Path(name).name)
                    with whole_file(found[-1]) as unfinished, open(unfinished, "wb") as target:
                        shutil.copyfileobj(stream(name), target)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError, zlib.error) as reason:
        raise InputError(f"{archive}: not a complete archive ({reason}); delete it and try again.") from None
    return found


@contextmanager
def _opened(archive: Path) -> Iterator[tuple[list[str], Callable[[str], Any]]]:
    """Names of the files in an archive, and a function that opens one of them."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive) as members:
            yield members.namelist(), members.open
    else:
        with tarfile.open(archive) as members:
            yield members.getnames(), members.extractfile
