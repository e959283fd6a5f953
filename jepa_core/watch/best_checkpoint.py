"""Which of a run's kept checkpoints to go on with, and why, from its rows alone: no label is asked for.

First comes retrieval on validation. Within `NOISE` of the highest, checkpoints count as equal, and the effective rank
of the context embeddings decides (RankMe, arXiv 2210.02885: of label-free figures it follows downstream accuracy best);
among equal ranks alignment and uniformity do (Wang & Isola, arXiv 2005.10242: both losses shall be low). Where
retrieval was never measured, rank decides, then alignment and uniformity.

Every figure counts as it was last recorded at or before the checkpoint's step; but where any checkpoint's retrieval was
measured at its own step, only such checkpoints are candidates. Knows nothing of files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import attrs

from jepa_core.figures import figure_text
from jepa_core.metrics import ANEW
from jepa_core.watch.verdict import BestCheckpoint

NOISE = 0.01
"""Relative difference within which two checkpoints' figures are equal: a fraction of what two seeds differ by."""

TREND = 5
"""Diagnoses over which a rank is called growing or falling."""

RETRIEVAL, RANK, ALIGN, UNIFORM = "val.retrieval.mrr", "rank.context", "align", "uniform"
RANKS = (RANK, "rank.target")


@attrs.frozen(kw_only=True)
class Candidate:
    """A checkpoint, with what was known of it when it was written."""

    step: int
    epoch: float
    retrieval: float | None
    retrieval_step: int | None
    """When its retrieval was measured."""
    rank: float | None
    spread: float | None
    """Alignment plus uniformity: lower is better."""
    ranks: Mapping[str, Sequence[float]]
    """Name → the newest `TREND` values of a rank."""


def best_checkpoint(kept: Mapping[int, str], rows: Iterable[Mapping[str, float]]) -> BestCheckpoint | None:
    """The best of the checkpoints kept, given as step → path; None when nothing is known of any.

    `rows` are the run's rows, in the order of their steps.
    """
    candidates = candidates_of(kept, rows)
    measured = [c for c in candidates if c.retrieval is not None]
    on_the_spot = [c for c in measured if c.retrieval_step == c.step]
    contenders = on_the_spot or measured or [c for c in candidates if c.rank is not None]
    contenders = contenders or [c for c in candidates if c.spread is not None]
    if not contenders:
        return None
    best = _chosen(contenders)
    why = ", ".join(_reasons(best, contenders))
    return BestCheckpoint(step=best.step, epoch=best.epoch, why=why, path=kept[best.step])


def candidates_of(kept: Iterable[int], rows: Iterable[Mapping[str, float]]) -> list[Candidate]:
    """The checkpoints with their figures, oldest first."""
    steps = sorted(kept)
    waiting, found = list(steps), list[Candidate]()
    last: dict[str, float] = {}
    measured_at: int | None = None
    ranks: dict[str, list[float]] = {name: [] for name in RANKS}
    for row in rows:
        if ANEW in row:
            # Rows so far were of another network: they say nothing of any checkpoint that this one's recipe can load.
            waiting, found, last, measured_at, ranks = list(steps), [], {}, None, {name: [] for name in RANKS}
        step = row.get("step", math.nan)
        while waiting and step > waiting[0]:
            found.append(_candidate(waiting.pop(0), last, measured_at, ranks))
        known = {name: value for name, value in row.items() if math.isfinite(value)}
        last |= known
        if RETRIEVAL in known:
            measured_at = int(last.get("step", 0))
        for name in known.keys() & ranks.keys():
            ranks[name] = [*ranks[name][1 - TREND :], known[name]]
    return [*found, *(_candidate(step, last, measured_at, ranks) for step in waiting)]


