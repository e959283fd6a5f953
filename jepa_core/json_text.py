"""JSON that commands print: it holds whatever a run or a file system says, and nothing in it steers a terminal."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import orjson

from jepa_core.recorded_numbers import encode
from jepa_core.visible_text import escaped


def json_text(value: Any, *, indented: bool = True) -> str:
    """Plain values as JSON, without a line end; what JSON does not hold is as `encode` says."""
    option = orjson.OPT_INDENT_2 if indented else 0
    return escaped(orjson.dumps(encode(value), option=option).decode())


def print_json(value: Any, *, indented: bool = True) -> None:
    """The same, on the standard output; what its encoding lacks is escaped."""
    text = json_text(value, indented=indented) + "\n"
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = re.sub(r"[^\x00-\x7f]", lambda found: json.dumps(found[0])[1:-1], text)
    sys.stdout.write(text)
