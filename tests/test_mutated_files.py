"""A few of the mutated files of the campaign, see `tests/campaigns/files_fuzz.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaigns.files_fuzz import mutated, verdict


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_are_read_whole_or_refused(tmp_path: Path) -> None:
    for seed in range(2, 98):
        kind, mutation, path, n_structures = mutated(seed, tmp_path)
        assert verdict(path, kind, n_structures) in ("read", "refused"), (seed, mutation)
