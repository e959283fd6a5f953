"""`docs/how-it-works.md` cannot rot: every file and name on it exists, and its shapes are those of the code."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch

from jepa_core.engine.data_shape import DataShape
from jepa_core.engine.dataset import built_dataset
from jepa_core.engine.network import build_parts
from jepa_core.engine.objective import Objective
from jepa_core.recipes.reading import load_recipe
from jepa_core.registry import installed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
PLACES = [
    (file, name)
    for file, names in re.findall(r"`([\w/]+\.py)`((?:,? `[\w.]+`)*)", PAGE)
    for name in re.findall(r"`([\w.]+)`", names)
]


def defined(body: list[ast.stmt], name: str) -> bool:
    """Whether a class or function, such as "Trainer.save", is defined."""
    first, _, rest = name.partition(".")
    found = [node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == first]
    return bool(found) and (not rest or defined(found[0].body, rest))


@pytest.mark.parametrize(("file", "name"), PLACES)
def test_what_the_page_names_is_in_the_code(file: str, name: str) -> None:
    assert defined(ast.parse((ROOT / file).read_text(encoding="utf-8")).body, name)


def test_every_step_of_the_page_names_a_file_and_what_to_look_for_in_it() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and ".py`" in line]
    assert len(rows) > 25
    named = [len(re.findall(r"\.py` `", row)) for row in rows]
    assert [row for row, files in zip(rows, named, strict=True) if files != row.count(".py`")] == []


def test_every_link_leads_somewhere() -> None:
    for target, heading in re.findall(r"\]\(([\w.-]*)(?:#([\w-]+))?\)", PAGE):
        text = (ROOT / "docs" / target).read_text(encoding="utf-8") if target else PAGE
        headings = [line.lstrip("# ").lower().replace(" ", "-") for line in text.splitlines() if line.startswith("#")]
        assert not heading or heading in headings


def test_the_shapes_of_the_diagram_are_those_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diagram = PAGE.partition("```text\n")[2].partition("```")[0]
    told = [tuple(map(int, shape.split(", "))) for shape in re.findall(r"\((\d+(?:, \d+)+)\)", diagram)]

    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).normal(size=(400, 128, 2))
    np.savez("springs.npz", observations=noise.astype(np.float32))
    blocks = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "docs" / "your-data.md").read_text("utf-8"), re.M | re.DOTALL)
    (springs,) = (block for block in blocks if tomllib.loads(block)["name"] == "springs")
    Path("springs.toml").write_text(springs, encoding="utf-8")
    recipe = load_recipe(Path("springs.toml"), registry=installed()).recipe
    dataset = built_dataset(recipe)
    parts = build_parts(recipe, DataShape.of(dataset), torch.device("cpu"))
    objective = Objective(parts, {name: entry.weight for name, entry in recipe.losses.items()})
    split = dataset.train.observations
    batch = split[: recipe.train.batch_size]
    forward, encoded = objective.encode(batch, {})
    context, target = batch[:, :-1], batch[:, -1]
    tensors = [
        split["values"],
        batch["values"],
        context["values"],
        context.flatten()["values"],
        target["values"],
        encoded,
        forward.context_embeddings.values,
        forward.target_tokens.values,
        forward.target,
        forward.predicted,
        forward.z_context,
    ]
    assert told == [tuple(tensor.shape) for tensor in tensors]
    assert forward.state.shape == forward.target.shape
    assert forward.z_target.shape == forward.z_context.shape
