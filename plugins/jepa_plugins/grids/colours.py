"""The values of a grid's cells: ten colours, and one for what is beyond the grid."""

from __future__ import annotations

NUM_COLOURS = 11
"""Ten colours and the outside of the grid."""

OUTSIDE = 10
"""The value of cells beyond a grid's size."""
