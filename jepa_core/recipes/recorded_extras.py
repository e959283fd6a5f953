"""What stands in a resolved recipe for its readers only. Apart from the layout, which knows every table's class."""

from __future__ import annotations

IGNORED_KEYS = ("metrics", "resolved")
"""Written for readers that do not know the recipe's components; the recipe does not depend on them."""
