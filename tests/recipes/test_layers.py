"""Files and flags before they are merged: syntax, size, what may be extended."""

from __future__ import annotations

from pathlib import Path

import pytest

from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import MAX_BYTES, override_layers, read_file_layers
from jepa_core.recipes.merging import MergedRecipe
from tests.recipes.writing_recipes import MINIMAL, faults_of, load, only_fault, report_of, write


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[data]\nkind =\n", "2:7"),
        ('[data]\nkind = "a"\nkind = "b"\n', "3:11"),
        ("[train\nepochs = 3\n", "1:7"),
        ("a = 1\nb = [1,\n", "2:"),
        ('ä = "\n', "1:1"),
    ],
)
def test_a_syntax_error_looks_like_any_other_fault(tmp_path: Path, text: str, place: str) -> None:
    path = write(tmp_path, "small", text)
    fault = only_fault(path)
    assert fault.where.startswith(f"{path}:{place}")
    assert fault.message.startswith("not TOML: ")
    assert "^" in report_of(path)


def test_a_syntax_error_on_a_line_with_windows_endings_has_its_place(tmp_path: Path) -> None:
    path = tmp_path / "small.toml"
    path.write_bytes(b"[data]\r\nkind = grids\r\n")
    fault = only_fault(path)
    assert fault.where == f"{path}:2:8"
    assert fault.excerpt is not None
    assert fault.excerpt.text == "kind = grids"


def test_a_faulty_parent_says_who_extends_it(tmp_path: Path) -> None:
    write(tmp_path, "parent", "[data\n")
    child = write(tmp_path, "child", 'extends = "parent.toml"\n')
    fault = only_fault(child)
    assert fault.where == f"{tmp_path}/parent.toml:1:6"
    assert fault.notes == (f"extended by {child}",)


def test_a_file_may_be_of_64_kib_and_no_larger(tmp_path: Path) -> None:
    filled = MINIMAL + "#" * (MAX_BYTES - len(MINIMAL))
    assert load(write(tmp_path, "small", filled)).recipe.name == "small"
    assert only_fault(write(tmp_path, "large", filled + "#")).message.startswith("larger than 64 KiB")


def test_what_is_no_text_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"name = 'a'\ndescription = '\xe4'\n")
    assert only_fault(tmp_path / "latin.toml").message == "not UTF-8, first in line 2"
    assert only_fault(tmp_path).message == "cannot be read: it is a folder"
    assert only_fault(tmp_path / "absent.toml").message == "no such file"


def test_values_nested_without_end_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "deep", "a = " + "[" * 20_000 + "]" * 20_000)
    assert only_fault(path).message == "lists or tables nested more than 32 deep, the most a recipe may have"


def test_a_number_of_thousands_of_digits_is_a_fault(tmp_path: Path) -> None:
    fault = only_fault(write(tmp_path, "long", "a = " + "9" * 5_000))
    assert fault.message.startswith("not TOML: ")


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ('"absent.toml"', "no such file"),
        ('"../absent.toml"', "no such file"),
        ('"\\u0000"', "no such file"),
        ('"loop.toml"', "this is a link to loop.toml, which leads nowhere"),
        ('"folder.toml"', "this is a folder"),
        ('"../outside.toml"', "a recipe only extends files in its own folder or below: "),
        ('"/etc/passwd"', "a recipe only extends files in its own folder or below: "),
        ('"link.toml"', "a recipe only extends files in its own folder or below: "),
        ('"child.toml"', "the files extend each other in a circle: "),
        ("3", "expected the path of another recipe as text"),
        ('""', "expected the path of another recipe as text"),
    ],
)
def test_what_may_not_be_extended_is_a_fault_at_its_line(tmp_path: Path, extends: str, message: str) -> None:
    folder = tmp_path / "recipes"
    folder.mkdir()
    write(tmp_path, "outside", MINIMAL)
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "folder.toml").mkdir()
    (folder / "link.toml").symlink_to(tmp_path / "outside.toml")
    fault = only_fault(write(folder, "child", f"\nextends = {extends}\n"))
    assert fault.where == f"{folder}/child.toml:2:11"
    assert fault.message.startswith(message)


