"""Whether the terminal is still there.

One that was closed does not always send SIGHUP: not where it is not the session's own, as below some schedulers and
recorders. Reading from it then ends at once, again and again, and would keep a core busy for nobody.
"""

from __future__ import annotations

import select

LOOK_SECONDS = 1.0
"""Between two looks."""
EXIT_CODE = 129
"""The shell's for SIGHUP."""


def terminal_is_gone(descriptor: int) -> bool:
    """Whether the other side of the terminal behind `descriptor` was closed."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLNVAL | select.POLLERR) for _, event in poll.poll(0))
