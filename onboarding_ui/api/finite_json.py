"""JSON without NaN and infinity, which are no JSON: they become null, so that no number of one miner spoils a list."""

from __future__ import annotations

import math
from typing import Any

from flask.json.provider import DefaultJSONProvider


def finite(value: Any) -> Any:
    """A copy of a JSON document with null in place of NaN and infinity."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


class FiniteJsonProvider(DefaultJSONProvider):
    """Flask's own, with keys in the order in which they were put."""

    sort_keys = False

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """See `finite`; the copy is only made where it is needed."""
        try:
            return super().dumps(obj, allow_nan=False, **kwargs)
        except ValueError:
            return super().dumps(finite(obj), allow_nan=False, **kwargs)
