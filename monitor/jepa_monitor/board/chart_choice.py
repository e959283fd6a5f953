"""Which charts are on the screen: those that matter or match the filter, in a lasting order, with their troubles."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import attrs

from jepa_core.presentation.null_lines import null_title
from jepa_monitor.board.chart_groups import ChartGroup, chart_groups, split
from jepa_monitor.board.trouble import NO_TROUBLE, KeptOrder, Trouble, trouble_by_name, trouble_of
from jepa_monitor.display import filter_pattern
from jepa_monitor.model.run_view import RunView

_OF_THE_MACHINE = ("throughput.", "time.", "memory.")


@attrs.frozen(kw_only=True)
class ChosenCharts:
    """The charts in their order, and how near to trouble each is."""

    groups: tuple[ChartGroup, ...] = ()
    troubles: Mapping[str, Trouble] = attrs.field(factory=dict)
    """By the groups' keys."""

    @property
    def are_sorted(self) -> bool:
        """Whether none stands behind one that is further from trouble, by more than its margin."""
        levels = [self.troubles[group.key].level for group in self.groups if not _is_of_the_machine(group)]
        return levels == sorted(levels)

    def index(self, key: str | None) -> int:
        """Where a chart is now; 0 when it is not there."""
        return next((index for index, group in enumerate(self.groups) if group.key == key), 0)


class ChartChoice:
    """Chooses charts view by view, and remembers their order."""

    def __init__(self) -> None:
        self._order = KeptOrder()
        self._filter = ""
        self._varied: set[str] = set()
        self._was_in_trouble: set[str] = set()

    def sort_again(self) -> None:
        """Bring the charts nearest to trouble first."""
        self._was_in_trouble.clear()
        self._order.sort_again()

    def choose(self, views: Iterable[RunView], filter_text: str, *, is_held: bool = False) -> ChosenCharts:
        """The charts of one run, or of several together.

        Args:
            filter_text: a regular expression over names of metrics, which is valid; empty for the charts that matter.
            is_held: whether somebody looks at a chart, so that none of them may move.
        """
        runs = tuple(views)
        if filter_text != self._filter:
            self._order, self._filter = KeptOrder(), filter_text
            self._was_in_trouble.clear()
        groups = groups_of(runs)
        by_name = trouble_by_name(runs[0].outlooks) if len(runs) == 1 else {}
        shown = _matching(groups, filter_text) if filter_text else self._that_matter(groups, runs, by_name)
        troubles = {group.key: trouble_of(group.names, by_name) for group in shown}
        by_key = {group.key: group for group in shown}
        is_settled = all(view.judged_rows is None and view.history.num_rows for view in runs)
        moving = {key: NO_TROUBLE if _is_of_the_machine(by_key[key]) else trouble for key, trouble in troubles.items()}
        order = self._order.arrange(tuple(by_key), moving, is_settled=is_settled, is_held=is_held)
        self._was_in_trouble.update(key for key, trouble in troubles.items() if trouble < NO_TROUBLE)
        return ChosenCharts(groups=tuple(by_key[key] for key in order), troubles=troubles)

    def _that_matter(
        self, groups: Iterable[ChartGroup], runs: tuple[RunView, ...], by_name: Mapping[str, Trouble]
    ) -> list[ChartGroup]:
        ruled = {outlook.metric for outlook in runs[0].outlooks if outlook.judgement.kind in ("must", "abort")}
        return [
            group
            for group in groups
            if group.key in self._was_in_trouble
            or trouble_of(group.names, by_name) < NO_TROUBLE
            or not ruled.isdisjoint(group.names)
            or (group.matters and self._varies(group, runs))
        ]

    def _varies(self, group: ChartGroup, runs: tuple[RunView, ...]) -> bool:
        """Whether any value has differed from the first one: a term that is always zero needs no chart. A single
        value that is not zero may yet come to vary."""
        if group.key not in self._varied and any(_has_variety(group.names, view) for view in runs):
            self._varied.add(group.key)
        return group.key in self._varied or any(_has_begun(group.names, view) for view in runs)


def _is_of_the_machine(group: ChartGroup) -> bool:
    """Whether it shows how fast a run is, not how good. What else the machine does moves such figures up and down; the
    frame of their chart says so, and it stays in its place."""
    return all(name.startswith(_OF_THE_MACHINE) for name in group.names)


def groups_of(runs: Sequence[RunView]) -> tuple[ChartGroup, ...]:
    """All charts of one run, or of several together."""
    names = sorted({name for view in runs for name in view.history.names})
    zero = [name for name in names if name.startswith("loss.") and _is_zero(name, runs)]
    if len(runs) == 1:
        return chart_groups(names, null_labels(runs[0]), zero)
    return split(chart_groups(names, zero=zero))


def null_labels(view: RunView) -> dict[str, str]:
    """What the lines of the strongest nulls are called."""
    lines = {
        "val.retrieval.null_mrr": view.nulls.strongest,
        "val.retrieval.null_top1": view.nulls.strongest,
        "val.hard.null_mrr": view.nulls.hardest,
    }
    return {metric: null_title(null.name) for metric, null in lines.items() if null is not None}


def _is_zero(name: str, runs: Iterable[RunView]) -> bool:
    all_series = (view.history.series(name) for view in runs)
    return not any(series is not None and bool(series.values.any()) for series in all_series)


def _has_variety(names: Collection[str], view: RunView) -> bool:
    for name in names:
        series = view.history.series(name)
        if series is not None and len(series) and bool((series.values != series.values[0]).any()):
            return True
    return False


def _has_begun(names: Collection[str], view: RunView) -> bool:
    all_series = (view.history.series(name) for name in names)
    return any(series is not None and len(series) == 1 and series.values[0] != 0 for series in all_series)


def _matching(groups: Iterable[ChartGroup], filter_text: str) -> list[ChartGroup]:
    pattern = filter_pattern(filter_text)
    return [group for group in groups if any(pattern.search(name) for name in group.names)]
