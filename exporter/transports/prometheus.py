"""A client of Prometheus' HTTP API: one range query. Blocks the calling thread; never for the engine's loop."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx

from exporter.errors import UnavailableError

#: A series as Prometheus tells it: its labels, and (Unix seconds, value) pairs, oldest first.
RangeSeries = tuple[Mapping[str, str], tuple[tuple[float, float], ...]]

_TIMEOUT: Final = 5.0
#: Seconds for everything, also where an answer comes drop by drop.
_PATIENCE: Final = 10.0
_LARGEST: Final = 8 * 1024 * 1024
_SHOWN: Final = 200


def query_range(url: str, query: str, start: float, end: float, step: float) -> tuple[RangeSeries, ...]:
    """Evaluate `query` from `start` to `end` (Unix seconds) every `step` seconds.

    Args:
        url: the base URL, also with a path before ``/api/v1`` or a user and password.

    Raises:
        UnavailableError: no answer in time, or none that Prometheus gives; the message names the address without any
            password, what was asked, and the remedy.
    """
    try:
        base = httpx.URL(url)
        shown = str(base.copy_with(username=None, password=None, query=None)).rstrip("/")
        address = base.copy_with(path=base.path.rstrip("/") + "/api/v1/query_range", query=None)
    except httpx.InvalidURL as error:
        raise UnavailableError(f"prometheus.url is no URL: {error}; write it as http://host:9090") from error
    form = {
        "query": query,
        "start": f"{start:.3f}",
        "end": f"{end:.3f}",
        "step": f"{step:g}",
        "timeout": f"{_TIMEOUT:g}s",
    }
    asked = f"Prometheus at {shown} was asked for a range of {end - start:.0f} s"
    try:
        status, body = _post(address, form)
    except httpx.TimeoutException as error:
        raise UnavailableError(f"{asked} and did not answer in time; is it overloaded?") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise UnavailableError(f"{asked} and cannot be reached: {error}; see prometheus.url") from error
    return _decoded(status, body, asked)


def _post(address: httpx.URL, form: dict[str, str]) -> tuple[int, bytes]:
    """Send a form; the status and the body. A user and password in the address become basic auth."""
    end = time.monotonic() + _PATIENCE
    with (
        httpx.Client(timeout=_TIMEOUT, trust_env=False) as client,
        client.stream("POST", address, data=form, headers={"Accept": "application/json"}) as answer,
    ):
        body = bytearray()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > _LARGEST:
                raise httpx.DecodingError(f"the answer is longer than {_LARGEST} bytes")
            if time.monotonic() > end:
                raise httpx.ReadTimeout(f"no whole answer in {_PATIENCE:g} s")
        return answer.status_code, bytes(body)


def _decoded(status: int, body: bytes, asked: str) -> tuple[RangeSeries, ...]:
    try:
        document = json.loads(body)
        told = document.get("error") if document.get("status") != "success" else None
        if status != httpx.codes.OK or document.get("status") != "success":
            reason = f": {str(told)[:_SHOWN]}" if told else ""
            raise UnavailableError(f"{asked} and answered with status {status}{reason}; see prometheus.url")
        return tuple(_series(each) for each in document["data"]["result"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnavailableError(
            f"{asked} and gave status {status} with no answer of Prometheus' API; does prometheus.url lead to it?"
        ) from error


def _series(each: Mapping[str, Any]) -> RangeSeries:
    labels = {str(name): str(value) for name, value in each["metric"].items()}
    pairs = ((float(at), float(value)) for at, value in each["values"])
    return labels, tuple((at, value) for at, value in pairs if math.isfinite(value))
