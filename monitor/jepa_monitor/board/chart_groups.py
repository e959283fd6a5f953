"""Which metrics share a chart, which charts matter from the start, and in which order.

Knows names of metrics only.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import attrs

from jepa_monitor.charts.spec import CURVE_TONES, Tone

MOST_CURVES = len(CURVE_TONES)
"""Of one chart, so that each has its own tone."""


@attrs.frozen
class Line:
    """One metric as a curve."""

    name: str
    label: str
    tone: Tone


@attrs.frozen(kw_only=True)
class ChartGroup:
    """The metrics of one chart."""

    key: str
    """Unique, and the same as long as the chart is there."""
    title: str
    lines: tuple[Line, ...]
    matters: bool = False
    """Whether it is shown without being asked for."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(line.name for line in self.lines)


@attrs.frozen(kw_only=True)
class _Shared:
    """Metrics that belong together, in the order of importance of charts."""

    key: str
    title: str
    members: tuple[tuple[str, str], ...]
    """Name and label; those that a run lacks are left out, and a dim label ends in `*`."""


_TOTAL, _TERM = "loss.total", r"loss\.(?!total$)[^.]+"
_IN_ORDER: tuple[_Shared | str, ...] = (
    _Shared(
        key="val.retrieval.mrr",
        title="val.retrieval.mrr",
        members=(
            ("val.retrieval.mrr", "model"),
            ("val.retrieval.null_mrr", "strongest null*"),
        ),
    ),
    r"loss\.info_nce",
    "vq.usage",
    _Shared(key="rank", title="rank", members=(("rank.context", "context"), ("rank.target", "target"))),
    _TERM,
    "grad.norm",
    _Shared(
        key="val.retrieval.above_null",
        title="val.retrieval.above_null",
        members=(
            ("val.retrieval.above_null", "difference"),
            ("val.retrieval.above_null_low", "low*"),
            ("val.retrieval.above_null_high", "high*"),
        ),
    ),
    _Shared(
        key="val.hard.mrr",
        title="val.hard.mrr",
        members=(
            ("val.hard.mrr", "model"),
            ("val.hard.null_mrr", "strongest null*"),
            ("val.hard.blind_mrr", "blind"),
            ("val.hard.medoid_mrr", "medoid"),
        ),
    ),
    _Shared(
        key="loss.total", title="loss.total", members=(("loss.total", "training"), ("val.loss.total", "validation"))
    ),
    r"val\.loss\.(?!total$).+\.raw",
    "temperature",
    _Shared(
        key="order.sensitivity",
        title="order.sensitivity",
        members=(("order.sensitivity", "training"), ("val.order.sensitivity", "validation")),
    ),
    "attention.entropy",
    "vq.perplexity",
    "vq.dead",
    _Shared(key="std", title="std", members=(("std.context", "context"), ("std.target", "target"))),
    "target.distance",
    "throughput.samples_per_second",
    _Shared(key="time", title="time", members=(("time.step", "step"), ("time.data", "data"), ("time.wait", "wait"))),
    "lr",
)
"""What matters, first to last; a text with a backslash is a pattern over names, one chart for each."""

_FURTHER: tuple[_Shared, ...] = (
    _Shared(
        key="val.retrieval.top1",
        title="val.retrieval.top1",
        members=(
            ("val.retrieval.top1", "model"),
            ("val.retrieval.null_top1", "strongest null*"),
        ),
    ),
    _Shared(key="val.rank", title="val.rank", members=(("val.rank.context", "context"), ("val.rank.target", "target"))),
    _Shared(key="val.std", title="val.std", members=(("val.std.context", "context"), ("val.std.target", "target"))),
)
_FAMILIES = (
    ("grad.share.", "grad.share"),
    ("moved.", "moved"),
    ("val.retrieval.null.", "val.retrieval.null"),
    ("val.hard.null.", "val.hard.null"),
    ("val.probe.null.", "val.probe.null"),
    ("val.probe.", "val.probe"),
)
_FORMER = {
    "val.retrieval.null_mrr": ("val.retrieval.null.equal_cells.mrr", "equal cells*"),
    "val.retrieval.null_top1": ("val.retrieval.null.equal_cells.top1", "equal cells*"),
}
"""What stands for the strongest null in runs of earlier versions, which recorded no other."""
_NO_CHART = frozenset({"step", "epoch"})


