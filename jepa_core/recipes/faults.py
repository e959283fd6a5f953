"""What is wrong with a recipe, where, and what would be right; all faults together in one error.

A `Problem` knows the key and the reason, a `Fault` also the place in a file or the flag. Finding them is elsewhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import PurePath

import attrs
from rich.text import Text

from jepa_core.errors import RecipeError
from jepa_core.recipes.key_path import KeyPath


@attrs.frozen(kw_only=True)
class Problem:
    """A fault of the merged recipe, not yet traced to its source."""

    path: KeyPath
    message: str
    notes: tuple[str, ...] = ()
    """Further lines, such as what is installed."""
    component: str = ""
    """The component whose fields would help."""
    at_key: bool = False
    """Whether the key is at fault, not its value."""
    span: tuple[int, int] | None = None
    """The part of a text value that is at fault, as indices."""
    as_text: str = ""
    """What would be right if it were text: it only lacks quotes."""


@attrs.frozen(kw_only=True)
class Excerpt:
    """The line of a file with a fault, and the part of it."""

    line: int
    """From 1."""
    column: int
    """From 1, in characters."""
    width: int
    text: str
    """The whole line."""


@attrs.frozen(kw_only=True)
class Fault:
    """One thing wrong with a recipe."""

    where: str
    """Such as `recipes/mine.toml:4:8`, or `--set train.epochs=x`."""
    key: str
    """Dotted key; empty when no single key is at fault."""
    message: str
    notes: tuple[str, ...] = ()
    component: str = ""
    excerpt: Excerpt | None = None
    from_flag: bool = False


class RecipeFaultsError(RecipeError):
    """A recipe cannot be used; `faults` says all that is wrong with it. The text is the whole report."""

    def __init__(self, title: str, faults: Sequence[Fault]) -> None:
        self.title = title
        """The recipe's path."""
        self.faults = tuple(faults)
        super().__init__(title, self.faults)

    def __str__(self) -> str:
        return self.__rich__().plain

    def __rich__(self) -> Text:
        """The report in colour."""
        # The report is made of faults, so it imports this module.
        from jepa_core.recipes.fault_report import fault_report

        return fault_report(self.title, self.faults)


MOST_HINTS = 40
"""Unknown words of one place for which a known one is sought that is like them."""


def hint_at_key(key: str, known: Iterable[str]) -> str:
    """What may be meant by a key that is unknown: the nearest known one, or a path of tables that stands in quotes,
    within which a dot is a letter as any other."""
    table, dot, _ = key.partition(".")
    known = list(known)
    return (
        " Leave its quotes out: in quotes a dot leads into no table."
        if dot and table in known
        else did_you_mean(key, known)
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean "x"?` with the nearest known word; empty when none is near."""
    near = nearest(word, known)
    return f' Did you mean "{near}"?' if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, when one is near."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def nearest_file(name: str, known: Iterable[str]) -> str | None:
    """The same of files' names, which an ending that they share does not make alike."""
    stem = PurePath(name).stem
    return nearest(name, [each for each in known if nearest(stem, [PurePath(each).stem])])
