"""A program in a real pseudo-terminal: what it writes and when, and what processor time and memory it takes.

Answers the queries of synchronised output (mode 2026) as current terminals do, so that every frame is marked.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Sequence
from types import TracebackType

COLUMNS, ROWS = 200, 60

FRAME_END = b"\x1b[?2026l"
_SYNC_QUERY = b"\x1b[?2026$p"
_SYNC_ANSWER = b"\x1b[?2026;2$y"
_ESCAPES = re.compile(rb"\x1b(?:\[[0-9;?:<=>$ ]*[@-~]|[\]P^_].*?(?:\x07|\x1b\\)|[@-Z\\^_=>78])", re.DOTALL)
_TICKS = os.sysconf("SC_CLK_TCK")


class TerminalSession:
    """One program, from its start to `close`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        environment |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        self.command = " ".join(command)
        self.started = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.output: list[tuple[float, bytes]] = []
        """Every piece written, with its time."""
        self.peak_mib = 0.0
        """Peak memory, known after `close`."""
        self._ending = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def wait_for(self, pattern: re.Pattern[str], timeout: float) -> float:
        """Seconds from the start to the first piece of output with `pattern`.

        Raises:
            RuntimeError: it does not come.
        """
        seen = 0
        while time.perf_counter() - self.started < timeout and self._process.poll() is None:
            for at, piece in self.output[seen:]:
                seen += 1
                if pattern.search(_visible(piece)):
                    return at - self.started
            time.sleep(0.01)
        raise RuntimeError(f"{self.command} showed nothing like {pattern.pattern}. It wrote:\n{self.text()[-3000:]}")

    def processor_seconds(self) -> float:
        """Processor time taken so far.

        Raises:
            RuntimeError: the program has ended by itself.
        """
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.command} ended by itself. It wrote:\n{self.text()[-3000:]}")
        with open(f"/proc/{self._process.pid}/stat", encoding="ascii") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def frames_since(self, moment: float) -> tuple[int, int]:
        """Frames written since `moment`, and their bytes."""
        later = b"".join(piece for at, piece in list(self.output) if at >= moment)
        return later.count(FRAME_END), len(later)

    def text(self) -> str:
        """Everything it wrote, without escape sequences."""
        return _visible(b"".join(piece for _, piece in list(self.output)))

    def close(self) -> None:
        """Press q, and wait for the end; end it after five seconds."""
        if self._process.poll() is not None:
            self._end_reading()
            return
        self.press("q")
        for _ in range(250):
            pid, _, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                break
            time.sleep(0.02)
        else:
            self._process.kill()
            _, _, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = 0
        self.peak_mib = usage.ru_maxrss / 1024
        self._end_reading()

    def _end_reading(self) -> None:
        if not self._ending.is_set():
            self._ending.set()
            self._reader.join()
            os.close(self._master)

    def __enter__(self) -> TerminalSession:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        while not self._ending.is_set():
            if not select.select([self._master], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._master, 1 << 20)
            except OSError:
                return
            self.output.append((time.perf_counter(), piece))
            if _SYNC_QUERY in piece:
                os.write(self._master, _SYNC_ANSWER)


def _visible(written: bytes) -> str:
    return _ESCAPES.sub(b"", written).decode("utf-8", errors="replace")
