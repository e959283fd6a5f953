"""How the run's recipe differs from another run's: its parent's, its baseline's, or one that the watcher chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
from textual.binding import Binding, BindingType
from textual.message import Message

from jepa_core.errors import RunDirectoryError
from jepa_core.recipes.difference import recipe_difference
from jepa_core.run_directory.naming import run_beside
from jepa_core.run_directory.reading import RunReader
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Span, foreign, line, wrapped
from jepa_monitor.screens.recipe_columns import change_lines
from jepa_monitor.screens.sheet import Sheet, choices, key_hints


@attrs.frozen(kw_only=True)
class OtherRecipe:
    """A recipe to compare with."""

    relation: str
    """What it is to the run: parent, baseline, or another run."""
    name: str
    """Of the run."""
    recipe: Mapping[str, Any]


def related_recipes(view: RunView) -> tuple[OtherRecipe, ...]:
    """The recipes of the parent and of the baseline, as far as they can be read. Reads files: not for the screen's
    thread."""
    return tuple(_related(view))


def _related(view: RunView) -> Iterator[OtherRecipe]:
    parent = view.status.parent if view.status else ""
    baseline = view.baseline.path if view.baseline else ""
    for relation, path in (
        ("parent", run_beside(Path(view.path), parent)),
        ("baseline", Path(baseline) if baseline else None),
    ):
        recipe = {} if path is None else _recipe_of(path)
        if path is not None and recipe:
            yield OtherRecipe(relation=relation, name=path.name, recipe=recipe)


def _recipe_of(path: Path) -> dict[str, Any]:
    try:
        return RunReader(path).recipe()
    except (RunDirectoryError, OSError, ValueError):
        return {}


def difference_content(view: RunView, others: Sequence[OtherRecipe], chosen: int, width: int) -> Content:
    """Both values of every key that differs."""
    if not others:
        words = "Nothing to compare with: no parent run and no baseline run. Mark another run in the list of runs."
        return Content(lines=wrapped(words, width, tone="dim"), foot=key_hints())
    other = others[chosen]
    changes = recipe_difference(other.recipe, view.recipe)
    names = [foreign(f"{each.relation} {each.name}", 40) for each in others]
    head = (choices(names, chosen), line()) if len(others) > 1 else ()
    lines = change_lines(changes, width, (f"{other.relation} {other.name}", "this run"))
    nothing = (line(Span("The recipes are equal.", is_bold=True)),)
    hints = (("left/right", "another recipe"),) if len(others) > 1 else ()
    return Content(
        lines=(*head, *(lines if changes else nothing)),
        title=line(Span(f"{len(changes)} {'key differs' if len(changes) == 1 else 'keys differ'}", "dim")),
        foot=key_hints(*hints),
    )


class RecipeDifferenceScreen(Sheet):
    """The recipe difference. Without `others`, the parent's and the baseline's recipes are read."""

    SHEET_TITLE: ClassVar[str] = "recipe"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "choose(1)", "next recipe"),
        Binding("left,h", "choose(-1)", "recipe before"),
    ]

    class RecipesRead(Message):
        """The related recipes were read."""

        def __init__(self, others: tuple[OtherRecipe, ...]) -> None:
            super().__init__()
            self.others = others

    def __init__(self, view: RunView, look: Look, others: Sequence[OtherRecipe] = ()) -> None:
        super().__init__(view, look)
        self._others = tuple(others)
        self._chosen = 0

    def on_mount(self) -> None:
        if not self._others:
            view = self.view
            self.run_worker(lambda: self.post_message(self.RecipesRead(related_recipes(view))), thread=True)

    def on_recipe_difference_screen_recipes_read(self, message: RecipesRead) -> None:
        self._others = message.others
        self.redraw()

    def content(self, width: int, height: int) -> Content:  # noqa: ARG002  # it scrolls
        return difference_content(self.view, self._others, self._chosen, width)

    def action_choose(self, by: int) -> None:
        if self._others:
            self._chosen = (self._chosen + by) % len(self._others)
            self.redraw()
