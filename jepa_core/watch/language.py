"""Rules: one line of text, parsed once, evaluated on every row that concerns it.

    mean(vq.usage, 5) > 0.10
    not finite(loss.total) or val.retrieval.mrr < 0.8 * baseline.val.retrieval.mrr
    fired('A') and fired('B')

Numbers, dotted metric names, `+ - * /`, comparisons (chains too), `and`, `or`, `not`, `baseline.NAME`, the clocks
`step`, `epoch` and `epochs` (how many epochs the whole run has), and

    finite(x)                        neither infinite nor not-a-number
    first(name)  last(name)          the first and the newest value; a name that stands only in first(…) calls for no
                                     evaluation of its own
    best(name)                       lowest or highest so far, by the metric's declared direction
    min(name)  max(name)             so far
    min(name, n[, m])  max(…)        of a window
    mean(name, n[, m])               of a window
    median(name, n[, m])             of a window: its level, whatever single values do
    spread(name, n[, m])             of a window: how far its values scatter about that level, whatever single values
                                     do; for normal noise its standard deviation (quartile distance / 1.349)
    quantile(name, q, n[, m])        of a window: the value below which the share q of it lies
    lowest(name, n)  highest(…)      the lowest and highest median of n values in a row so far: min and max of the level
    slope(name, n)                   least-squares slope of the newest n values, per epoch
    fired('ID')                      an abort, rollback or scenario rule of this id has fired

A window is the newest n values; with m, the n values before the newest m, so that what is new can be held against what
was usual before it:

    median(grad.norm, 3) > 3 * median(grad.norm, 20, 3) + 6 * spread(grad.norm, 20, 3)

What is in the language stands in `expressions`, what it means in `closures`; this module knows text and positions.
"""

from __future__ import annotations

import ast
import functools
import math
import re
import warnings
from collections.abc import Collection, Iterable

import attrs

from jepa_core.watch.baseline import BaselineValues
from jepa_core.watch.closures import Scene
from jepa_core.watch.expressions import CLOCKS, Compiled, RefusedError, compile_condition
from jepa_core.watch.history import History

MAX_LENGTH = 1000
"""Longest rule, in characters."""

MAX_DEPTH = 48
"""Deepest nesting of a rule's syntax tree."""

_FOREIGN = re.compile(r"[^A-Za-z0-9_.+\-*/<>=!(),'\" \t\r\n]")


class RuleError(ValueError):
    """A rule's text is at fault: what, where in the text, what is allowed."""

    def __init__(self, text: str, problem: str, *, start: int = 0, end: int = 0, allowed: str = "") -> None:
        self.text = text
        self.problem = problem
        self.start = max(0, min(start, len(text)))
        """Index of the first character at fault."""
        self.end = max(self.start, min(end, len(text)))
        """Index after the last character at fault."""
        self.allowed = allowed
        part = text[self.start : self.end].strip()
        where = f" at {part[:40]!r} (column {self.start + 1})" if part else ""
        super().__init__(f"rule {text[:80]!r}{where}: {problem}" + (f"; allowed: {allowed}" if allowed else ""))


@attrs.frozen(kw_only=True)
class Reading:
    """The figures of a rule that is one comparison."""

    value: float | None
    operator: str
    """One of < ≤ > ≥ = ≠, with the run's value on the left."""
    limit: float | None
    metric: str
    """The metric whose unit the value has; empty when it has none of its own."""


