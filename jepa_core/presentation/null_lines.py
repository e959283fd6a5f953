"""What learns nothing, as a run's first lines and an evaluation show it: every null with its figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from jepa_core.figures import figure_text, rank_text
from jepa_core.presentation.wrapping import part_lines
from jepa_core.visible_text import clean
from jepa_core.watch.nulls import NullFigures, RankedNulls, title_of

NO_NULL = "no null fits this data: retrieval stands beside nothing"
NONE_ON = "none is left on: retrieval stands beside nothing"
"""Where a run has none."""

NULLS_INDENT = 8
"""Where the words of their lines begin."""

_LONGEST_TITLE = 40
_LONGEST_REASON = 300


def null_title(name: str) -> str:
    """A null's name as it is shown; names may come from a plugin or a run directory."""
    return clean(title_of(name), _LONGEST_TITLE)


def null_lines(nulls: RankedNulls, width: int) -> Iterator[Text]:
    """Every null with its MRR, the strongest first and with its top-1, in lines of at most `width` columns where no
    single part is longer; then those switched off, and those that failed."""
    if not nulls.figures:
        yield Text("nulls   ", style="dim").append(NONE_ON if nulls.disabled or nulls.failed else NO_NULL, style="none")
    else:
        yield from _wrapped("nulls   ", [_figures(null, index == 0) for index, null in enumerate(nulls.figures)], width)
        near_copies = [f"{null_title(null.name)} {rank_text(null.hard_mrr or 0.0)}" for null in _hardest_first(nulls)]
        yield from _wrapped("        among near copies: ", near_copies, width) if near_copies else ()
    if nulls.disabled:
        yield from _wrapped("        switched off: ", [null_title(name) for name in nulls.disabled], width)
    for name, why in nulls.failed.items():
        yield Text("        left out: ", style="yellow").append(failed_null(name, why), style="none")


def failed_null(name: str, why: str) -> str:
    """A null that could not be ranked, and why."""
    return f"{null_title(name)}: {clean(why, _LONGEST_REASON)}"


def _hardest_first(nulls: RankedNulls) -> list[NullFigures]:
    """The two that are strongest among near copies."""
    ranked = [null for null in nulls.figures if null.hard_mrr is not None]
    return sorted(ranked, key=lambda null: (null.name != nulls.strongest_hard, -(null.hard_mrr or 0.0)))[:2]


def _figures(null: NullFigures, is_strongest: bool) -> str:
    top1 = f" ({figure_text(null.top1, '%')})" if is_strongest else ""
    return f"{null_title(null.name)} {rank_text(null.mrr)}{top1}"


def _wrapped(label: str, parts: Sequence[str], width: int) -> Iterator[Text]:
    """The parts with points between them; a line ends between two parts."""
    shown = [Text(part) for part in parts]
    return part_lines(shown, width, label=Text().append(label, style="dim"), indent=NULLS_INDENT, separator=" · ")