def _candidate(
    step: int, last: Mapping[str, float], measured_at: int | None, ranks: Mapping[str, list[float]]
) -> Candidate:
    align, uniform = last.get(ALIGN), last.get(UNIFORM)
    return Candidate(
        step=step,
        epoch=last.get("epoch", 0.0),
        retrieval=last.get(RETRIEVAL),
        retrieval_step=measured_at,
        rank=last.get(RANK),
        spread=None if align is None or uniform is None else align + uniform,
        ranks=dict(ranks),
    )


def _chosen(contenders: Sequence[Candidate]) -> Candidate:
    """By retrieval, among equals by rank, among equals by alignment and uniformity; then the oldest."""
    equals = _highest(contenders, [c.retrieval for c in contenders])
    equals = _highest(equals, [c.rank for c in equals])
    return min(equals, key=lambda c: (math.inf if c.spread is None else c.spread, c.step))


def _highest(candidates: Sequence[Candidate], values: Sequence[float | None]) -> list[Candidate]:
    """Those within noise of the highest value; all, where it is known of none."""
    highest = max((value for value in values if value is not None), default=None)
    if highest is None:
        return list(candidates)
    least = highest - NOISE * abs(highest)
    return [c for c, value in zip(candidates, values, strict=True) if value is not None and value >= least]


def _reasons(best: Candidate, contenders: Sequence[Candidate]) -> Iterator[str]:
    """What it was chosen for, what its ranks do, and what of the others speaks against it."""
    others = [c for c in contenders if c is not best]
    yield _decisive(best, others)
    yield from _trend(best)
    against = _against(best, others)
    if against:
        yield f"though {against}"


def _against(best: Candidate, others: Sequence[Candidate]) -> str:
    """Such as "step 420 has a higher rank (5.89 beside 5.29) and better alignment and uniformity"."""
    higher = [c for c in others if best.rank is not None and (c.rank or 0.0) > (1 + NOISE) * best.rank]
    evener = [c for c in others if best.spread is not None and c.spread is not None and c.spread < best.spread]
    evenest = min(evener, key=lambda c: c.spread or 0.0, default=None)
    even = "better alignment and uniformity"
    if not higher or best.retrieval is None:
        return "" if evenest is None else f"step {evenest.step} has {even}"
    highest = max(higher, key=lambda c: c.rank or 0.0)
    ranks = [figure_text(candidate.rank or 0.0) for candidate in (highest, best)]
    rank = f"step {highest.step} has a higher rank ({' beside '.join(ranks)})"
    if evenest is None:
        return rank
    return f"{rank} and {even}" if evenest is highest else f"{rank}, and step {evenest.step} {even}"


def _decisive(best: Candidate, others: Sequence[Candidate]) -> str:
    if best.retrieval is None:
        by = "highest rank" if best.rank is not None else "best alignment and uniformity"
        return f"{by} (retrieval was not measured)"
    equals = _highest([best, *others], [c.retrieval for c in (best, *others)])
    rivals = [c for c in equals if c is not best]
    if not rivals:
        return "highest retrieval"
    beside = f"retrieval within {100 * NOISE:.0f} % of the highest"
    if all(c.rank is None or best.rank is None for c in rivals):
        return beside
    closest = _highest(equals, [c.rank for c in equals])
    return f"{beside}, rank the highest of these" if closest == [best] else f"{beside}, rank as high as any of these"


def _trend(best: Candidate) -> Iterator[str]:
    trends = {name: _direction(values) for name, values in best.ranks.items() if len(values) > 1}
    if not trends:
        return
    if len(set(trends.values())) == 1:
        word = next(iter(trends.values()))
        yield f"ranks {word}"
    else:
        yield ", ".join(f"{name.removeprefix('rank.')} rank {trend}" for name, trend in trends.items())


def _direction(values: Sequence[float]) -> str:
    """The last value against the mean of those before it."""
    before = sum(values[:-1]) / len(values[:-1])
    if abs(values[-1] - before) <= NOISE * abs(before):
        return "steady"
    return "still growing" if values[-1] > before else "falling"
