"""Eight devices give the sums of the equations; forced host devices stand in for real ones."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import logging
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
from scipy.spatial.distance import cdist
from quests_jax.base.precision import double_precision
from quests_jax.information import delta_entropy, entropy, kernel_product, log_kernel_sum, over_devices
from quests_jax.information import cross_kernel_sums, structure_masses
from quests_jax.information.sums.devices import dealt, work_of_rows
from quests_jax.information.sums.same_element_sums import log_sum_of_others
assert jax.device_count() == 8
rng = np.random.default_rng(0)
x, y = rng.normal(size=(1500, 12)) * 0.02, rng.normal(size=(1003, 12)) * 0.02
kernel = lambda h: np.exp(-cdist(y, x) ** 2 / (2 * h**2))
one = -np.log(kernel(0.02).sum(axis=1))
spread = over_devices(delta_entropy)
with double_precision():
    found, pull_back = jax.vjp(lambda y: spread(y, x, bandwidth=0.02), y)
    pulled = pull_back(np.ones(len(y)))[0]
np.testing.assert_allclose(found, one, atol=1e-12)
share = kernel(0.02) / kernel(0.02).sum(axis=1, keepdims=True)
slope = (y - share @ x) / 0.02**2
np.testing.assert_allclose(pulled, slope, rtol=1e-9, atol=1e-9)
several = spread(y, x, bandwidth=np.array([0.01, 0.02]))
np.testing.assert_allclose(several, [-np.log(kernel(0.01).sum(axis=1)), one], atol=1e-12)
v = rng.normal(size=(1500, 2))
np.testing.assert_allclose(over_devices(kernel_product)(y, x, v), kernel(0.015) @ v, atol=1e-12)

compiled = []
logging.getLogger("jax").addHandler(handler := logging.Handler())
handler.emit = lambda record: compiled.append(record.getMessage())
with jax.log_compiles():
    spread(y + 0.01, x - 0.01, bandwidth=np.array([0.02, 0.03]))
assert not [line for line in compiled if line.startswith("Compiling")], compiled

jax.config.update("jax_enable_x64", True)
small, few = y[:40], x[:50]
mesh = jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Auto,))
weights = rng.uniform(size=50) * (rng.uniform(size=50) < 0.7)

def total(y, x, w, h):
    return log_kernel_sum(y, x, weights=w, bandwidth=h).sum() + 30 * entropy(y, bandwidth=h)

def dense(y, x, w, h):
    K = lambda y, x: jnp.exp(-jnp.sum((y[:, None] - x[None]) ** 2, axis=2) / (2 * h**2))
    own = lambda y: -jnp.mean(jnp.log(jnp.mean(K(y, y), axis=1)))
    return jnp.log(K(y, x) @ w).sum() + 30 * sum(own(block) for block in y.reshape(8, 5, -1))

def checked(f, spec, out, **options):
    return jax.jit(jax.shard_map(f, mesh=mesh, in_specs=spec, out_specs=out, **options))

rows, whole = P("rows"), P()
summed = checked(lambda *a: jax.lax.psum(total(*a), "rows"), (rows, whole, whole, whole), whole)
at = small, few, weights, 0.02
found, expected = (jax.jit(jax.value_and_grad(f, (0, 1, 2, 3)))(*at) for f in (summed, dense))
for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected)):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * abs(np.asarray(b)).max())

K = lambda y, x: np.exp(-cdist(y, x) ** 2 / (2 * 0.015**2))
number = np.arange(50) // 10
masses = lambda y, x: structure_masses(y, x, number, 5)

def others_too(y, x):
    of_y, of_x = cross_kernel_sums(y, x)
    return masses(y, x), of_y, jax.lax.psum(of_x, "rows"), log_sum_of_others(y, np.arange(5))

for found, expected in zip(
    checked(others_too, (rows, whole), (P(None, "rows"), rows, whole, rows))(small, few),
    (
        np.stack([K(small, few)[:, number == s].sum(axis=1) for s in range(5)]),
        K(small, few).sum(axis=1),
        K(small, few).sum(axis=0),
        np.concatenate([np.log((K(part, part) - np.eye(5)).sum(axis=1)) for part in small.reshape(8, 5, -1)]),
    ),
    strict=True,
):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
slope_of_masses = lambda f: jax.jit(jax.grad(lambda y, x: (f(y, x) ** 2).sum(), (0, 1)))(small, few)
spread_masses = jax.shard_map(masses, mesh=mesh, in_specs=(rows, whole), out_specs=P(None, "rows"))
for a, b in zip(slope_of_masses(spread_masses), slope_of_masses(masses), strict=True):
    np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * abs(np.asarray(b)).max())

explicit = jax.make_mesh((8,), ("rows",), axis_types=(AxisType.Explicit,))
placed = jax.device_put(small, NamedSharding(explicit, rows))
for f in (delta_entropy, jax.jit(delta_entropy)):
    np.testing.assert_allclose(f(placed, few), -np.log(np.exp(
        -((small[:, None] - few[None]) ** 2).sum(axis=2) / (2 * 0.015**2)).sum(axis=1)), rtol=1e-9)
for axes in (mesh, explicit):
    spread = over_devices(delta_entropy, axes)
    for rows_of_y in (small, placed):
        np.testing.assert_allclose(spread(rows_of_y, few), delta_entropy(small, few), rtol=1e-9)

n = 16 * 8 * 256
thin = np.linspace(0, 100, n // 2)[:, None] * np.ones(3)
dense_first = np.concatenate([0.003 * rng.normal(size=(n // 2, 3)), thin])
places = np.asarray(jax.jit(dealt, static_argnums=3)(dense_first, dense_first, 0.015, 8))
assert np.array_equal(np.sort(places), np.arange(n))

# Pairs of tiles of the device that has most, in units of the mean: as its own tiles are cut.
def balance(places):
    met = [np.asarray(work(dense_first[part], dense_first, 0.015)[1]).sum() for part in places.reshape(8, -1)]
    return max(met) / np.mean(met)

work = jax.jit(work_of_rows)
assert balance(np.arange(n)) > 1.8
assert balance(places) < 1.15, balance(places)
"""


def test_eight_devices_give_the_sums_of_the_equations():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
