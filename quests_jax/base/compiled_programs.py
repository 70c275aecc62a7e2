"""Compiled programs that outlive the process: found by their arguments, without being traced again.

JAX keeps what XLA compiled, but traces and lowers a function anew in every process, only to learn which
program that was. For a command on a small data set this takes longer than all it computes. A program is found
here by the name of its function, the shapes and dtypes of its arguments, what is static, the sources of this
package, the versions of JAX, and the processor. Whatever cannot be named that way is left to `jax.jit`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import pickle
import platform
import tempfile
import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple, ParamSpec, TypeVar

import jax
import numpy as np
from jax.core import Tracer
from jax.experimental.serialize_executable import deserialize_and_load, serialize

P = ParamSpec("P")
T = TypeVar("T")

PACKAGE = Path(__file__).parents[1]
SUFFIX = ".program"
NAME = ".name"
HIT = "/jax/compilation_cache/cache_hits"

_folder: list[Path] = []  # none: programs are not kept
_hits: list[str] = []  # of JAX's own cache
_programs: dict[_Asked, Callable[..., Any] | None] = {}  # of this process; None where it has no name


class Unnamed(Exception):
    """A static argument that has no name that would hold in another process."""


@contextmanager
def kept_in(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep programs in a folder for a while; whoever can write there decides what is run."""
    if _can_load():
        _folder[:] = [Path(folder)]
    try:
        yield
    finally:
        _folder.clear()
        _programs.clear()


def jit(
    f: Callable[P, T],
    *,
    static_argnames: str | Sequence[str] = (),
    donate_argnames: str | Sequence[str] = (),
) -> Callable[P, T]:
    """`jax.jit` whose programs outlive the process inside `kept_in`.

    Inside of other transformations, and where there is more than one device, it is `jax.jit` alone.
    """
    static = (static_argnames,) if isinstance(static_argnames, str) else tuple(static_argnames)
    places = [number for number, name in enumerate(inspect.signature(f).parameters) if name in static]
    jitted = jax.jit(f, static_argnames=static, donate_argnames=donate_argnames)

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if not _folder or jax.device_count() > 1:
            return jitted(*args, **kwargs)
        fixed = [(number, args[number]) for number in places if number < len(args)]
        fixed += [(name, kwargs[name]) for name in static if name in kwargs]
        positional = [value for number, value in enumerate(args) if number not in places]
        named = {name: value for name, value in kwargs.items() if name not in static}
        leaves, tree = jax.tree.flatten((positional, named))
        if any(isinstance(leaf, Tracer) for leaf in leaves):
            return jitted(*args, **kwargs)
        precise = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
        asked = _Asked(jitted, tree, tuple(map(_kind, leaves)), tuple(fixed), precise)
        if asked not in _programs:
            path = _path(asked)
            _programs[asked] = path and (_found(path) or _made(jitted.trace(*args, **kwargs), path))
        program = _programs[asked]
        return jitted(*args, **kwargs) if program is None else program(*positional, **named)

    for name in ("lower", "trace", "_cache_size"):
        setattr(call, name, getattr(jitted, name))
    return call


class _Asked(NamedTuple):
    """What tells one program from another."""

    jitted: Any
    tree: Any  # structure of the arguments that are not static
    kinds: tuple[Hashable, ...]  # of their leaves
    fixed: tuple[tuple[int | str, Any], ...]  # static arguments
    precise: bool  # whether float64 is there


def _kind(leaf: Any) -> Hashable:
    """What a program knows of an argument."""
    if isinstance(leaf, jax.Array):
        return leaf.shape, leaf.dtype.name, leaf.weak_type
    if isinstance(leaf, np.ndarray | np.generic):
        return leaf.shape, leaf.dtype.name
    return type(leaf).__name__


