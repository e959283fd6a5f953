"""What `jepa watch` can wait for."""

from __future__ import annotations

from typing import Literal

Until = Literal["finished", "success", "abort"]
