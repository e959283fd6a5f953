from __future__ import annotations

from jepa_core.presentation.error_text import error_text

FIELDS = "fields: epochs, batch_size, micro_batch, seed, precision, compile, clip_norm"


def test_what_is_said_beside_the_bar_is_wrapped_below_its_first_word() -> None:
    assert error_text(f"       │ {FIELDS}", 50) == (
        "       │ fields: epochs, batch_size, micro_batch,\n       │ seed, precision, compile, clip_norm"
    )
    assert error_text(f"       │       ^^^ {FIELDS}", 60) == (
        "       │       ^^^ fields: epochs, batch_size, micro_batch,\n"
        "       │           seed, precision, compile, clip_norm"
    )


def test_lines_that_have_room_and_the_recipes_own_stay_as_they_are() -> None:
    excerpt = f"     3 │ {'key = 1  ' * 12}"
    carets = f"       │ {' ' * 90}^^^"
    for message in (excerpt, carets, "", f"Type this: jepa run {'x' * 90}", f"       │ {FIELDS[:20]}"):
        assert error_text(message, 60) == message
