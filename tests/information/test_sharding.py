"""Eight devices give the sums of the equations; forced host devices stand in for real ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import jax, numpy as np
from quests_jax.base.precision import double_precision
from quests_jax.information import delta_entropy, kernel_product, over_devices
assert jax.device_count() == 8
rng = np.random.default_rng(0)
x, y = rng.normal(size=(1500, 12)) * 0.02, rng.normal(size=(1003, 12)) * 0.02
apart = y[:, None] - x[None]
kernel = lambda h: np.exp(-(apart**2).sum(axis=2) / (2 * h**2))
one = -np.log(kernel(0.02).sum(axis=1))
spread = over_devices(delta_entropy)
with double_precision():
    found, pull_back = jax.vjp(lambda y: spread(y, x, bandwidth=0.02), y)
    pulled = pull_back(np.ones(len(y)))[0]
np.testing.assert_allclose(found, one, atol=1e-12)
share = kernel(0.02) / kernel(0.02).sum(axis=1, keepdims=True)
slope = np.einsum("ij,ijd->id", share, apart) / 0.02**2
np.testing.assert_allclose(pulled, slope, rtol=1e-9, atol=1e-9)
several = spread(y, x, bandwidth=np.array([0.01, 0.02]))
np.testing.assert_allclose(several, [-np.log(kernel(0.01).sum(axis=1)), one], atol=1e-12)
v = rng.normal(size=(1500, 2))
np.testing.assert_allclose(over_devices(kernel_product)(y, x, v), kernel(0.015) @ v, atol=1e-12)
"""


def test_eight_devices_give_the_sums_of_the_equations():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
