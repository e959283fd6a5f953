"""`~` and `~user` at the start of a path, as a shell reads them: after `--flag=` and within quotes it does not."""

from __future__ import annotations

import os

from jepa_core.errors import RecipeError
from jepa_core.visible_text import clean


def at_home(text: str) -> str:
    """A path with the home that it begins with in full; any other text, and a name after ~ that is no user's, as it is.

    Raises:
        RecipeError: it leads below the home of a user that there is not.
    """
    if not text.startswith("~"):
        return text
    whole = os.path.expanduser(text)  # noqa: PTH111  # Path raises where it has no home, and knows no text
    if whole == text and "/" in text:
        user = clean(text.partition("/")[0])
        raise RecipeError(
            f"{clean(text)}: there is no home of {user}. Give the whole path, or ./{clean(text)} where {user} is a "
            "folder's name."
        )
    return whole


def argument_at_home(argument: str) -> str:
    """The same for an argument of a command line, which may be `--flag=PATH`.

    Raises:
        RecipeError: as of `at_home`.
    """
    flag, equals, value = argument.partition("=")
    is_flag = equals and flag.startswith("--") and flag not in ("--set", "--vary", "--tag")
    return f"{flag}={at_home(value)}" if is_flag else at_home(argument)
