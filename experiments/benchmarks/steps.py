"""Steps and work of a program before it has run anywhere: counted from its jaxpr, loops included.

A *step* is one pass of an innermost loop. How often a loop runs may depend on data, so counts are affine in
numbers that are only known to lie between bounds, such as how many pairs of tiles are near: of two loops,
over those that need care and those that do not, both could run to the end, but not at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.extend.core as core
import numpy as np

from quests_jax.base.step_sizes import Platform
from quests_jax.information.sums.primitive_registration import implementations

ALIKE = {"convert_element_type", "broadcast_in_dim", "squeeze", "reshape", "copy", "stop_gradient"}
ELEMENTWISE = {"add", "sub", "mul", "div", "max", "min", "select_n", "neg", "sqrt", "integer_pow", "square"}
MOVED = {"gather", "scatter-add", "scatter", "scatter-max", "sort", "cumsum", "dynamic_slice", "concatenate"}
REDUCED = {"reduce_sum", "reduce_max", "reduce_min"}
PASSES = {"exp", "log", "exp2", "logistic", "tanh"}


class Amount(NamedTuple):
    """Σ_a c_a a + [low, high] with atoms a of which only bounds are known."""

    terms: dict[int, float]
    low: float
    high: float

    def __add__(self, other: Any) -> Amount:
        other = as_amount(other)
        terms = dict(self.terms)
        for atom, c in other.terms.items():
            terms[atom] = terms.get(atom, 0.0) + c
        return Amount({a: c for a, c in terms.items() if c}, self.low + other.low, self.high + other.high)

    def times(self, c: float) -> Amount:
        """The amount times a number."""
        ends = sorted((c * self.low, c * self.high))
        return Amount({atom: c * k for atom, k in self.terms.items()} if c else {}, *ends)

    def most(self, atoms: list[tuple[float, float]]) -> float:
        """The largest value it can have."""
        return self.high + sum(max(c * atoms[a][0], c * atoms[a][1]) for a, c in self.terms.items())

    def least(self, atoms: list[tuple[float, float]]) -> float:
        """The smallest value it can have."""
        return -self.times(-1.0).most(atoms)


class Work(NamedTuple):
    """What a program does."""

    steps: Amount
    flop: Amount  # of products of matrices
    ops: Amount  # on single numbers; one that is added to a product of two is none of its own
    exps: Amount
    bytes: (
        Amount  # products, reductions and what is gathered; other operations are taken to be fused into them
    )

    def __add__(self, other: Any) -> Work:
        return Work(*(a + b for a, b in zip(self, other, strict=True)))


def as_amount(value: Any) -> Amount:
    """A number as an amount."""
    return value if isinstance(value, Amount) else Amount({}, float(value), float(value))


NOTHING = Work(*[as_amount(0)] * 5)
UNKNOWN = Amount({}, -math.inf, math.inf)


class Counted(NamedTuple):
    """Largest numbers of a program."""

    steps: float
    flop: float
    ops: float
    exps: float
    bytes: float


def count(f: Callable, *arguments: Any, at: Platform, platform: str, rounds: float | None = None) -> Counted:
    """Steps and work of f at arguments of these shapes, at most.

    Args:
      f: function of arrays.
      arguments: arrays or `jax.ShapeDtypeStruct`s.
      at: the platform whose steps count.
      platform: its name in JAX.
      rounds: how often a loop runs whose end is not known beforehand, such as a search; refused if None.
    """
    counter = _Counter(at, platform, rounds)
    closed = jax.make_jaxpr(f)(*arguments)
    work, _ = counter.closed(closed, [UNKNOWN] * len(closed.jaxpr.invars))
    return Counted(*(amount.most(counter.atoms) for amount in work))


class _Counter:
    def __init__(self, at: Platform, platform: str, rounds: float | None) -> None:
        self.at, self.platform, self.rounds = at, platform, rounds
        self.atoms: list[tuple[float, float]] = []

    def closed(self, closed: Any, given: list[Amount]) -> tuple[Work, list[Amount]]:
        """Work of a jaxpr with its constants, and what is known of its results."""
        values = dict(zip(closed.jaxpr.constvars, map(_known, closed.consts), strict=True))
        values |= dict(zip(closed.jaxpr.invars, given, strict=True))
        total, multiplied = NOTHING, set()
        for equation in closed.jaxpr.eqns:
            known = [self._read(values, variable) for variable in equation.invars]
            work, results = self._equation(equation, known)
            if equation.primitive.name in ("mul", "square"):
                multiplied.update(equation.outvars)
            elif equation.primitive.name in ("add", "sub") and multiplied.intersection(_variables(equation)):
                work = work._replace(ops=as_amount(0))
            total = total + work
            values |= dict(zip(equation.outvars, results, strict=True))
        return total, [self._read(values, variable) for variable in closed.jaxpr.outvars]

    def _read(self, values: dict, variable: Any) -> Amount:
        return _known(variable.val) if hasattr(variable, "val") else values.get(variable, UNKNOWN)

    def _unknown(self, aval: Any) -> Amount:
        """What is known of any array: of truth values, that their mean is between 0 and 1."""
        return self._between(0.0, 1.0) if getattr(aval, "dtype", np.dtype(float)).kind == "b" else UNKNOWN

    def _between(self, low: float, high: float) -> Amount:
        self.atoms.append((low, high))
        return Amount({len(self.atoms) - 1: 1.0}, 0.0, 0.0)

    def _equation(self, equation: Any, known: list[Amount]) -> tuple[Work, list[Amount]]:
        name, params = equation.primitive.name, equation.params
        unknown = [self._unknown(variable.aval) for variable in equation.outvars]
        if equation.primitive in implementations:
            inner = partial(implementations[equation.primitive], at=self.at, **params)
            closed = jax.make_jaxpr(inner)(*(variable.aval for variable in equation.invars))
            return self.closed(closed, known)[0], unknown
        if name == "while":
            return self._while(params, known), unknown
        if name == "scan":
            inner = self.closed(params["jaxpr"], [UNKNOWN] * len(params["jaxpr"].jaxpr.invars))[0]
            return self._repeated(inner, as_amount(params["length"])), unknown
        if name == "cond":
            return self._branches(params["branches"], known), unknown
        if name == "platform_index":
            places = [
                n for n, names in enumerate(params["platforms"]) if names is None or self.platform in names
            ]
            return NOTHING, [as_amount(places[0])]
        if name == "pallas_call":  # its programs run side by side, and read and write each array once
            kernel = core.ClosedJaxpr(params["jaxpr"], ())
            inner = self.closed(kernel, [UNKNOWN] * len(kernel.jaxpr.invars))[0]
            moved = sum(_bytes(variable.aval) for variable in [*equation.invars, *equation.outvars])
            each = [amount.times(math.prod(params["grid_mapping"].grid)) for amount in inner]
            return Work(as_amount(0), *each[1:4], as_amount(moved)), unknown
        inner = params.get("jaxpr", params.get("call_jaxpr", params.get("call")))
        if inner is not None:
            closed = inner if hasattr(inner, "consts") else core.ClosedJaxpr(inner, ())
            return self.closed(closed, known)
        return _work_of(equation), self._results(equation, known, unknown)

    def _while(self, params: dict, known: list[Amount]) -> Work:
        n_cond, n_body = params["cond_nconsts"], params["body_nconsts"]
        body = params["body_jaxpr"]
        inner = self.closed(body, [UNKNOWN] * len(body.jaxpr.invars))[0]
        condition = params["cond_jaxpr"].jaxpr
        given = dict(zip(condition.invars, known[:n_cond] + known[n_cond + n_body :], strict=True))
        trips = UNKNOWN
        if [equation.primitive.name for equation in condition.eqns] == ["lt"]:
            number, end = (self._read(given, variable) for variable in condition.eqns[0].invars)
            trips = end + number.times(-1.0) if math.isfinite(number.low) else UNKNOWN
        if not math.isfinite(trips.most(self.atoms)):
            if self.rounds is None:
                raise ValueError("a loop has no known end; say how many rounds it takes")
            trips = as_amount(self.rounds)
        return self._repeated(inner, trips)

    def _repeated(self, inner: Work, trips: Amount) -> Work:
        steps = max(1.0, inner.steps.most(self.atoms))
        each = [steps, *(amount.most(self.atoms) for amount in inner[1:])]
        return Work(*(trips.times(amount) for amount in each))

    def _branches(self, branches: Any, known: list[Amount]) -> Work:
        chosen = known[0]
        if not chosen.terms and chosen.low == chosen.high:
            return self.closed(branches[int(chosen.low)], known[1:])[0]
        works = [self.closed(branch, known[1:])[0] for branch in branches]
        largest = [max(amount.most(self.atoms) for amount in column) for column in zip(*works, strict=True)]
        return Work(*map(as_amount, largest))

    def _results(self, equation: Any, known: list[Amount], unknown: list[Amount]) -> list[Amount]:
        """What is known of whole numbers and truth values: of the mean of an array and of each entry."""
        name = equation.primitive.name
        if equation.outvars[0].aval.dtype.kind not in "iub" or len(unknown) != 1:
            return unknown
        if name in ALIKE:
            return [known[0]]
        if name == "not":
            return [as_amount(1) + known[0].times(-1.0)]
        if name == "and":
            for one, other in (known, known[::-1]):
                if one == as_amount(0):
                    return [one]
                if one == as_amount(1):
                    return [other]
        if name in ("add", "sub"):
            return [known[0] + known[1].times(1.0 if name == "add" else -1.0)]
        if name == "div" and _is_positive_number(known[1]):
            k = known[1].low
            below = 0.0 if known[0].least(self.atoms) >= 0 else (k - 1) / k  # it is cut towards 0
            return [known[0].times(1 / k) + Amount({}, -(k - 1) / k, below)]
        if name == "reduce_sum":
            return [known[0].times(equation.invars[0].aval.size / max(1, equation.outvars[0].aval.size))]
        if name == "reduce_max":
            ends = known[0].least(self.atoms), known[0].most(self.atoms)
            return [self._between(*ends) if all(map(math.isfinite, ends)) else UNKNOWN]
        return unknown


def _known(value: Any) -> Amount:
    value = np.asarray(value) if not hasattr(value, "dtype") or value.dtype.kind in "iubf" else None
    if value is None or value.dtype.kind not in "iub" or not value.size:
        return UNKNOWN
    return Amount({}, float(value.min()), float(value.max()))


def _is_positive_number(amount: Amount) -> bool:
    return not amount.terms and amount.low == amount.high > 0


def _work_of(equation: Any) -> Work:
    name = equation.primitive.name
    size = sum(variable.aval.size for variable in equation.outvars)
    flop = ops = exps = moved = 0.0
    if name in ELEMENTWISE | REDUCED and equation.invars[0].aval.dtype.kind == "f":
        ops = float(max(variable.aval.size for variable in _variables(equation)))
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        flop = 2.0 * size * math.prod(shape[axis] for axis in contracted)
    if name in PASSES:
        exps = float(size)
    if name in MOVED | REDUCED | {"dot_general"}:
        moved = sum(_bytes(variable.aval) for variable in [*equation.invars, *equation.outvars])
    if name == "gather":
        moved = 2.0 * sum(_bytes(variable.aval) for variable in equation.outvars)
    if name.startswith("scatter"):
        moved = 3.0 * _bytes(equation.invars[2].aval)
    return Work(as_amount(0), *map(as_amount, (flop, ops, exps, moved)))


def _variables(equation: Any) -> list[Any]:
    """What goes into an equation and comes out, without numbers that are written in it."""
    return [each for each in (*equation.invars, *equation.outvars) if not hasattr(each, "val")]


def _bytes(aval: Any) -> float:
    return float(aval.size * aval.dtype.itemsize)
