"""Recipes of strangers take no longer than ours: what is deep, long or many is refused before it is worked on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from jepa_core.recipes.bounded_toml import DEEPEST, MOST_ENTRIES, MOST_KEYS, TooMuchError, parsed_toml
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.layers import MAX_BYTES, MOST_FLAGS
from tests.recipes.writing_recipes import MINIMAL, load, write

ROOM = MAX_BYTES - len(MINIMAL) - 200


def repeated(unit: str, *, before: str = "", after: str = "") -> str:
    return before + unit * (ROOM // len(unit)) + after


def numbered(unit: str) -> str:
    """As many as there is room for, each with a name of its own."""
    longest = len(unit.format(ROOM))
    return "".join(unit.format(number) for number in range(ROOM // longest))


TOO_MUCH = {
    "a dotted key": (repeated(".a", before="a", after=" = 1\n"), "a dotted key of more than 16 parts"),
    "a dotted key of quoted ones": (repeated(".''", before="''", after=" = 1\n"), "a dotted key of more than 16 parts"),
    "a dotted header": (repeated(".a", before="[a", after="]\n"), "a dotted key of more than 16 parts"),
    "a dotted key in a table": ("x = {a" + ".a" * 300 + " = 1}\n", "a dotted key of more than 16 parts"),
    "lists in lists": ("x = " + "[" * 9000 + "]" * 9000 + "\n", "lists or tables nested more than 32 deep"),
    "tables in tables": ("x = " + "{a = " * 200 + "1" + "}" * 200 + "\n", "lists or tables nested more than 32 deep"),
    "keys": (numbered("k{} = 1\n"), "more than 4000 keys, lists and values"),
    "values": (repeated("1,", before="x = [", after="]\n"), "more than 4000 keys, lists and values"),
    "tables": (repeated("[[x]]\n"), "more than 4000 keys, lists and values"),
}


@pytest.mark.parametrize(("hostile", "said"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_no_recipe_has_is_one_fault_at_its_place(tmp_path: Path, hostile: str, said: str) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        load(write(tmp_path, "hostile", hostile + MINIMAL))
    (fault,) = caught.value.faults
    assert fault.message == f"{said}, the most a recipe may have"
    assert fault.excerpt is not None
    assert fault.where == f"{tmp_path / 'hostile.toml'}:{fault.excerpt.line}:{fault.excerpt.column}"


@pytest.mark.parametrize(
    "flag",
    ["a" + ".a" * 30_000 + "=1", "x={a" + ".a" * 30_000 + "=1}", "x=" + "[" * 60_000, "train.epochs=" + "1" * 60_000],
    ids=["key", "key in the value", "depth", "digits"],
)
def test_flags_are_bounded_too(tmp_path: Path, flag: str) -> None:
    with pytest.raises(RecipeFaultsError) as caught:
        load(write(tmp_path, "mine", MINIMAL), flag)
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize("flags", [["a=1"] * (MOST_FLAGS + 1), ["name=" + "a" * 40_000] * 2])
def test_there_are_only_so_many_flags(tmp_path: Path, flags: list[str]) -> None:
    with pytest.raises(RecipeFaultsError, match="more than 1000 flags, or 64 KiB of them: write a recipe"):
        load(write(tmp_path, "mine", MINIMAL), *flags)


@pytest.mark.parametrize("table", ["augmentation", "losses", "nulls", "observers"])
def test_there_are_only_so_many_components_of_a_family(tmp_path: Path, table: str) -> None:
    text = "".join(f"[{table}.a{number}]\n" for number in range(1500))
    with pytest.raises(RecipeFaultsError) as caught:
        load(write(tmp_path, "many", MINIMAL + text))
    assert "tables, and there may be 64" in str(caught.value)
    assert len(caught.value.faults) < 200


@pytest.mark.parametrize(
    "put",
    [
        lambda key: f'x = "{key}"\n', lambda key: f"x = '{key}'\n", lambda key: f"# {key}\n",
        lambda key: f'x = """it"s "" {key} \\""""\n', lambda key: f"x = '''it's {key}'''\n",
        lambda key: f'x = "\\"{key}"\n',
    ],
)  # fmt: skip
def test_what_stands_in_a_text_counts_as_one_value(put: Callable[[str], str]) -> None:
    parsed_toml(put(".".join("a" * 5000) + "[" * 100 + "," * 5000))


def test_the_bounds_are_the_last_that_pass() -> None:
    for text in (
        ".".join("a" * MOST_KEYS) + " = 1", "x = " + "[" * DEEPEST + "]" * DEEPEST,
        "x = [" + "1," * (MOST_ENTRIES - 2) + "]",
    ):  # fmt: skip
        parsed_toml(text)
        with pytest.raises(TooMuchError):
            parsed_toml(
                text.replace("a", "a.a", 1).replace("[", "[[", 1).replace("]", "]]", 1).replace("1,", "1,1,", 1)
            )


@pytest.mark.parametrize("unit", ['"', "'", '"""', "'''", '"\\', "a.", "a .", "\\", "a ", '""', "[", "#"])
def test_a_text_of_one_sign_takes_no_time(unit: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parsed_toml(repeated(unit) + "\n\\")