def chart_groups(
    names: Iterable[str], nulls: Mapping[str, str] | None = None, zero: Collection[str] = ()
) -> tuple[ChartGroup, ...]:
    """Every metric in one chart: those that matter first.

    Args:
        names: of the metrics.
        nulls: labels of the lines that are a null's, by metric.
        zero: losses that are always 0, as that of a quantizer that is none.
    """
    left = [name for name in names if name not in _NO_CHART]
    groups: list[ChartGroup] = []

    def take(group: ChartGroup) -> None:
        groups.append(group)
        for name in group.names:
            left.remove(name)

    sole = _sole_loss(name for name in left if name not in zero)
    for entry in _IN_ORDER:
        for group in _matching(entry, tuple(left)):
            if not sole:
                take(attrs.evolve(group, matters=True))
            elif group.key == sole:
                take(attrs.evolve(_over_validation(sole, left), matters=True))
            elif group.key not in (_TOTAL, f"val.{sole}.raw"):
                take(attrs.evolve(group, matters=True))
    for shared in _FURTHER:
        for group in _matching(shared, tuple(left)):
            take(group)
    for prefix, title in _FAMILIES:
        for group in _family(prefix, title, left):
            take(group)
    taken = {group.key for group in groups}
    # A metric may be called as a family is: "moved" beside "moved.encoder".
    groups += [attrs.evolve(single(name), key=f"{name} alone" if name in taken else name) for name in left]
    return tuple(_labelled(group, nulls or {}) for group in groups)


def _sole_loss(names: Iterable[str]) -> str:
    """The loss that is all of the total, which then needs no chart of its own; empty where there are several."""
    losses = [name for name in names if name == _TOTAL or re.fullmatch(_TERM, name)]
    (sole, *others) = [name for name in losses if name != _TOTAL] or [""]
    return sole if _TOTAL in losses and not others else ""


def _over_validation(loss: str, names: Collection[str]) -> ChartGroup:
    """A loss with what it is on validation, where that is known."""
    members = ((loss, "training"), (f"val.{_TOTAL}", "validation"))
    return ChartGroup(key=loss, title=loss, lines=_lines([member for member in members if member[0] in names]))


def _labelled(group: ChartGroup, labels: Mapping[str, str]) -> ChartGroup:
    lines = tuple(attrs.evolve(line, label=labels.get(line.name, line.label)) for line in group.lines)
    return attrs.evolve(group, lines=lines)


def single(name: str, *, matters: bool = False) -> ChartGroup:
    """A chart of one metric."""
    return ChartGroup(key=name, title=name, lines=(Line(name, name, "accent"),), matters=matters)


def split(groups: Iterable[ChartGroup]) -> tuple[ChartGroup, ...]:
    """One metric a chart: what several runs in the same charts need."""
    return tuple(
        single(line.name, matters=group.matters) for group in groups for line in group.lines if line.tone != "dim"
    )


def _matching(entry: _Shared | str, names: Sequence[str]) -> Iterator[ChartGroup]:
    if isinstance(entry, _Shared):
        members = [each if each[0] in names else _FORMER.get(each[0], each) for each in entry.members]
        lines = _lines([(name, label) for name, label in members if name in names])
        if lines:
            title = entry.title if len(lines) > 1 or lines[0].name == entry.key else lines[0].name
            yield ChartGroup(key=entry.key, title=title, lines=lines)
    elif "\\" not in entry:
        if entry in names:
            yield single(entry)
    else:
        pattern = re.compile(entry)
        yield from (single(name) for name in names if pattern.fullmatch(name))


def _family(prefix: str, title: str, names: Collection[str]) -> Iterator[ChartGroup]:
    members = [(name, name.removeprefix(prefix)) for name in names if name.startswith(prefix)]
    for start in range(0, len(members), MOST_CURVES):
        part = members[start : start + MOST_CURVES]
        number = "" if not start else f" {start // MOST_CURVES + 1}"
        yield ChartGroup(key=f"{title}{number}", title=f"{title}{number}", lines=_lines(part))


def _lines(members: Sequence[tuple[str, str]]) -> tuple[Line, ...]:
    tones = iter(CURVE_TONES)
    return tuple(
        Line(name, label.removesuffix("*"), "dim" if label.endswith("*") else next(tones)) for name, label in members
    )