@attrs.frozen
class Rule:
    """A parsed rule."""

    text: str
    _compiled: Compiled = attrs.field(eq=False, repr=False)
    triggers: frozenset[str] = attrs.field(init=False, eq=False, repr=False)
    """The names that call for an evaluation. A first value never changes and every row holds `step` and `epoch`, so
    these count only when the rule names nothing else."""

    @triggers.default
    def _without_steady_ones(self) -> frozenset[str]:
        return self._compiled.moving_names - CLOCKS or self.names - CLOCKS or self.names

    @property
    def names(self) -> frozenset[str]:
        """The run's metrics that it looks at."""
        return self._compiled.names

    @property
    def baseline_names(self) -> frozenset[str]:
        """The baseline's metrics that it looks at."""
        return self._compiled.baseline_names

    @property
    def directed_names(self) -> frozenset[str]:
        """The metrics whose declared direction it needs, for `best`."""
        return self._compiled.directed_names

    @property
    def fired_ids(self) -> frozenset[str]:
        """The rules whose firing it asks for."""
        return self._compiled.fired_ids

    @property
    def ordered_windows(self) -> frozenset[tuple[str, int, int]]:
        """The windows whose values it wants in order of size: name, how many values, how many newest are left out."""
        return self._compiled.ordered_windows

    @property
    def least_step(self) -> float:
        """Before this step it never holds, whatever was recorded; 0 where it asks for none."""
        return self._compiled.least_step

    def concerns(self, row: Iterable[str]) -> bool:
        """Whether a row of these names calls for an evaluation: it holds one of the triggers, or the rule asks what
        has fired."""
        return bool(self.fired_ids) or not self.triggers.isdisjoint(row)

    def evaluate(
        self, history: History, baseline: BaselineValues | None = None, fired: Collection[str] = ()
    ) -> bool | None:
        """Whether the rule holds now; None when there is not enough data."""
        return self.holds(Scene(history, baseline, set(fired)))

    def holds(self, scene: Scene) -> bool | None:
        """Whether the rule holds now; None when there is not enough data."""
        return self._compiled.condition(scene)

    def looks_back_to(self, scene: Scene) -> float | None:
        """The first step of the values that it looks at now: of its windows, else the newest; None when unknown.

        A window of values before the newest ones is what is usual, and no part of what is told.
        """
        windows = (scene.history.window(name, count) for name, count in self._compiled.windows)
        steps = [scene.history.step, *(window[0].step for window in windows if window)]
        return min((step for step in steps if not math.isnan(step)), default=None)

    def figures(self, scene: Scene) -> tuple[tuple[str, float], ...]:
        """What it looks at, as it is written, with the values that are known now."""
        values = ((written, number(scene)) for written, number in self._compiled.figures)
        return tuple((written, value) for written, value in values if value is not None)

    def reading(self, scene: Scene) -> Reading | None:
        """Value and limit now; None for a rule that is not a single comparison."""
        comparison = self._compiled.comparison
        if comparison is None:
            return None
        return Reading(
            value=comparison.value(scene),
            operator=comparison.operator,
            limit=comparison.limit(scene),
            metric=comparison.metric,
        )


@functools.lru_cache(maxsize=1024)  # the same rules are checked, fitted and judged, one after the other
def parse_rule(text: str) -> Rule:
    """Parse a rule.

    Raises:
        RuleError: it is too long, or anything but the rule language.
    """
    if len(text) > MAX_LENGTH:
        raise RuleError(text, f"a rule has at most {MAX_LENGTH} characters, this has {len(text)}")
    foreign = _FOREIGN.search(text)
    if foreign is not None:
        problem = f"the character {foreign[0]!a} is not in the rule language"
        raise RuleError(text, problem, start=foreign.start(), end=foreign.end())
    try:
        compiled = compile_condition(_tree(text))
    except RefusedError as refused:
        indent = len(text) - len(text.lstrip())
        start, end = refused.start + indent, refused.end + indent
        raise RuleError(text, refused.problem, start=start, end=end, allowed=refused.allowed) from None
    if not (compiled.names or compiled.fired_ids):
        raise RuleError(text, "a rule looks at least at one metric of the run", allowed="such as vq.usage > 0.1")
    return Rule(text, compiled)


def _tree(text: str) -> ast.expr:
    """The syntax tree, on one line, with bounded depth."""
    line = re.sub(r"\s", " ", text).strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about literals such as 1or 2; the whitelist judges, not Python
            tree = ast.parse(line, mode="eval").body
    except SyntaxError as error:
        start = (error.offset or 1) - 1 + len(text) - len(text.lstrip())
        raise RuleError(text, f"not readable: {error.msg}", start=start, end=start + 1) from None
    except (ValueError, MemoryError, RecursionError):
        raise RuleError(text, "not readable: nested too deeply, or a number too long") from None
    if _is_deeper(tree, MAX_DEPTH):
        raise RuleError(text, f"nested more than {MAX_DEPTH} levels deep")
    return tree


def _is_deeper(tree: ast.AST, limit: int) -> bool:
    level = [tree]
    for _ in range(limit):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return False
    return True
