"""The rule language: a whitelist over Python's syntax tree, turned into closures.

A node that is not listed here is refused; nothing else evaluates. What the parts mean is in `closures`, text and
positions are in `language`.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable

import attrs

from jepa_core.recorded_numbers import current_name
from jepa_core.watch.closures import (
    OVER_ORDERED,
    WHOLE_SERIES,
    Condition,
    Number,
    all_of,
    any_of,
    binary,
    compared,
    is_finite,
    negated,
    over_ordered,
    over_window,
)
from jepa_core.watch.history import MAX_WINDOW

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("≤", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: ("≥", operator.ge),
    ast.Eq: ("=", operator.eq),
    ast.NotEq: ("≠", operator.ne),
}
_FLIPPED = {"<": ">", "≤": "≥", ">": "<", "≥": "≤", "=": "=", "≠": "≠"}
CLOCKS = frozenset({"step", "epoch"})
"""Names that stand in every row."""
EPOCHS = "epochs"
"""The clock that stands in no row: how many epochs the run has in all."""
FUNCTIONS = (
    "finite(x)",
    "first(name)",
    "last(name)",
    "best(name)",
    "min(name[, n[, m]])",
    "max(name[, n[, m]])",
    "mean(name, n[, m])",
    "median(name, n[, m])",
    "spread(name, n[, m])",
    "quantile(name, q, n[, m])",
    "lowest(name, n)",
    "highest(name, n)",
    "slope(name, n)",
    "fired('ID')",
)
_ARGUMENTS = {
    "first": (1, 1),
    "last": (1, 1),
    "best": (1, 1),
    "min": (1, 3),
    "max": (1, 3),
    "mean": (2, 3),
    "median": (2, 3),
    "spread": (2, 3),
    "quantile": (3, 4),
    "lowest": (2, 2),
    "highest": (2, 2),
    "slope": (2, 2),
}
"""Fewest and most arguments of the functions of a name."""
_FEWEST_VALUES = {"slope": 2, "spread": 4}
"""Of a window, where one value says nothing."""


class RefusedError(Exception):
    """A node that the language does not have."""

    def __init__(self, problem: str, node: ast.AST, allowed: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.start = int(getattr(node, "col_offset", 0))
        self.end = int(getattr(node, "end_col_offset", None) or self.start + 1)
        self.allowed = allowed


@attrs.frozen(kw_only=True)
class Comparison:
    """A rule of the form `value OP limit`, with the run's figures on the left; `and step >= N` may follow it."""

    value: Number
    operator: str
    limit: Number
    metric: str
    """The metric whose unit the value has; empty when it has none of its own."""


@attrs.frozen(kw_only=True)
class Compiled:
    """A rule's condition, and all names in it."""

    condition: Condition
    comparison: Comparison | None
    names: frozenset[str]
    moving_names: frozenset[str]
    """Names of which more than the first value counts."""
    baseline_names: frozenset[str]
    directed_names: frozenset[str]
    """Names whose `best` is asked for."""
    fired_ids: frozenset[str]
    ordered_windows: frozenset[tuple[str, int, int]]
    """Windows whose values are wanted in order of size: name, how many values, how many newest are left out."""
    windows: frozenset[tuple[str, int]]
    """Names whose newest values it looks at together, and how many of them."""
    least_step: float
    """Before this step it never holds; 0 where it asks for none."""
    figures: tuple[tuple[str, Number], ...]
    """What it looks at but the clocks, as it is written, in this order: names, and functions of them."""


def compile_condition(node: ast.expr) -> Compiled:
    """The closures of a whole rule.

    Raises:
        RefusedError: something in it is not in the language.
    """
    compiler = _Compiler()
    condition = compiler.condition(node)
    return Compiled(
        condition=condition,
        comparison=_comparison(node),
        names=frozenset(compiler.names),
        moving_names=frozenset(compiler.moving_names),
        baseline_names=frozenset(compiler.baseline_names),
        directed_names=frozenset(compiler.directed_names),
        fired_ids=frozenset(compiler.fired_ids),
        ordered_windows=frozenset(compiler.ordered_windows),
        windows=frozenset(compiler.windows),
        least_step=_least_step(node),
        figures=tuple(compiler.figures.items()),
    )


def _least_step(node: ast.expr) -> float:
    """What `step >= N` asks for, alone or beside other conditions that all have to hold."""
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return max(map(_least_step, parts))
        case ast.Compare(
            left=ast.Name(id="step"), ops=[op], comparators=[ast.Constant(value=int() | float() as least)]
        ):
            return float(least) if isinstance(op, ast.GtE) else least + 1.0 if isinstance(op, ast.Gt) else 0.0
        case _:
            return 0.0


