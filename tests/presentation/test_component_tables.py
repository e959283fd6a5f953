"""Tables of components, with plugins that are broken and text that is hostile."""

from __future__ import annotations

from rich.console import Console, RenderableType

from jepa_core.presentation.component_tables import component_view, components_table
from jepa_core.registry import BrokenPlugin, Component
from tests.recipes.small_registry import small_registry


def shown(renderable: RenderableType) -> list[str]:
    """What a wide console prints, with single spaces."""
    console = Console(width=200, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(renderable)
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def component(family: str, name: str) -> Component:
    """One of the small registry's."""
    found = small_registry().get(family, name)
    assert found is not None
    return found


def test_a_family_is_named_once_and_broken_plugins_come_last_with_a_remedy() -> None:
    broken = BrokenPlugin(
        distribution="jepa-fancy",
        version="1.3",
        entry_point="fancy",
        cause="ImportError: no [bold]module\x1b[2J",
        remedy="pip install faiss-cpu",
    )
    lines = shown(components_table(list(small_registry().family("aggregator").values()), [broken]))
    assert lines == [
        "family name what from",
        "aggregator attention Attention over time jepa-core 0.1.0",
        "mean Mean over time jepa-core 0.1.0",
        "recency Weights that fall with age jepa-recency 0.2",
        "broken jepa-fancy 1.3 ImportError: no [bold]module␛[2J pip install faiss-cpu",
    ]


def test_a_component_is_shown_with_defaults_units_and_ranges() -> None:
    lines = shown(component_view(component("dataset", "grids")))
    place = next(number for number, line in enumerate(lines) if line.startswith("place auto one of auto, device, host"))
    assert lines[:place] == [
        "dataset grids · Grids from a file · jepa-core 0.1.0",
        "",
        "field default unit range meaning",
        "path – a path as text file to read",
        "context_length 3 grids ≥ 1 grids before the target",
    ]
    assert lines[-5:] == ["", "in a recipe:", "[data]", 'kind = "grids"', ""]


def test_a_loss_is_named_by_its_table_and_shows_its_metrics() -> None:
    lines = shown(component_view(component("loss", "contrast")))
    assert "temperature divisor of similarities" in lines
    assert lines[-4:-1] == ["in a recipe:", "[losses.contrast]", "weight = 1.0"]


def test_a_required_field_says_so_and_no_fields_too() -> None:
    assert any(line.startswith("codes required ") for line in shown(component_view(component("quantizer", "codes"))))
    assert "It has no fields." in shown(component_view(component("aggregator", "mean")))
