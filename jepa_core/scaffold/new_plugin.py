"""A new plugin's names, and its files filled in from the templates beside this module.

Knows where files go, not how they come to disk, and nothing of what is installed.
"""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from string import Template

import attrs

from jepa_core.errors import RecipeError
from jepa_core.hookspecs import FAMILIES
from jepa_core.visible_text import clean

_NAME = re.compile("[a-z][a-z0-9]*(_[a-z0-9]+)*")
"""Names that can be a recipe's `kind`, a module, and with dashes the end of a distribution's name."""

_TABLES = {"dataset": "data"}
"""Family → its table in a recipe, where that is not the family's own name."""


@attrs.frozen(kw_only=True)
class NewPlugin:
    """A distribution with one component. Raises RecipeError for a family or a name that cannot be."""

    family: str
    name: str
    """As recipes will have it, such as `my_loss`."""

    def __attrs_post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise RecipeError(f"No family {clean(self.family)!r}. Families: {', '.join(FAMILIES)}")
        if not _NAME.fullmatch(self.name) or keyword.iskeyword(self.name):
            raise RecipeError(
                f"The name {clean(self.name)!r} cannot be a component's: use words of a-z and 0-9 with single _ "
                "between them, a letter first, and none of Python's keywords."
            )

    @property
    def distribution(self) -> str:
        """Such as `jepa-my-loss`."""
        return "jepa-" + self.name.replace("_", "-")

    @property
    def package(self) -> str:
        """Such as `jepa_my_loss`."""
        return f"jepa_{self.name}"

    @property
    def override(self) -> str:
        """The KEY=VALUE that puts the component into a recipe."""
        if self.family == "loss":
            return f"losses.{self.name}.weight=0.1"
        if self.family == "observer":
            return f"observers.{self.name}.kind={self.name}"
        if self.family == "augmentation":
            return f"augmentation.{self.name}.enabled=true"
        if self.family == "null":
            return f"nulls.{self.name}.enabled=true"
        if self.family == "scenario":
            return f"watch.scenarios.{self.name}=true"
        return f"{_TABLES.get(self.family, self.family)}.kind={self.name}"

    @property
    def component_path(self) -> str:
        """Where the component is, relative to the distribution's folder."""
        return f"{self.package}/{self.name}.py"

    def contents(self) -> dict[str, str]:
        """Relative path → text, of every file."""
        templates = {
            "pyproject.toml": "pyproject.toml",
            "README.md": "readme.md",
            "recipes/quickstart.toml": "quickstart.toml",
            f"{self.package}/__init__.py": "package.py",
            self.component_path: f"component_{self.family}.py",
            f"tests/test_{self.name}.py": "test_component.py",
        }
        return {path: self._filled(template) for path, template in templates.items()} | {f"{self.package}/py.typed": ""}

    def _filled(self, template: str) -> str:
        text = files(__package__).joinpath(f"{template}.txt").read_text(encoding="utf-8")
        return Template(text).substitute(
            family=self.family,
            name=self.name,
            config=self._class_name("config"),
            component=self._class_name(self.family),
            distribution=self.distribution,
            package=self.package,
            hook=FAMILIES[self.family],
            override=self.override,
        )

    def _class_name(self, word: str) -> str:
        """The name in capitals with the word at its end, once."""
        words = self.name.split("_")
        return "".join(each.capitalize() for each in (words if words[-1] == word else [*words, word]))