def _comparison(node: ast.expr) -> Comparison | None:
    match node:
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            pass
        case ast.BoolOp(op=ast.And(), values=parts):
            # That enough steps are done decides when to judge, not what.
            timeless = [part for part in parts if not _is_of_clocks(part)]
            return _comparison(timeless[0]) if len(timeless) == 1 else None
        case _:
            return None
    left_compiler, right_compiler = _Compiler(), _Compiler()
    value, limit = left_compiler.number(left), right_compiler.number(right)
    sign = _COMPARISONS[type(op)][0]
    if left_compiler.names:
        return Comparison(value=value, operator=sign, limit=limit, metric=_unit_metric(left))
    return Comparison(value=limit, operator=_FLIPPED[sign], limit=value, metric=_unit_metric(right))


def _is_of_clocks(node: ast.expr) -> bool:
    compiler = _Compiler()
    compiler.condition(node)
    return bool(compiler.names) and compiler.names <= CLOCKS and not compiler.fired_ids


def _unit_metric(node: ast.expr) -> str:
    """The metric whose unit a figure has: of a bare name, and of functions but `slope`."""
    match node:
        case ast.Call(func=ast.Name(id=function), args=[name, *_]) if function != "slope":
            return _dotted(name)
        case ast.Name() | ast.Attribute():
            return _dotted(node)
        case _:
            return ""


