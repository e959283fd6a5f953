"""Recipes with faults: all of them at once, each with its place, what is allowed, and what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from jepa_core.errors import RecipeError
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import BrokenPlugin
from tests.recipes.small_registry import small_registry
from tests.recipes.writing_recipes import MINIMAL, faults_of, load, only_fault, report_of, write

FAULTY = """\
[data]
kind = "grids"
[aggregator]
kind = "atention"
[encoder]
kind = "cells"
[train]
seed = 3
epochs = "3"
[losses.relational]
"""

REPORT = """\
mine.toml, with what is set, has 3 faults

  mine.toml:4:8   aggregator.kind
      4 │ kind = "atention"
        │        ^^^^^^^^^^ no aggregator of this name. Did you mean "attention"?
        │                   installed: attention, mean, recency (jepa-recency 0.2)
  mine.toml:9:10  train.epochs
      9 │ epochs = "3"
        │          ^^^ expected a whole number ≥ 1, got the text "3"
  --set losses.relational.wieght=0.02
        │ no field of this name in losses.relational. Did you mean "weight"?
        │ fields: kind, weight, context_self_weight

Nothing was run. Fields and ranges: jepa plugins show attention"""


def test_all_faults_are_reported_together_as_the_screens_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mine", FAULTY)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError) as caught:
        load(Path("mine.toml"), "losses.relational.wieght=0.02")
    assert str(caught.value) == REPORT
    assert caught.value.exit_code == 2


def test_the_report_is_the_same_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "mine", FAULTY)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeFaultsError) as caught:
        load(Path("mine.toml"), "losses.relational.wieght=0.02")
    console = Console(width=200, force_terminal=True)
    with console.capture() as capture:
        console.print(caught.value)
    assert "\x1b[31m" in capture.get()
    assert console.render_str(str(caught.value), markup=False).plain.rstrip() == REPORT


WIDTH, LEVEL = (f"a whole number ≥ {least} and ≤ 9223372036854775807" for least in (1, 2))
ENCODER = MINIMAL.replace('kind = "cells"', 'kind = "cells"\n{}')


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('width = "3"', 'expected a whole number ≥ 1, got the text "3"'),
        ("width = 1.7", "expected a whole number ≥ 1, got the number 1.7"),
        ("width = 1.0", "expected a whole number ≥ 1, got the number 1.0"),
        ("width = true", "expected a whole number ≥ 1, got true"),
        ("width = 0", "expected a whole number ≥ 1, got the number 0"),
        ("width = 9223372036854775808", f"expected {WIDTH}, got the number 9223372036854775808"),
        (f"width = -1{'0' * 30}", f"expected a whole number ≥ 1, got the number -1{'0' * 30}"),
        pytest.param(f"width = {10**400}", f"expected {WIDTH}, got the number 1{'0' * 58}…", id="400 digits"),
        (f"levels = [2, 1{'0' * 30}]", f"expected {LEVEL}, got the number 1{'0' * 30}"),
        ("width = 2026-11-23", "expected a whole number ≥ 1, got the date or time 2026-11-23"),
        ("width = {}", "expected a whole number ≥ 1, got a table"),
        ("levels = 3", "expected a list of whole numbers ≥ 2, got the number 3"),
        ('levels = "88"', 'expected a list of whole numbers ≥ 2, got the text "88"'),
        ("levels = [1, 8]", "expected a list of whole numbers ≥ 2, got the list [1, 8]"),
        ("corner = [1]", "expected a list of 2: a whole number, a number, got the list [1]"),
        ("limit = 1.5", "expected a whole number or one of auto, got the number 1.5"),
        ('start = "dat"', 'expected one of data, random, got the text "dat". Did you mean "data"?'),
        ("start = 1", "expected one of data, random, got the number 1"),
        ("names = [1]", "expected a table, got the list [1]"),
        ("shifts = [3]", "expected a table, got the number 3"),
    ],
)
def test_a_value_of_the_wrong_kind_says_what_is_expected(tmp_path: Path, line: str, message: str) -> None:
    fault = only_fault(write(tmp_path, "small", ENCODER.replace("{}", line, 1)))
    assert fault.message == message
    assert fault.where.startswith(f"{tmp_path}/small.toml:6:")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("encoder.unfit", value) for value in ("nan", "inf", "true", "1", "2026-01-01")),
        ("data.path", "2026"),
        ("name", "2026"),
        ("name", "true"),
        ("description", "7"),
    ],
)
def test_a_text_that_reads_as_something_else_is_told_with_its_quotes(tmp_path: Path, key: str, value: str) -> None:
    file = write(tmp_path, "small", MINIMAL)
    typed = f"{key}={value}"
    assert only_fault(file, typed).notes[-1] == f"""as text, in quotes: '{key}="{value}"'"""
    load(file, f'{key}="{value}"')


def test_in_a_file_quotes_are_shown_alone_and_where_text_would_help_only(tmp_path: Path) -> None:
    file = write(tmp_path, "small", ENCODER.replace("{}", "unfit = nan", 1))
    assert only_fault(file).notes == ('as text, in quotes: "nan"',)
    for line in ("unfit = 2", "width = true", "unfit = [true]"):
        assert only_fault(write(tmp_path, "small", ENCODER.replace("{}", line, 1))).notes == ()
    assert only_fault(write(tmp_path, "small", MINIMAL), "encoder.words=[true]").notes == (
        'as text, in quotes: "true"',
    )


def test_a_report_is_of_the_flags_where_they_alone_are_at_fault(tmp_path: Path) -> None:
    file = write(tmp_path, "small", MINIMAL)
    assert report_of(file, "train.epochs=0").startswith("The command line has 1 fault\n\n  --set train.epochs=0\n")


def test_an_unknown_name_is_told_with_tables_apart_from_keys(tmp_path: Path) -> None:
    tables, keys = only_fault(write(tmp_path, "small", MINIMAL + "[trian]\n")).notes
    assert tables.startswith("tables: data, encoder, ")
    assert tables.endswith(", watch")
    assert keys == "keys above them: extends, name, description"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", '"0.1"', "true"])
def test_a_number_is_a_finite_number(tmp_path: Path, value: str) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + f"weight = {value}\n"))
    assert fault.key == "losses.contrast.weight"
    assert fault.message.startswith("expected a number ≥ 0, got ")


def test_faults_within_lists_and_tables_have_their_own_places(tmp_path: Path) -> None:
    line = 'shifts = [{ by = 1, wrapp = true }, { wrap = false }, { by = -1 }]\nlevels = [2, "x"]\nnames = { a = true }'
    faults = faults_of(write(tmp_path, "small", ENCODER.replace("{}", line, 1)))
    assert [(fault.where.rpartition("small.toml:")[2], fault.key, fault.message) for fault in faults] == [
        ("6:21", "encoder.shifts[0].wrapp", 'no field of this name in encoder.shifts[0]. Did you mean "wrap"?'),
        ("6:37", "encoder.shifts[1]", "by is missing; it takes a whole number ≥ 0"),
        ("6:62", "encoder.shifts[2].by", "expected a whole number ≥ 0, got the number -1"),
        ("7:14", "encoder.levels[1]", 'expected a whole number ≥ 2, got the text "x"'),
        ("8:15", "encoder.names.a", "expected a number, got true"),
    ]


def test_two_values_out_of_range_in_one_table_are_both_reported(tmp_path: Path) -> None:
    faults = faults_of(write(tmp_path, "small", MINIMAL + "[train]\nepochs = 0\nbatch_size = 0\n"))
    assert [fault.key for fault in faults] == ["train.epochs", "train.batch_size"]


def test_what_a_components_class_raises_is_a_fault_of_its_table(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + "low = 0.5\n"))
    assert (fault.key, fault.message) == ("losses.contrast", "low is 0.5, above high, 0.2")
    assert fault.component == "contrast"


def test_a_missing_field_is_reported_at_its_table(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL + '[quantizer]\nkind = "codes"\n'))
    assert fault.where.endswith("small.toml:8:2")
    assert fault.message == "codes is missing; it takes a whole number ≥ 2"
    assert fault.notes == ("size of the codebook",)


def test_a_kind_set_by_a_flag_has_its_missing_fields_reported_at_the_flag(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL), "quantizer.kind=codes")
    assert fault.where == "--set quantizer.kind=codes"
    assert fault.message.startswith("codes is missing")


def test_an_empty_recipe_misses_data_encoder_and_a_loss(tmp_path: Path) -> None:
    faults = faults_of(write(tmp_path, "small", ""))
    assert [fault.key for fault in faults] == ["data", "encoder", "losses"]
    assert faults[0].message == "kind is missing: which dataset"
    assert faults[0].notes == ("installed: grids, other_grids",)


@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (
            '"train.batch_size" = 8\n',
            "train.batch_size",
            "no table or key of this name in a recipe. Leave its quotes out: in quotes a dot leads into no table.",
        ),
        ("[trian]\n", "trian", 'no table or key of this name in a recipe. Did you mean "train"?'),
        ("train = 3\n", "train", "expected a table, got the number 3"),
        ("metrics = 3\n", "metrics", "no table or key of this name in a recipe."),
        ('quantizer = "none"\n', "quantizer", 'expected a table [quantizer], got the text "none"'),
        ("quantizer.kind = 3\n", "quantizer.kind", "expected the name of a quantizer as text, got the number 3"),
        ('name = "../x"\n', "name", "expected at most 64 of a–z, A–Z, 0–9, - and _, since runs are named so, "),
        ('name = "ø"\n', "name", "expected at most 64 of a–z, A–Z, 0–9, - and _, since runs are named so, "),
        ("name = 3\n", "name", "expected at most 64 of a–z, A–Z, 0–9, - and _, since runs are named so, "),
        ("description = 3\n", "description", "expected text, got the number 3"),
        ("losses = 3\n", "losses", "expected tables such as [losses.info_nce], got the number 3"),
        ("losses.contrast = 3\n", "losses.contrast", "expected a table [losses.contrast], got the number 3"),
        ("losses.total.kind = 'contrast'\n", "losses.total", "a loss is named by at most 32 of a–z, 0–9 and _, "),
        ("losses.nothing.weight = 1\n", "losses.nothing", "no loss of this name."),
    ],
)
def test_what_does_not_belong_into_a_recipe_is_named(tmp_path: Path, text: str, key: str, message: str) -> None:
    rest = MINIMAL if "losses" not in text else MINIMAL.replace("[losses.contrast]\n", "")
    fault = only_fault(write(tmp_path, "small", text + rest))
    assert fault.key == key
    assert fault.message.startswith(message)


def test_the_name_of_a_file_that_makes_no_good_name_is_a_fault(tmp_path: Path) -> None:
    assert only_fault(write(tmp_path, "two words", MINIMAL)).key == "name"


def test_a_fault_in_a_parent_names_the_parents_line_and_who_extends_it(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL + "[train]\nepochs = 0\n")
    child = write(tmp_path, "child", 'extends = "parent.toml"\n[train]\nseed = 1\n')
    fault = only_fault(child)
    assert fault.where == f"{tmp_path}/parent.toml:9:10"
    assert fault.notes == (f"extended by {child}",)


def test_a_plugin_that_could_not_be_loaded_is_mentioned_where_a_component_is_missing(tmp_path: Path) -> None:
    broken = BrokenPlugin(distribution="jepa-fancy", version="1.3", entry_point="fancy", cause="boom", remedy="update")
    with pytest.raises(RecipeFaultsError) as caught:
        load_recipe(
            write(tmp_path, "small", MINIMAL),
            overrides=["aggregator.kind=fancy"],
            registry=small_registry(broken=(broken,)),
        )
    assert "jepa-fancy 1.3 could not be loaded and may offer it: boom" in str(caught.value)


def test_control_characters_and_markup_are_shown_as_they_are(tmp_path: Path) -> None:
    path = write(tmp_path, "small", MINIMAL + '[train]\nepochs = "[red]\\u001b[2J\\u202e[/red]"  # \u202e\n')
    report = report_of(path)
    assert "\x1b" not in report
    assert "\u202e" not in report
    assert 'got the text "[red]␛[2J�[/red]"' in report


def test_thousands_of_faults_are_counted_and_the_first_ones_shown(tmp_path: Path) -> None:
    report = report_of(write(tmp_path, "a", "".join(f"k{i} = 1\n" for i in range(3_900)) + MINIMAL))
    assert report.startswith(f"{tmp_path}/a.toml has 3900 faults\n")
    assert "  … and 3860 more\n" in report
    assert "a.toml:40:1" in report
    assert "a.toml:41:1" not in report


def test_a_fault_in_a_long_line_is_shown_with_its_surroundings(tmp_path: Path) -> None:
    line = "levels = [" + "2, " * 500 + "1.5" + ", 3" * 500 + "]"
    report = report_of(write(tmp_path, "a", ENCODER.replace("{}", line, 1)))
    shown, carets = next(
        (line, following)
        for line, following in zip(report.splitlines(), report.splitlines()[1:], strict=False)
        if "│ …" in line
    )
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "1.5"
    assert max(map(len, report.splitlines()[2:])) < 140


@pytest.mark.parametrize(
    ("key", "power", "message"),
    [
        ("train.epochs", 400, "expected a whole number ≥ 1 and ≤ 9223372036854775807, got the number 1000"),
        ("train.seed", 20, "expected a whole number ≥ 0 and ≤ 9223372036854775807, got the number 1000"),
        ("losses.contrast.weight", 400, "and, of whole numbers, ≤ 9223372036854775807, got the number 1000"),
    ],
)
def test_a_whole_number_of_too_many_digits_is_told_the_limit(
    tmp_path: Path, key: str, power: int, message: str
) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        load(write(tmp_path, "small", MINIMAL), f"{key}={10**power}")
    (fault,) = caught.value.faults
    assert message in fault.message
