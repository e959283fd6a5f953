"""Whatever stands in a file or a flag: it is a recipe or it has faults, and nothing else happens."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jepa_core.recipes import layout
from jepa_core.recipes.engine_tables import all_keys
from jepa_core.recipes.faults import RecipeFaultsError
from jepa_core.recipes.writing import recipe_to_toml
from tests.recipes.small_registry import FAMILIES
from tests.recipes.test_writing import VALUES
from tests.recipes.writing_recipes import MINIMAL, load, write

KINDS = [config.kind for configs in FAMILIES.values() for config in configs]
WORDS = ["id", "when", "set", "use", "figures", "patience", "kind", "weight", *KINDS, *layout.RULE_LISTS]
KEYS = st.sampled_from([*all_keys(), *WORDS, "epochs", "levels", "shifts", "by"])
PIECES = st.recursive(
    st.sampled_from([*KINDS, "lr > 1", "fired('a')", "vq.usage <"]) | VALUES,
    lambda inner: st.dictionaries(KEYS, inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=10,
)


def read(text: bytes, *overrides: str) -> None:
    """Load the text as a recipe, whatever comes of it; every report can be shown."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), "any", "")
        path.write_bytes(text)
        report = ""
        try:
            load(path, *overrides)
        except RecipeFaultsError as error:
            report = str(error)
        is_text = "not UTF-8" not in report
        assert not report or report.endswith(("schema", *KINDS) if is_text else "Nothing was run.")


@given(st.dictionaries(KEYS, PIECES, max_size=6))
@settings(max_examples=150, deadline=None)
def test_any_table(table: dict[str, Any]) -> None:
    read(recipe_to_toml(table).encode())


@given(st.binary(max_size=60), st.integers(0, len(MINIMAL)))
@settings(max_examples=150, deadline=None)
def test_any_bytes_within_a_recipe(junk: bytes, place: int) -> None:
    read(MINIMAL.encode()[:place] + junk + MINIMAL.encode()[place:])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.text(max_size=10))
@settings(max_examples=100, deadline=None)
def test_any_flag(key: str, value: str) -> None:
    read(MINIMAL.encode(), key, f"{key}={value}", f"data.path={value}")


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(st.dictionaries(KEYS, PIECES, max_size=6), st.binary(max_size=60), st.floats(0, 1))
@settings(max_examples=20_000, deadline=None)
def test_twenty_thousand_tables_with_junk_in_their_text(table: dict[str, Any], junk: bytes, where: float) -> None:
    text = (MINIMAL + recipe_to_toml(table)).encode()
    place = int(where * len(text))
    read(text[:place] + junk + text[place:])
