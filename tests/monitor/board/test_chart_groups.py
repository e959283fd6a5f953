from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_monitor.board.chart_groups import chart_groups, split

KNOWN = [
    "loss.info_nce", "loss.relational", "loss.total", "lr", "rank.context", "rank.target", "val.loss.total",
    "val.retrieval.null_mrr", "val.retrieval.mrr", "vq.usage", "moved.encoder", "moved.predictor",
    "grad.share.info_nce", "time.step", "time.data", "my.metric",
]  # fmt: skip


def test_what_belongs_together_shares_a_chart_in_the_order_of_importance() -> None:
    groups = chart_groups(KNOWN)
    assert [group.key for group in groups if group.matters] == [
        "val.retrieval.mrr", "loss.info_nce", "vq.usage", "rank", "loss.relational", "loss.total", "time", "lr",
    ]  # fmt: skip
    by_key = {group.key: group for group in groups}
    assert by_key["rank"].names == ("rank.context", "rank.target")
    assert by_key["loss.total"].names == ("loss.total", "val.loss.total")
    assert by_key["moved"].names == ("moved.encoder", "moved.predictor")
    assert [line.tone for line in by_key["val.retrieval.mrr"].lines] == ["accent", "dim"]
    assert not by_key["my.metric"].matters


def test_the_strongest_nulls_line_has_its_name_and_old_runs_have_equal_cells() -> None:
    new = ["val.retrieval.mrr", "val.retrieval.null_mrr"]
    group, *_ = chart_groups(new, {"val.retrieval.null_mrr": "pair analogy"})
    assert [line.label for line in group.lines] == ["model", "pair analogy"]
    old, *_ = chart_groups(["val.retrieval.mrr", "val.retrieval.null.equal_cells.mrr"])
    assert [line.label for line in old.lines] == ["model", "equal cells"]


def test_where_the_strongest_null_has_a_curve_the_single_figures_of_all_stand_apart() -> None:
    shorts = ("mrr", "null_mrr", "top1", "null_top1", "null.equal_cells.mrr", "null.equal_cells.top1")
    by_key = {group.key: group for group in chart_groups([f"val.retrieval.{short}" for short in shorts])}
    assert by_key["val.retrieval.mrr"].names == ("val.retrieval.mrr", "val.retrieval.null_mrr")
    assert by_key["val.retrieval.top1"].names == ("val.retrieval.top1", "val.retrieval.null_top1")
    assert [line.label for line in by_key["val.retrieval.null"].lines] == ["equal_cells.mrr", "equal_cells.top1"]
    assert not by_key["val.retrieval.null"].matters


def test_probes_of_labels_share_a_chart_apart_from_what_pixels_tell() -> None:
    names = ["val.probe.digit.knn", "val.probe.digit.linear", "val.probe.null.pixels.digit.knn"]
    by_key = {group.key: group for group in chart_groups(names)}
    assert [line.label for line in by_key["val.probe"].lines] == ["digit.knn", "digit.linear"]
    assert [line.label for line in by_key["val.probe.null"].lines] == ["pixels.digit.knn"]


def test_the_paired_difference_stands_within_its_interval() -> None:
    (group,) = chart_groups([f"val.retrieval.above_null{end}" for end in ("", "_low", "_high")])
    assert group.matters
    assert [(line.label, line.tone) for line in group.lines] == [
        ("difference", "accent"),
        ("low", "dim"),
        ("high", "dim"),
    ]


def test_near_copies_share_a_chart_with_their_null_and_their_controls() -> None:
    names = [f"val.hard.{name}" for name in ("mrr", "null_mrr", "blind_mrr", "medoid_mrr")]
    (group,) = chart_groups(names, {"val.hard.null_mrr": "pair analogy"})
    assert group.matters
    assert [line.label for line in group.lines] == ["model", "pair analogy", "blind", "medoid"]


def test_a_lonely_member_is_called_by_its_own_name() -> None:
    (group,) = chart_groups(["rank.target"])
    assert (group.key, group.title) == ("rank", "rank.target")


def test_a_large_family_is_spread_over_charts_of_four() -> None:
    groups = chart_groups(f"moved.part{number}" for number in range(10))
    assert [len(group.lines) for group in groups] == [4, 4, 2]
    assert len({group.key for group in groups}) == 3


def test_a_metric_that_is_called_as_a_family_has_a_chart_of_its_own() -> None:
    groups = chart_groups(["moved", "moved.encoder"])
    assert [group.names for group in groups] == [("moved.encoder",), ("moved",)]
    assert groups[0].key != groups[1].key


def test_several_runs_get_a_chart_for_each_metric_that_the_model_has() -> None:
    keys = [group.key for group in split(chart_groups(KNOWN))]
    assert {"rank.context", "rank.target"} < set(keys)
    assert "val.retrieval.null_mrr" not in keys


@settings(deadline=None, max_examples=60)
@given(st.sets(st.sampled_from(KNOWN) | st.text(min_size=1, max_size=12), max_size=30))
def test_every_metric_stands_in_exactly_one_chart_and_keys_are_unique(names: set[str]) -> None:
    groups = chart_groups(sorted(names))
    shown = [name for group in groups for name in group.names]
    assert sorted(shown) == sorted(names - {"step", "epoch"})
    assert len({group.key for group in groups}) == len(groups)


def test_a_sole_loss_has_one_chart_with_validation_and_the_total_needs_none() -> None:
    names = ["loss.total", "loss.info_nce", "loss.info_nce.raw", "val.loss.total", "val.loss.info_nce.raw", "grad.norm"]
    groups = {group.key: group for group in chart_groups(names)}
    assert [key for key, group in groups.items() if group.matters] == ["loss.info_nce", "grad.norm"]
    assert [(line.name, line.label) for line in groups["loss.info_nce"].lines] == [
        ("loss.info_nce", "training"),
        ("val.loss.total", "validation"),
    ]
    assert sorted(name for group in groups.values() for name in group.names) == sorted(names)
    assert {"loss.total", "val.loss.info_nce.raw"} < groups.keys()


def test_a_quantizer_that_is_none_adds_nothing_to_the_total() -> None:
    names = ["loss.total", "loss.info_nce", "loss.quantizer", "val.loss.total"]
    groups = chart_groups(names, zero=["loss.quantizer", "loss.quantizer.raw"])
    assert groups[0].names == ("loss.info_nce", "val.loss.total")


def test_of_several_losses_the_total_has_its_chart() -> None:
    names = ["loss.total", "loss.info_nce", "loss.quantizer", "val.loss.total", "val.loss.info_nce.raw"]
    shown = [group.key for group in chart_groups(names) if group.matters]
    assert shown == ["loss.info_nce", "loss.quantizer", "loss.total", "val.loss.info_nce.raw"]


def test_a_loss_without_a_total_is_alone() -> None:
    assert [group.names for group in chart_groups(["loss.info_nce", "val.loss.total"])] == [
        ("loss.info_nce",),
        ("val.loss.total",),
    ]