class _Compiler:
    """Walks the tree once and collects the names on its way."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.moving_names: set[str] = set()
        self.baseline_names: set[str] = set()
        self.directed_names: set[str] = set()
        self.fired_ids: set[str] = set()
        self.ordered_windows: set[tuple[str, int, int]] = set()
        self.windows: set[tuple[str, int]] = set()
        self.figures: dict[str, Number] = {}

    def condition(self, node: ast.expr, *, wanted: bool = True) -> Condition:
        """That `node` holds, or where that is wanted that it does not.

        A `not` is carried down to the comparisons, since those with not-a-number hold neither way.
        """
        match node:
            case ast.BoolOp(op=op, values=parts):
                joined = all_of if isinstance(op, ast.And) is wanted else any_of
                return joined([self.condition(part, wanted=wanted) for part in parts])
            case ast.UnaryOp(op=ast.Not(), operand=inner):
                return self.condition(inner, wanted=not wanted)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._chain([left, *comparators], ops, node, wanted=wanted)
            case ast.Call(func=ast.Name(id="finite")):
                asked = is_finite(self.number(self._arguments(node, 1)[0]))
                return asked if wanted else negated(asked)
            case ast.Call(func=ast.Name(id="fired")):
                asked = self._fired(node)
                return asked if wanted else negated(asked)
        if isinstance(node, ast.Constant | ast.Name | ast.Attribute | ast.BinOp | ast.UnaryOp | ast.Call):
            self.number(node)  # says first what is wrong inside it
            raise RefusedError("a condition is wanted here, not a number", node, "such as vq.usage > 0.1")
        raise _unlisted(node)

    def number(self, node: ast.expr) -> Number:
        match node:
            case ast.Constant(value=value):
                return _constant(value, node)
            case ast.Name() | ast.Attribute():
                return self._figure(node, self._name(node))
            case ast.UnaryOp(op=ast.USub(), operand=inner):
                return binary(operator.sub, lambda _: 0.0, self.number(inner))
            case ast.UnaryOp(op=ast.UAdd(), operand=inner):
                return self.number(inner)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return binary(_ARITHMETIC[type(op)], self.number(left), self.number(right))
            case ast.Call(func=ast.Name(id=function)) if function in _ARGUMENTS:
                return self._figure(node, self._function(function, node))
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                raise RefusedError("a number is wanted here, not a condition", node)
            case ast.Call(func=ast.Name(id="finite" | "fired")):
                raise RefusedError("a number is wanted here, not a condition", node)
        raise _unlisted(node)

    def _figure(self, node: ast.expr, number: Number) -> Number:
        written = ast.unparse(node)
        if written not in {*CLOCKS, EPOCHS}:
            self.figures.setdefault(written, number)
        return number

    def _chain(self, sides: list[ast.expr], ops: list[ast.cmpop], node: ast.expr, *, wanted: bool) -> Condition:
        if any(type(op) not in _COMPARISONS for op in ops):
            raise RefusedError("only < <= > >= == != compare", node)
        numbers = [self.number(side) for side in sides]
        links = [
            compared(_COMPARISONS[type(op)][1], left, right, wanted=wanted)
            for op, left, right in zip(ops, numbers, numbers[1:], strict=False)
        ]
        joined = all_of if wanted else any_of
        return links[0] if len(links) == 1 else joined(links)

    def _name(self, node: ast.expr) -> Number:
        name = _dotted(node)
        if name == "baseline":
            raise RefusedError("baseline needs a metric's name", node, "such as baseline.val.retrieval.mrr")
        if name.startswith("baseline."):
            compared = name.removeprefix("baseline.")
            self.baseline_names.add(compared)
            return lambda scene: scene.baseline.at(compared, scene.history.epoch) if scene.baseline else None
        if name == EPOCHS:
            return lambda scene: scene.history.epochs
        self.names.add(name)
        self.moving_names.add(name)
        return lambda scene: scene.history.last(name)

    def _fired(self, node: ast.Call) -> Condition:
        (argument,) = self._arguments(node, 1)
        match argument:
            case ast.Constant(value=str(rule_id)) if rule_id:
                self.fired_ids.add(rule_id)
                return lambda scene: rule_id in scene.fired or (None if rule_id in scene.unjudged else False)
        raise RefusedError("fired wants a rule's id in quotes", argument, "such as fired('A')")

    def _function(self, function: str, node: ast.Call) -> Number:
        fewest, most = _ARGUMENTS[function]
        arguments = self._arguments(node, fewest, at_most=most)
        name = self._series(function, arguments[0])
        share = _share(arguments.pop(1)) if function == "quantile" else None
        if len(arguments) == 1:
            of_series = WHOLE_SERIES[function]
            return lambda scene: of_series(scene.history, name)
        num_values = _window_size(arguments[1], _FEWEST_VALUES.get(function, 1))
        skipped = _skipped(arguments[2], num_values) if len(arguments) > 2 else 0
        if not skipped and function not in ("lowest", "highest"):
            self.windows.add((name, num_values))
        if share is not None or function in OVER_ORDERED:
            self.ordered_windows.add((name, num_values, skipped))
        if share is not None:
            return over_ordered(lambda window: window.quantile(share), name, num_values, skipped)
        return over_window(function, name, num_values, skipped)

    def _series(self, function: str, node: ast.expr) -> str:
        """The metric of which a function looks at more than the newest value."""
        name = _dotted(node)
        if name.partition(".")[0] == "baseline":
            raise RefusedError(f"{function} looks at this run's values, not the baseline's", node)
        if name == EPOCHS:
            raise RefusedError(f"epochs is one figure for the whole run: {function} has nothing to look at", node)
        self.names.add(name)
        if function != "first":
            self.moving_names.add(name)
        if function == "best":
            self.directed_names.add(name)
        return name

    def _arguments(self, node: ast.Call, count: int, *, at_most: int | None = None) -> list[ast.expr]:
        if node.keywords or not count <= len(node.args) <= (at_most or count):
            called = ast.unparse(node.func)
            form = next((form for form in FUNCTIONS if form.startswith(f"{called}(")), called)
            raise RefusedError(f"{called} is written {form}", node, " ".join(FUNCTIONS))
        return list(node.args)


def _unlisted(node: ast.expr) -> RefusedError:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return RefusedError(f"there is no function {node.func.id!r}", node, " ".join(FUNCTIONS))
    return RefusedError("the rule language has nothing like this", node, _ALLOWED)


_ALLOWED = "numbers, metric names, + - * /, comparisons, and, or, not, baseline.NAME, " + " ".join(FUNCTIONS)


def _dotted(node: ast.expr) -> str:
    """A chain of attributes as one metric name."""
    parts: list[str] = []
    inner = node
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if not isinstance(inner, ast.Name):
        raise RefusedError("a metric's name is wanted here", node, "such as vq.usage")
    parts.append(inner.id)
    if any(part.startswith("_") for part in parts):
        raise RefusedError("no part of a metric's name starts with an underscore", node)
    name = ".".join(reversed(parts))
    head, dot, rest = name.partition(".")
    return f"{head}.{current_name(rest)}" if dot and head == "baseline" else current_name(name)


def _constant(value: object, node: ast.expr) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RefusedError("a number is wanted here", node, "text stands only in fired('ID')")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RefusedError("this number is too large", node, "finite(x) asks whether a figure is finite")
    return lambda _: number


def _window_size(node: ast.expr, at_least: int) -> int:
    return _count(node, at_least, MAX_WINDOW, "a count of values is wanted here")


def _skipped(node: ast.expr, num_values: int) -> int:
    return _count(node, 0, MAX_WINDOW - num_values, "the count of newest values to leave out is wanted here")


def _count(node: ast.expr, at_least: int, at_most: int, problem: str) -> int:
    match node:
        case ast.Constant(value=int(count)) if not isinstance(count, bool) and at_least <= count <= at_most:
            return count
    raise RefusedError(problem, node, f"a whole number from {at_least} to {at_most}")


def _share(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=float() | int() as share) if not isinstance(share, bool) and 0 <= share <= 1:
            return float(share)
    raise RefusedError("which quantile is wanted here", node, "a number from 0 to 1, such as 0.9")
