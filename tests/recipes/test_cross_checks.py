"""Rules against metrics, a rollback's change against the recipe, recipes against the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes.writing_recipes import MINIMAL, faults_of, load, only_fault, write

RULE = '[[watch.must]]\nid = "a"\nwhen = "{}"\n'


@pytest.mark.parametrize(
    "when",
    [
        "vq.usage > 0.1",
        "temperature < 0.2",
        "loss.contrast.raw < 3 and val.loss.contrast.raw < 3",
        "moved.contrast > 0 and moved.aggregator > 0",
        "loss.quantizer < 1",
        "val.vq.usage > 0.1",
        "val.retrieval.mrr > 0.8 * baseline.val.retrieval.mrr",
        "val.retrieval.mrr > 0.8 * best(val.retrieval.mrr) and loss.total < 2 * best(loss.total)",
    ],
)
def test_a_rule_may_name_what_the_recipe_declares(tmp_path: Path, when: str) -> None:
    (rule,) = load(write(tmp_path, "small", MINIMAL + RULE.format(when))).recipe.watch.must
    assert rule.when == when


@pytest.mark.parametrize(
    ("when", "message", "marked"),
    [
        ("vq.usag > 0.1", 'no metric of this recipe is named vq.usag. Did you mean "vq.usage"?', "vq.usag"),
        ("lr > baseline.loss.relational", "no metric of this recipe is named loss.relational.", "loss.relational"),
        ("lr > lambda: 3", None, None),
        ("fired('b')", "no abort, rollback or scenario rule has the id 'b'.", "b"),
        ("best(grad.norm) > 1", "best(grad.norm) has no meaning: neither higher nor lower is better.", "grad.norm"),
    ],
)
def test_a_rule_at_fault_is_marked_where_it_is(
    tmp_path: Path, when: str, message: str | None, marked: str | None
) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + RULE.format(when)))
    assert fault.key == "watch.must[a].when"
    assert fault.excerpt is not None
    assert fault.excerpt.line == 10
    if message is not None:
        assert fault.message.startswith(message)
        start = fault.excerpt.column - 1
        assert fault.excerpt.text[start : start + fault.excerpt.width] == marked


def test_two_rules_of_one_id_in_one_file_are_a_fault_at_the_second(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + RULE.format("lr > 0") + RULE.format("lr > 1")))
    assert fault.where.endswith("small.toml:12:6")
    assert fault.message == "another rule of watch.must has this id already"


@pytest.mark.parametrize(
    "name", ["", "  ", " a", "a ", "a  # b", "a\\tb", "a\\nb", "a\\u202eb", "a\\u00a0b", 101 * "a"]
)
@pytest.mark.parametrize("kind", ["must", "rollback"])
def test_an_id_by_which_nobody_could_call_the_rule_is_a_fault(tmp_path: Path, kind: str, name: str) -> None:
    text = f'\n[[watch.{kind}]]\nid = "{name}"\nwhen = "lr > 0"\n'
    fault = only_fault(write(tmp_path, "small", MINIMAL + text))
    assert fault.where.endswith("small.toml:10:6")
    assert fault.key.startswith(f"watch.{kind}[")
    assert fault.key.endswith("].id")
    assert "not printed as itself" in fault.message or "is empty" in fault.message or "more than 100" in fault.message


@pytest.mark.parametrize("name", ["a b # c", "it's", "--to 5", "KEY=VALUE", "Rückfall", 100 * "a"])
def test_an_id_may_be_anything_that_is_typed_as_it_reads(tmp_path: Path, name: str) -> None:
    text = f'\n[[watch.must]]\nid = "{name}"\nwhen = "lr > 0"\n'
    assert load(write(tmp_path, "small", MINIMAL + text)).recipe.watch.must[0].id == name


@pytest.mark.parametrize(("after", "until"), [(3, 3), (5, 3.5)])
def test_a_rule_that_ends_before_it_begins_is_a_fault(tmp_path: Path, after: float, until: float) -> None:
    text = MINIMAL + RULE.format("lr > 0") + f"after_epoch = {after}\nuntil_epoch = {until}\n"
    fault = only_fault(write(tmp_path, "small", text))
    assert fault.key == "watch.must[a].until_epoch"
    assert fault.message == f"no row is later than epoch {after:g} and not later than {until:g}"


def test_a_rule_may_be_judged_between_two_epochs(tmp_path: Path) -> None:
    text = MINIMAL + RULE.format("lr > 0") + "after_epoch = 3\nuntil_epoch = 3.5\n"
    assert load(write(tmp_path, "small", text)).recipe.watch.must[0].until_epoch == 3.5


@pytest.mark.parametrize("kind", ["abort", "rollback"])
def test_an_alarm_at_one_epoch_cannot_wait_for_several_evaluations(tmp_path: Path, kind: str) -> None:
    alarm = f'[[watch.{kind}]]\nid = "a"\nwhen = "lr > 1"\nat_epoch = 15\nfor = '
    fault = only_fault(write(tmp_path, "small", MINIMAL + alarm + "3\n"))
    assert fault.key == f"watch.{kind}[a].for"
    assert fault.where.endswith("small.toml:12:7")
    assert fault.message.startswith("at_epoch judges a single validation, so 3 in a row never happen")
    load(write(tmp_path, "small", MINIMAL + alarm + "1\n"))


def test_an_abort_and_a_rollback_do_not_share_an_id(tmp_path: Path) -> None:
    alarms = "".join(f'[[watch.{kind}]]\nid = "a"\nwhen = "lr > 1"\n' for kind in ("rollback", "abort"))
    fault = only_fault(write(tmp_path, "small", MINIMAL + alarms))
    assert fault.key == "watch.rollback[a].id"
    assert fault.message == "a rule of watch.abort has this id already, and fired('a') would mean either"


def test_a_parents_rule_about_what_a_child_removed_is_a_fault_in_the_parent(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + RULE.format("temperature > 0.1"))
    child = 'extends = "parent.toml"\n[losses.contrast]\nkind = "relational"\n'
    fault = only_fault(write(tmp_path, "child", child))
    assert fault.where == f"{tmp_path}/parent.toml:10:9"


def test_rules_are_checked_although_an_engine_table_is_at_fault(tmp_path: Path) -> None:
    text = MINIMAL + "[train]\nepochs = 0\n" + RULE.format("vq.usag > 0")
    assert [fault.key for fault in faults_of(write(tmp_path, "small", text))] == ["train.epochs", "watch.must[a].when"]


def test_metrics_are_not_judged_while_the_component_that_declares_them_is_at_fault(tmp_path: Path) -> None:
    text = MINIMAL + "low = 0\n" + RULE.format("temperature > 0")
    assert [fault.key for fault in faults_of(write(tmp_path, "small", text))] == ["losses.contrast.low"]


def test_early_stopping_needs_a_metric_that_is_reported(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + "[watch.early_stop]\npatience = 3\n"))
    assert fault.key == "watch.early_stop.metric"
    assert fault.message.startswith("no metric of this recipe is named val.loss.info_nce.raw.")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vq.usag", 'no metric of this recipe is named vq.usag. Did you mean "vq.usage"?'),
        # What has no direction is no help.
        ("grad.norms", "no metric of this recipe is named grad.norms."),
        ("grad.norm", "grad.norm cannot be judged: neither higher nor lower is better"),
        ("temperature", "temperature cannot be judged: neither higher nor lower is better"),
        ("val.retrieval.null.equal_cells.mrr", "val.retrieval.null.equal_cells.mrr cannot be judged: neither"),
    ],
)
def test_what_is_judged_is_reported_and_has_a_direction(tmp_path: Path, name: str, message: str) -> None:
    judge = MINIMAL + f'[watch]\njudge = ["val.retrieval.mrr", "{name}"]\n'
    fault = only_fault(write(tmp_path, "judge", judge))
    assert (fault.key, fault.where) == ("watch.judge[1]", f"{tmp_path}/judge.toml:9:31")
    assert fault.excerpt is not None
    assert fault.excerpt.width == len(f'"{name}"')
    assert fault.message.startswith(message)
    stop = MINIMAL + f'[watch.early_stop]\npatience = 3\nmetric = "{name}"\n'
    fault = only_fault(write(tmp_path, "stop", stop))
    assert (fault.key, fault.where) == ("watch.early_stop.metric", f"{tmp_path}/stop.toml:10:10")
    assert fault.message.startswith(message)


@pytest.mark.parametrize("name", ["loss.total", "vq.perplexity", "val.loss.contrast.raw", "val.rank.context"])
def test_whatever_has_a_direction_may_be_judged_and_stopped_on(tmp_path: Path, name: str) -> None:
    text = MINIMAL + f'[watch]\njudge = ["{name}"]\n[watch.early_stop]\npatience = 3\nmetric = "{name}"\n'
    watch = load(write(tmp_path, "small", text)).recipe.watch
    assert watch.early_stop is not None
    assert (watch.judge, watch.early_stop.metric) == ((name,), name)


def test_a_metric_is_judged_by_once(tmp_path: Path) -> None:
    text = MINIMAL + '[watch]\njudge = ["loss.total", "val.retrieval.mrr", "loss.total"]\n'
    fault = only_fault(write(tmp_path, "small", text))
    assert (fault.key, fault.message) == ("watch.judge[2]", "loss.total stands in watch.judge already")


def test_a_name_of_nothing_is_told_as_such(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + '[watch.early_stop]\npatience = 3\nmetric = ""\n'))
    assert fault.message.startswith('no metric of this recipe is named "".')


def test_one_fault_of_watch_hides_no_other(tmp_path: Path) -> None:
    text = (
        MINIMAL
        + '[watch]\njudge = ["vq.usag"]\nmax_rollbacks = -1\nnope = 1\n'
        + '[watch.early_stop]\nmetric = "lr"\npatience = 3\n'
        + RULE.format("epochh > 1")
    )
    keys = [fault.key for fault in faults_of(write(tmp_path, "small", text))]
    assert sorted(keys) == [
        "watch.early_stop.metric",
        "watch.judge[0]",
        "watch.max_rollbacks",
        "watch.must[a].when",
        "watch.nope",
    ]


def test_by_default_what_a_recipe_reports_of_the_usual_is_judged(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "small", MINIMAL))
    assert loaded.recipe.watch.judge == ("val.retrieval.mrr", "val.loss.info_nce.raw")
    assert load(write(tmp_path, "resolved", loaded.resolved())).recipe.watch == loaded.recipe.watch


def test_nothing_to_judge_by_is_a_fault_and_a_flag_is_marked(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + "[watch]\njudge = []\n"))
    assert (fault.key, fault.message) == (
        "watch.judge",
        "name at least one metric, or leave judge out for the usual ones",
    )
    flag = "watch.judge=['lr']"
    assert only_fault(write(tmp_path, "small", MINIMAL), flag).where == f"--set {flag}"


def test_what_is_judged_is_not_held_against_components_that_are_at_fault(tmp_path: Path) -> None:
    text = MINIMAL + 'low = 0\n[watch]\njudge = ["temperatur"]\n'
    assert [fault.key for fault in faults_of(write(tmp_path, "small", text))] == ["losses.contrast.low"]


@pytest.mark.parametrize(
    ("baseline", "message"),
    [
        ("", "give exactly one of recipe, run and figures, not none"),
        ('recipe = "a"\nrun = "b"\n', "give exactly one of recipe, run and figures, not recipe and run"),
        ('figures = { "val.retrieval.mrr" = 1 }\n', "figures are a baseline only for the data they were measured on"),
        ('data = "d"\nfigures = { "val.retrieval.mr" = 1 }\n', "no metric of this recipe is named val.retrieval.mr."),
        ("figures = { val.retrieval.mrr = 1 }\n", "expected a number, got a table"),
    ],
)
def test_a_baseline_is_given_in_exactly_one_way(tmp_path: Path, baseline: str, message: str) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + "[watch.baseline]\n" + baseline))
    assert fault.message.startswith(message)


ROLLBACK = '[[watch.rollback]]\nid = "a"\nwhen = "lr > 1"\n{}\n'


def test_a_rollbacks_change_must_make_a_recipe(tmp_path: Path) -> None:
    change = 'set = { aggregator = { kind = "men" }, train = { epoch = 3 } }'
    faults = faults_of(write(tmp_path, "small", MINIMAL + ROLLBACK.format(change)))
    assert [(fault.key, fault.message) for fault in faults] == [
        ("watch.rollback[a].set.aggregator.kind", 'no aggregator of this name. Did you mean "mean"?'),
        ("watch.rollback[a].set.train.epoch", 'no field of this name in train. Did you mean "epochs"?'),
    ]
    assert faults[0].where.endswith("small.toml:11:31")


def test_a_rollback_cannot_change_the_data_it_goes_on_with(tmp_path: Path) -> None:
    change = "set = { data = { num_sequences = 7, side = 9 }, aggregator = { kind = 'mean' } }"
    faults = faults_of(write(tmp_path, "small", MINIMAL + ROLLBACK.format(change)))
    assert [fault.key for fault in faults] == [
        "watch.rollback[a].set.data.num_sequences",
        "watch.rollback[a].set.data.side",
    ]
    assert all("a rollback goes on with the data that its run began with" in fault.message for fault in faults)
    # What is for a new run may be: a scenario takes nothing back.
    scenario = (MINIMAL + ROLLBACK.format("set = { data = { kind = 'other_grids' } }")).replace("rollback", "scenario")
    assert load(write(tmp_path, "other", scenario)).recipe.watch.scenario[0].id == "a"


def test_a_scenarios_change_must_make_a_recipe(tmp_path: Path) -> None:
    text = ROLLBACK.replace("rollback", "scenario").format("set = { train = { epoch = 3 } }")
    assert only_fault(write(tmp_path, "small", MINIMAL + text)).key == "watch.scenario[a].set.train.epoch"


def test_a_rollbacks_change_drops_the_old_kinds_fields_too(tmp_path: Path) -> None:
    text = MINIMAL + '[aggregator]\nkind = "attention"\nheads = 4\n'
    change = 'set = { aggregator = { kind = "mean" } }'
    assert load(write(tmp_path, "small", text + ROLLBACK.format(change))).recipe.watch.rollback[0].id == "a"


def test_a_fault_of_the_recipe_is_not_repeated_for_every_rollback(tmp_path: Path) -> None:
    text = MINIMAL + "[train]\nepochs = 0\n" + ROLLBACK.format("set = { train = { seed = 1 } }")
    assert [fault.key for fault in faults_of(write(tmp_path, "small", text))] == ["train.epochs"]


def test_a_rollback_to_another_recipe_names_one_that_is_there(tmp_path: Path) -> None:
    write(tmp_path, "gentle", MINIMAL)
    load(write(tmp_path, "small", MINIMAL + ROLLBACK.format('use = "gentle"')))
    fault = only_fault(write(tmp_path, "small", MINIMAL + ROLLBACK.format('use = "gentel"')))
    assert fault.key == "watch.rollback[a].use"
    assert 'Did you mean "gentle"?' in fault.message


def test_a_rollbacks_change_extends_nothing(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + ROLLBACK.format('set = { extends = "a.toml" }')))
    assert fault.key == "watch.rollback[a].set.extends"


def test_a_rollback_has_a_change_or_a_recipe_but_not_both(tmp_path: Path) -> None:
    both = 'use = "small"\nset = { train = { seed = 1 } }'
    assert only_fault(write(tmp_path, "small", MINIMAL + ROLLBACK.format(both))).message.startswith("give either")


@pytest.mark.parametrize(
    ("more", "which"), [("", "the only loss"), ('[losses.other]\nkind = "relational"\nweight = 0.0\n', "every loss")]
)
def test_a_recipe_whose_losses_all_have_weight_0_would_train_nothing(tmp_path: Path, more: str, which: str) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + "weight = 0\n" + more))
    assert fault.key == "losses.contrast.weight"
    assert fault.message == f"{which} has weight 0, so that nothing would be trained: give one a weight above 0"


def test_a_loss_of_weight_0_may_stand_beside_one_that_trains(tmp_path: Path) -> None:
    beside = '[losses.other]\nkind = "relational"\nweight = 0.1\n'
    losses = load(write(tmp_path, "small", MINIMAL + "weight = 0\n" + beside)).recipe.losses
    assert [entry.weight for entry in losses.values()] == [0.0, 0.1]


def test_a_rollback_cannot_switch_off_the_only_loss(tmp_path: Path) -> None:
    rollback = '[[watch.rollback]]\nid = "b"\nwhen = "lr > 1"\nset = { losses = { contrast = { weight = 0.0 } } }\n'
    fault = only_fault(write(tmp_path, "small", MINIMAL + rollback))
    assert fault.message.startswith("the only loss has weight 0")
