from __future__ import annotations

import pytest

from jepa_core.presentation.quantity import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (9.13, "9.1 s"),
        (75.2, "1 min 15 s"),
        (3599.9, "1 h 0 min"),
        (9000, "2 h 30 min"),
        (116_535, "32 h 22 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_a_duration_has_the_two_units_that_matter(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