def test_a_missing_parent_is_told_with_the_recipes_that_are_there(tmp_path: Path) -> None:
    write(tmp_path, "parent", MINIMAL)
    fault = only_fault(write(tmp_path, "child", 'extends = "parnt.toml"\n'))
    beside, shipped = fault.notes
    assert beside == "recipes beside it: parent.toml"
    assert "quickstart" in shipped


def test_a_circle_of_several_files_is_found(tmp_path: Path) -> None:
    write(tmp_path, "a", 'extends = "b.toml"\n')
    write(tmp_path, "b", 'extends = "c.toml"\n')
    write(tmp_path, "c", 'extends = "a.toml"\n')
    fault = only_fault(tmp_path / "a.toml")
    assert fault.where == f"{tmp_path}/c.toml:1:11"
    assert [Path(part).name for part in fault.message.partition(": ")[2].split(" → ")] == [
        "a.toml",
        "b.toml",
        "c.toml",
        "a.toml",
    ]


def test_the_furthest_ancestor_comes_first(tmp_path: Path) -> None:
    write(tmp_path, "a", "[train]\nseed = 1\n")
    write(tmp_path, "b", 'extends = "a.toml"\n')
    layers = read_file_layers(write(tmp_path, "c", 'extends = "b.toml"\n'))
    assert [Path(layer.where).name for layer in layers] == ["a.toml", "b.toml", "c.toml"]


@pytest.mark.parametrize(
    "flag", ["train.epochs", "=3", "train..epochs=3", "a b=3", "train\n.epochs=3", "#=3", "a.b]=1"]
)
def test_a_flag_that_is_no_assignment_is_a_fault(tmp_path: Path, flag: str) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL), flag)
    assert fault.where == f"--set {flag}"
    assert fault.message.startswith("expected KEY=VALUE")


def test_extends_cannot_be_set_by_a_flag(tmp_path: Path) -> None:
    assert "extends" in only_fault(write(tmp_path, "small", MINIMAL), "extends=other.toml").message


def test_a_flag_cannot_bring_in_more_than_its_key(tmp_path: Path) -> None:
    faults = faults_of(write(tmp_path, "small", MINIMAL), "train.seed=1\n[data]\nkind='other_grids'")
    assert [fault.key for fault in faults] == ["train.seed"]


@pytest.mark.parametrize("value", ["maybe", "[1,", "3x", ""])
def test_bare_text_is_text_where_a_number_belongs(tmp_path: Path, value: str) -> None:
    fault = only_fault(write(tmp_path, "small", MINIMAL), f"train.seed={value}")
    assert fault.message == f'expected a whole number ≥ 0, got the text "{value}"'


def test_an_empty_list_of_rules_drops_those_there_are(tmp_path: Path) -> None:
    rules = '\n[[watch.must]]\nid = "a"\nwhen = "loss.total < 9"\n[[watch.nice]]\nid = "b"\nwhen = "loss.total < 8"\n'
    path = write(tmp_path, "child", f"{MINIMAL}{rules}")
    merged = MergedRecipe([*read_file_layers(path), *override_layers(["watch.must=[]"])]).table
    assert merged["watch"]["must"] == []
    assert [rule["id"] for rule in merged["watch"]["nice"]] == ["b"]


def test_the_lost_recipe_of_a_run_is_told_what_to_do_and_no_fields(tmp_path: Path) -> None:
    (tmp_path / "status.json").touch()
    with pytest.raises(RecipeFaultsError) as refused:
        load(tmp_path / "recipe.toml")
    (fault,) = refused.value.faults
    assert fault.message == (
        "no such file, and the run cannot go on without it. Put it back from a copy, or begin anew: jepa run RECIPE"
    )
    assert str(refused.value).endswith("\n\nNothing was run.")


def test_a_flag_that_is_at_fault_is_told_where_the_fields_are(tmp_path: Path) -> None:
    with pytest.raises(RecipeFaultsError, match=r"Nothing was run\. Fields and ranges: jepa recipe schema$"):
        load(write(tmp_path, "small", MINIMAL), "train.epochs")
