"""How the run's recipe differs from another run's: parent, baseline, the run before it, or one that was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import attrs
from textual.binding import Binding, BindingType
from textual.message import Message

from jepa_core.errors import RunDirectoryError
from jepa_core.recipes.difference import recipe_difference
from jepa_core.run_directory.naming import beside, placed, run_beside, runs_in
from jepa_core.run_directory.reading import RunReader
from jepa_monitor.charts.look import Look
from jepa_monitor.model.run_view import RunView
from jepa_monitor.panels.framed_lines import Content
from jepa_monitor.panels.line import Line, Span, foreign, line, wrapped
from jepa_monitor.screens.recipe_columns import change_lines, rows_a_change
from jepa_monitor.screens.recipe_folding import Folded, folded, in_order
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
    """The recipes of the parent, of the baseline, and of the run that began before it, as far as they can be read.
    Reads files: not for the screen's thread."""
    return tuple(_related(view))


def _related(view: RunView) -> Iterator[OtherRecipe]:
    run, parent = Path(view.path), view.status.parent if view.status else ""
    baseline = view.baseline.path if view.baseline else ""
    found: dict[Path, str] = {}
    for relation, path in (
        ("parent", run_beside(run, parent)),
        ("baseline", Path(baseline) if baseline else None),
        *_neighbours(run),
    ):
        if path is not None:
            found.setdefault(path, relation)
    for path, relation in found.items():
        recipe = _recipe_of(path)
        if recipe:
            yield OtherRecipe(relation=relation, name=path.name, recipe=recipe)


def _neighbours(run: Path) -> Iterator[tuple[str, Path]]:
    """The run beside it that began before it; where it is the first one, that which began after it; of a run that was
    deleted meanwhile, the newest that is there."""
    runs, own = runs_in(beside(run)), placed(run)
    index = runs.index(own) if own in runs else len(runs)
    others = [each for each in runs if each != own]
    if others:
        yield ("run before", runs[index - 1]) if index else ("run after", others[0])


def _recipe_of(path: Path) -> dict[str, Any]:
    try:
        return RunReader(path).recipe()
    except (RunDirectoryError, OSError, ValueError):
        return {}


def difference_content(
    view: RunView, others: Sequence[OtherRecipe], chosen: int, width: int, height: int, *, is_whole: bool = False
) -> Content:
    """Both values of the keys that differ: of those that matter, in `height` rows if that can be, or of all."""
    if not others:
        return Content(lines=_nothing_to_compare_with(view, width), foot=key_hints())
    if not view.recipe:
        words = "This run's recipe cannot be read: its recipe.toml is missing or damaged."
        return Content(lines=wrapped(words, width, tone="warning"), foot=key_hints())
    other = others[chosen]
    changes = recipe_difference(other.recipe, view.recipe)
    names = [foreign(f"{each.relation} {each.name}", 40) for each in others]
    head = (choices(names, chosen), line()) if len(others) > 1 else ()
    titles = (f"{other.relation} {other.name}", "this run")
    hints = [("left/right", "another recipe")] if len(others) > 1 else []
    whole = (*head, *change_lines(in_order(changes), width, titles))
    lines, num_shown = whole, len(changes)
    if len(whole) > height:
        told = folded(changes, num_rows=(height - len(head) - 1) // rows_a_change(changes, width))
        shown = [change for table in told for change in table.shown]
        if not is_whole:
            lines = (*head, *change_lines(shown, width, titles), *_without_room(told))
            num_shown = len(shown)
        hints.append(("enter", f"only what matters most, {len(shown)}" if is_whole else f"all {len(changes)}"))
    nothing = (*head, line(Span("The recipes are equal.", is_bold=True)))
    counted = f"{len(changes)} {'key differs' if len(changes) == 1 else 'keys differ'}"
    return Content(
        lines=lines if changes else nothing,
        title=line(Span(counted + (f", {num_shown} shown" if num_shown < len(changes) else ""), "dim")),
        foot=key_hints(*hints),
    )


def _without_room(told: Iterable[Folded]) -> Iterator[Line]:
    """A line for each table that is not shown whole."""
    for table in told:
        if table.hidden:
            parts = foreign(", ".join(table.hidden_parts), 200)
            yield line(foreign(table.table, 40), Span(f"  {len(table.hidden)} more: {parts}", "dim"))


def _nothing_to_compare_with(view: RunView, width: int) -> tuple[Line, ...]:
    folder = foreign(str(beside(Path(view.path))), 200)
    words = (
        f"Nothing to compare with: the run has no parent and no baseline, and no other run lies in {folder}.",
        "With a second run there, d compares the two. In the list of runs (esc) m marks two, and d compares those.",
    )
    first, second = (wrapped(each, width, tone="dim") for each in words)
    return (*first, line(), *second)


class RecipeDifferenceScreen(Sheet):
    """The recipe difference. Without `others`, those of the runs that it is related to are read."""

    SHEET_TITLE: ClassVar[str] = "recipe"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "choose(1)", "next recipe"),
        Binding("left,h", "choose(-1)", "recipe before"),
        Binding("enter", "unfold", "all keys, or those that matter most"),
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
        self._is_whole = False

    def on_mount(self) -> None:
        if not self._others:
            view = self.view
            self.run_worker(lambda: self.post_message(self.RecipesRead(related_recipes(view))), thread=True)

    def on_recipe_difference_screen_recipes_read(self, message: RecipesRead) -> None:
        self._others = message.others
        self.redraw()

    def content(self, width: int, height: int) -> Content:  # noqa: ARG002  # it grows with what is in it
        return difference_content(self.view, self._others, self._chosen, width, self.most_rows, is_whole=self._is_whole)

    def action_choose(self, by: int) -> None:
        if self._others:
            self._chosen = (self._chosen + by) % len(self._others)
            self.redraw()

    def action_unfold(self) -> None:
        self._is_whole = not self._is_whole
        self.redraw()
