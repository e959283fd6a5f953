"""The flag that is off unless given, without a negative form: what the monitor's commands share with the trainer's."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
