"""Sums in parts against sums of all pairs at once."""

from __future__ import annotations

import kernel_oracle as oracle
import numpy as np
import pytest

from quests_jax.base.environments import make_environments
from quests_jax.information import partwise_sums

H = 0.1


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize(("m", "n"), [(1, 200), (200, 1), (130, 150), (20, 20)])
def test_parts_add_up_to_the_sum_of_all_pairs(monkeypatch, m: int, n: int, elements: bool) -> None:
    monkeypatch.setattr(partwise_sums, "NUMBERS", 1)
    monkeypatch.setattr(partwise_sums, "FEWEST", 64)
    rng = np.random.default_rng(m)
    y, x, group = oracle.cloud(m, 0.1, 1), oracle.cloud(n, 0.1, 2), rng.integers(2, size=n)
    of_y, of_x = (rng.choice([1, 8], size=k) if elements else None for k in (m, n))
    kernel = oracle.kernel(y, x, H)
    if elements:
        kernel = np.where(of_y[:, None] == of_x[None], kernel, 0.0)
    queries, reference = (
        make_environments(rows, np.zeros(len(rows), int), elements=Z) for rows, Z in ((y, of_y), (x, of_x))
    )
    told = []
    sums = partwise_sums.sums_in_parts(
        queries, reference, group, bandwidth=H, told=lambda done, of: told.append((done, of))
    )
    expected = [kernel[:, group == one].sum(axis=1) for one in (0, 1)]
    np.testing.assert_allclose(sums, expected, rtol=1e-10, atol=1e-11)
    assert told[-1] == (m, m)
