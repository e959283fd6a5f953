"""Which checkpoint is best, and that the words say what speaks for it and against it."""

from __future__ import annotations

import math
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jepa_core.watch.best_checkpoint import NOISE, best_checkpoint
from jepa_core.watch.verdict import BestCheckpoint

Row = dict[str, float]


def row(
    step: int,
    mrr: float | None = None,
    rank: float | None = None,
    *,
    target: float | None = None,
    align: float | None = None,
    uniform: float | None = None,
) -> Row:
    named = {
        "val.retrieval.mrr": mrr,
        "rank.context": rank,
        "rank.target": target,
        "align": align,
        "uniform": uniform,
    }
    return {"step": step, "epoch": step / 10, **{name: value for name, value in named.items() if value is not None}}


def best_of(rows: Iterable[Row], *kept: int) -> BestCheckpoint:
    best = best_checkpoint({step: f"checkpoints/step-{step}" for step in kept}, rows)
    assert best is not None
    return best


def test_the_highest_retrieval_of_those_kept_wins() -> None:
    best = best_of([row(10, 0.9), row(20, 0.3), row(30, 0.5), row(40, 0.4)], 20, 30, 40)
    assert best == BestCheckpoint(step=30, epoch=3.0, why="highest retrieval", path="checkpoints/step-30")


def test_growing_ranks_speak_for_it() -> None:
    rows = [row(step, 0.01 * step, rank=step, target=2 * step) for step in range(10, 60, 10)]
    assert best_of(rows, 40, 50).why == "highest retrieval, ranks still growing"
    assert best_of(rows[:1], 10).why == "highest retrieval"


def test_falling_ranks_are_told_of_one_by_one_where_they_differ() -> None:
    rows = [row(step, 0.01 * step, rank=100 - step, target=step) for step in range(10, 60, 10)]
    assert best_of(rows, 50).why == "highest retrieval, context rank falling, target rank still growing"
    assert best_of([{**r, "rank.target": 7.0} for r in rows], 50).why.endswith(
        "context rank falling, target rank steady"
    )


def test_within_noise_the_higher_rank_wins() -> None:
    rows = [row(10, 0.5, rank=30), row(20, 0.504, rank=20), row(30, 0.3, rank=99)]
    best = best_of(rows, 10, 20)
    assert best.step == 10
    assert best.why == "retrieval within 1 % of the highest, rank the highest of these"


def test_clearly_higher_retrieval_wins_over_rank_and_says_what_speaks_against_it() -> None:
    rows = [row(10, 0.5, 30, align=0.2, uniform=-3.0), row(20, 0.6, 20, align=0.3, uniform=-2.0)]
    best = best_of(rows, 10, 20)
    assert best.step == 20
    against = "though step 10 has a higher rank (30 beside 20) and better alignment and uniformity"
    assert best.why == f"highest retrieval, ranks falling, {against}"


@pytest.mark.parametrize(
    ("rank", "uniform", "why"),
    [
        (30.0, None, "highest retrieval, ranks falling, though step 10 has a higher rank (30 beside 20)"),
        (19.0, -3.0, "highest retrieval, ranks still growing, though step 10 has better alignment and uniformity"),
        (19.0, None, "highest retrieval, ranks still growing"),
    ],
)
def test_what_speaks_against_it_follows_in_the_same_sentence(rank: float, uniform: float | None, why: str) -> None:
    rows = [row(10, 0.5, rank, align=0.2, uniform=uniform), row(20, 0.6, 20, align=0.3, uniform=-2.0)]
    assert best_of(rows, 10, 20).why == why


def test_two_other_checkpoints_may_speak_against_it() -> None:
    rows = [
        row(10, 0.5, 30, align=0.2, uniform=-1.0),
        row(20, 0.5, 20, align=0.2, uniform=-3.0),
        row(30, 0.6, 20, align=0.3, uniform=-2.0),
    ]
    assert best_of(rows, 10, 20, 30).why.endswith(
        ", though step 10 has a higher rank (30 beside 20), and step 20 better alignment and uniformity"
    )


def test_among_equal_ranks_alignment_and_uniformity_decide() -> None:
    rows = [row(10, 0.5, 20, align=0.2, uniform=-2.0), row(20, 0.5, 20.1, align=0.2, uniform=-2.5), row(30, 0.5, 20.0)]
    best = best_of(rows, 10, 20, 30)
    assert best.step == 20
    assert best.why.startswith("retrieval within 1 % of the highest, rank as high as any of these")


def test_without_retrieval_rank_decides_then_alignment_and_uniformity() -> None:
    best = best_of([row(10, rank=9), row(20, rank=5)], 10, 20)
    assert (best.step, best.why) == (10, "highest rank (retrieval was not measured)")
    best = best_of([row(10, align=0.4, uniform=-1.0), row(20, align=0.2, uniform=-1.0)], 10, 20)
    assert (best.step, best.why) == (20, "best alignment and uniformity (retrieval was not measured)")


def test_a_checkpoint_between_validations_does_not_borrow_the_retrieval_of_one_that_was_measured() -> None:
    rows = [row(10, 0.5, rank=9), row(15, rank=30)]
    assert best_of(rows, 10, 15).step == 10
    assert best_of(rows, 15).step == 15


def test_figures_after_a_checkpoint_say_nothing_of_it() -> None:
    rows = [row(10, 0.5, rank=9), row(20, 0.5, rank=8), row(30, 0.1, rank=90)]
    assert best_of(rows, 10, 20).step == 10


def test_rows_of_a_network_that_is_no_more_say_nothing_of_any_checkpoint() -> None:
    before = [row(10, 0.9, 8.0, align=0.1, uniform=-3.0), row(20, 0.8, 7.0)]
    assert best_of([*before, row(30, 0.2, 2.0)], 10, 25, 30).step == 10
    after = [row(30, 0.2, 2.0) | {"anew": 4.0}, row(40, 0.3, 2.5)]
    best = best_of([*before, *after], 10, 25, 30, 40)
    assert (best.step, best.why) == (40, "highest retrieval, ranks still growing")
    kept = {step: str(step) for step in (10, 25)}
    assert best_checkpoint(kept, [*before, *after]) is None, "10 is of the other network, and of 25 no row tells"


def test_where_nothing_is_known_none_is_best() -> None:
    assert best_checkpoint({}, [row(10, 0.5)]) is None
    assert best_checkpoint({10: ""}, []) is None
    assert best_checkpoint({10: ""}, [row(10, math.nan, rank=math.inf)]) is None


FIGURE = st.one_of(st.none(), st.floats(0.01, 1), st.just(math.nan))


@given(
    st.lists(st.tuples(FIGURE, FIGURE, FIGURE), min_size=1, max_size=12),
    st.sets(st.integers(1, 12), min_size=1),
)
def test_the_best_is_always_one_that_is_kept_and_no_other_kept_one_has_clearly_higher_retrieval(
    figures: list[tuple[float | None, float | None, float | None]], kept: set[int]
) -> None:
    rows = [row(step, mrr, rank, align=align, uniform=align) for step, (mrr, rank, align) in enumerate(figures, 1)]
    best = best_checkpoint(dict.fromkeys(kept, ""), rows)
    measured = {
        r["step"]: r["val.retrieval.mrr"]
        for r in rows
        if r["step"] in kept and math.isfinite(r.get("val.retrieval.mrr", math.nan))
    }
    if measured:
        assert best is not None
        assert best.step in kept
        assert measured[best.step] >= (1 - NOISE) * max(measured.values())
