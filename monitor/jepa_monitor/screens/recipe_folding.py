"""Which differences of two recipes are worth a screenful, and in which order. Pure functions of plain data.

Where a component was exchanged, its kind says most: the settings that only one of both kinds has come with it. A rule
that only one recipe has is told by its condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import attrs

from jepa_core.recipes.difference import Change

_IN_ORDER = (
    "data", "encoder", "quantizer", "aggregator", "predictor", "projector", "losses", "augmentation", "target",
    "optimizer", "schedule", "train", "watch", "nulls", "diagnostics", "checkpoint", "observers",
)  # fmt: skip
"""Tables, what changes the model before what watches it; others follow, and last what only names the recipe."""
_NAMES = ("name", "description")
_WORTH_FOLDING = 2
"""Rows that are saved: for one, two values are not hidden."""
_KIND, _WHEN = ".kind", ".when"


@attrs.frozen(kw_only=True)
class Folded:
    """The changes of one table: those that are shown, and those that there is no room for."""

    table: str
    shown: tuple[Change, ...]
    hidden: tuple[Change, ...] = ()

    @property
    def hidden_parts(self) -> tuple[str, ...]:
        """What differs beside what is shown: names of losses, of fields, kinds of rules."""
        keys = (change.key.removeprefix(f"{self.table}.") for change in self.hidden)
        return tuple(dict.fromkeys(re.split(r"[.\[]", key)[0] for key in keys))


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """All of them, table by table."""
    return tuple(sorted(changes, key=lambda change: _place(_table(change))))


def folded(changes: Sequence[Change], num_rows: int) -> tuple[Folded, ...]:
    """What is told of each table, so that all of it fits in so many rows, as far as that can be.

    The last tables that take many rows are cut, as many as have to be, each to no less than its exchanged component and
    the row that says what is hidden.
    """
    by_table = groupby(in_order(changes), key=_table)
    tables = [Folded(table=table, shown=tuple(_telling(tuple(members)))) for table, members in by_table]
    excess = sum(len(each.shown) for each in tables) - num_rows
    for index in range(len(tables) - 1, -1, -1):
        each = tables[index]
        has_kind = each.shown[0].key == each.table + _KIND
        num_shown = max(len(each.shown) - max(excess, _WORTH_FOLDING) - 1, int(has_kind))
        num_saved = len(each.shown) - num_shown - 1
        if excess > 0 and num_saved >= _WORTH_FOLDING:
            tables[index] = attrs.evolve(each, shown=each.shown[:num_shown], hidden=each.shown[num_shown:])
            excess -= num_saved
    return tuple(tables)


def _telling(changes: Sequence[Change]) -> Iterator[Change]:
    """The changes of one table without what comes with an exchanged component or rule."""
    heads = {_owner(change.key): change for change in changes if change.key.endswith(_KIND)}
    heads |= {_owner(change.key): change for change in changes if change.key.endswith(_WHEN) and _is_one_sided(change)}
    for change in changes:
        head = next((heads[owner] for owner in _owners(change.key) if owner in heads), None)
        if head is None or (not _is_one_sided(change) and change is not head):
            yield change
        elif change is head:
            yield attrs.evolve(change, key=_owner(change.key)) if _is_one_sided(change) else change


def _is_one_sided(change: Change) -> bool:
    return change.left is None or change.right is None


def _owner(key: str) -> str:
    return key.rpartition(".")[0]


def _owners(key: str) -> Iterator[str]:
    """The tables that a key lies in, the innermost first."""
    while key := _owner(key):
        yield key


def _table(change: Change) -> str:
    return change.key.partition(".")[0]


def _place(table: str) -> int:
    if table in _NAMES:
        return len(_IN_ORDER) + 1
    return _IN_ORDER.index(table) if table in _IN_ORDER else len(_IN_ORDER)
