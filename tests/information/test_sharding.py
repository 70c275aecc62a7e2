"""Eight devices give what one gives; forced host devices stand in for real ones."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PROGRAM = """
import jax, numpy as np
import quests_jax as qj
from quests_jax.information import delta_entropy, kernel_product, over_devices
assert jax.device_count() == 8
rng = np.random.default_rng(0)
x, y = rng.normal(size=(1500, 12)) * 0.02, rng.normal(size=(1003, 12)) * 0.02
spread = over_devices(delta_entropy)
np.testing.assert_allclose(spread(y, x, bandwidth=0.02), delta_entropy(y, x, bandwidth=0.02), atol=1e-12)
several = {"bandwidth": np.array([0.01, 0.02])}
np.testing.assert_allclose(spread(y, x, **several), delta_entropy(y, x, **several), atol=1e-12)
v = rng.normal(size=(1500, 2))
np.testing.assert_allclose(over_devices(kernel_product)(y, x, v), kernel_product(y, x, v), atol=1e-12)
small, few = y[:40], x[:50]
slope = jax.grad(lambda y: spread(y, few).sum())(small)
np.testing.assert_allclose(slope, jax.grad(lambda y: delta_entropy(y, few).sum())(small), rtol=1e-10)
"""


def test_eight_devices_agree_with_one():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
