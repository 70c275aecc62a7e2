"""JSON of structures is read entry by entry, as the parser of the whole would read it."""

from __future__ import annotations

import json
import random
from io import StringIO

import pytest

from quests_jax.atoms.formats import json_stream
from quests_jax.atoms.formats.json_stream import values_at, way_to_first
from quests_jax.atoms.formats.materials_json import ENTRY, LIST

STRUCTURE = {"lattice": {"matrix": [[1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "sites": [{"label": 'a"b\\'}]}
ENTRY_OF = {"energy": -1.25e1, "note": 'é "structure": {', "structure": STRUCTURE, "force": [[0.5]]}
LAYOUTS = {
    "one": (ENTRY_OF, ()),
    "list": ([ENTRY_OF, STRUCTURE, ENTRY_OF], ("0",)),
    "MPtrj": ({"mp-1": {"mp-1-0": ENTRY_OF, "mp-1-1": ENTRY_OF}, "mp-2": {}, "b": {"c": ENTRY_OF}},)
    + (("mp-1", "mp-1-0"),),
    "Alexandria": ({"meta": {"a": [1]}, "n": 2, "entries": [ENTRY_OF] * 3}, ("entries", "0")),
}


def leaves(value, depth: int) -> list:
    """What `values_at` finds, by the parser of the whole."""
    if not depth:
        return [value]
    if isinstance(value, dict) and LIST in value:
        value = {LIST: value[LIST]}
    inner = value.values() if isinstance(value, dict) else value
    return [leaf for each in inner for leaf in leaves(each, depth - 1)]


class Repeated(Exception):
    """A name stands twice in one object."""


def without_repetition(pairs: list) -> dict:
    if len(dict(pairs)) < len(pairs):
        raise Repeated
    return dict(pairs)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("piece", [1, 3, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_entries_are_those_of_the_whole(
    layout: str, piece: int, indent: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "PIECE", piece)
    content, way = LAYOUTS[layout]
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    assert way_to_first(StringIO(text), ENTRY) == way
    found = list(values_at(StringIO(text), way, LIST))
    assert [value for _, value in found] == leaves(content, len(way))


def test_what_is_not_json_is_refused_as_by_the_parser_of_the_whole() -> None:
    moments = random.Random(0)
    for number in range(2000):
        content, _ = LAYOUTS[moments.choice(list(LAYOUTS))]
        text = list(json.dumps(content))
        for _ in range(moments.randrange(1, 3)):
            place = moments.randrange(len(text))
            text[place : place + moments.randrange(3)] = moments.choice(
                ['"', "}", "]", ",", ":", "", "1", "{"]
            )
        mutated = "".join(text)
        try:
            whole = json.loads(mutated, object_pairs_hook=without_repetition)
        except ValueError:
            whole = None
        except Repeated:
            continue  # the parser of the whole keeps the last of two
        try:
            way = way_to_first(StringIO(mutated), ENTRY)
            assert way is not None
            found = [value for _, value in values_at(StringIO(mutated), way, LIST)]
        except (ValueError, AssertionError):
            continue  # also of another layout
        assert whole is not None, (number, mutated)
        assert found == leaves(whole, len(way)), (number, mutated)


def test_a_string_that_does_not_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "PIECE", 100)
    monkeypatch.setattr(json_stream, "LONGEST", 1000)
    endless = '{"a": "' + "x" * 5000
    for read in (
        lambda: way_to_first(StringIO(endless), ENTRY),
        lambda: list(values_at(StringIO(endless), (), "")),
    ):
        with pytest.raises(ValueError, match="does not end|longer than any structure"):
            read()
