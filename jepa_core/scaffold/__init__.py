"""Templates of a plugin's files, for `jepa plugins new`, and what fills them in."""