def _path(asked: _Asked) -> Path | None:
    """The file of a program; None where it has no name that holds in other processes."""
    try:
        told = stable_name(asked.jitted), stable_name(asked.fixed)
    except Unnamed:
        return None
    tree = str(asked.tree)
    if "..." in tree or " at 0x" in tree:
        return None
    name = repr((told, tree, asked.kinds, asked.precise, _sources(), _machine()))
    return _folder[0] / (hashlib.sha256(name.encode()).hexdigest() + NAME)


def _found(path: Path) -> Callable[..., Any] | None:
    """The program that a file names; None where there is none that can be read."""
    try:
        return _loaded(path.with_name(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _made(traced: Any, path: Path) -> Callable[..., Any]:
    """The program of what was traced, kept by what it computes and named by `path`.

    So after a change of the sources only programs that compute something else are compiled.
    """
    lowered = traced.lower()
    text = hashlib.sha256(repr((lowered.as_text(), _machine())).encode()).hexdigest()
    kept = path.with_name(text + SUFFIX)
    program = _loaded(kept)
    if program is None:
        before = len(_hits)
        program = lowered.compile()
        if len(_hits) > before:  # one that was loaded cannot be written again
            return program
        _write(kept, lambda: zlib.compress(pickle.dumps(serialize(program)), 1))
    _write(path, kept.name.encode)
    return program


def _loaded(path: Path) -> Callable[..., Any] | None:
    try:
        return deserialize_and_load(*pickle.loads(zlib.decompress(path.read_bytes())))
    except Exception:  # noqa: BLE001  (none, cut, or of other versions: it is compiled anew)
        return None


def _write(path: Path, content: Callable[[], bytes]) -> None:
    """Write a file, whole or not at all, where that is possible."""
    try:
        written = content()
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(written)
        os.replace(file.name, path)
    except (OSError, NotImplementedError, ValueError, TypeError):  # programs of several devices name them
        pass


@functools.cache
def _can_load() -> bool:
    """Find LAPACK for programs that call it, which tracing does otherwise; count hits of the cache of JAX."""
    try:
        from jaxlib import lapack

        lapack.prepare_lapack_call("syevd_ffi", np.float64)
    except (ImportError, AttributeError, TypeError):
        return False
    jax.monitoring.register_event_listener(lambda event, **_: _hits.append(event) if event == HIT else None)
    return True


def stable_name(value: Any) -> str:
    """The same text in every process for the same value: numbers, texts, tuples, functions of this package.

    Raises:
      Unnamed: of anything else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    if isinstance(value, tuple):
        return f"{type(value).__qualname__}({', '.join(map(stable_name, value))})"
    if isinstance(value, functools.partial):
        return f"partial{stable_name((value.func, value.args, tuple(sorted(value.keywords.items()))))}"
    wrappers = []
    while hasattr(value, "__wrapped__"):
        wrappers.append(getattr(getattr(value, "__code__", None), "co_name", type(value).__name__))
        value = value.__wrapped__
    if isinstance(value, FunctionType) and value.__module__.partition(".")[0] == PACKAGE.name:
        code = value.__code__
        held = tuple(cell.cell_contents for cell in value.__closure__ or ())
        place = [*wrappers, value.__module__, value.__qualname__, code.co_firstlineno, code.co_code.hex()]
        return f"{place} {stable_name((held, value.__defaults__ or ()))}"
    raise Unnamed(repr(value))


@functools.cache
def _sources() -> str:
    """What the package is made of."""
    sources = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        sources.update(str(path.relative_to(PACKAGE)).encode() + path.read_bytes())
    return sources.hexdigest()


@functools.cache
def _machine() -> tuple[str, ...]:
    """What else decides how a program is compiled."""
    device = jax.devices()[0]
    versions = jax.__version__, version("jaxlib"), device.client.platform_version, device.device_kind
    return *versions, _processor(), os.environ.get("XLA_FLAGS", "")


def _processor() -> str:
    """The instructions that the processor has, where the system tells them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file.read(8192).splitlines() if line.startswith(("flags", "Features"))]
    except OSError:
        lines = []
    return lines[0] if lines else platform.processor()
