"""What a driver's plan may hold: so many requests, of such a size, for so long. Pure.

A user's driver may be wrong in any way. Each bound is far above what a miner takes, and what is past one is a fault of
the driver: nothing of the plan is sent.
"""

from __future__ import annotations

import math
from typing import Any, Final

from exporter.drivers.api import CgminerRequest, HttpRequest, Request, may_write
from exporter.drivers.commands import Plan, UdpRequest, Write
from exporter.errors import InternalError, ProtocolError
from exporter.protocols.cgminer import encode_command
from exporter.protocols.http1 import encode_request

#: No plan may keep a command under way for longer, in seconds.
LONGEST_LIMIT: Final = 3600.0
#: A controller has a light for each of up to 25 modules.
MOST_WRITES: Final = 64
MOST_READS: Final = 32
LONGEST_EFFECT: Final = 1000
LONGEST_BODY: Final = 64 << 10
#: One that is not cut to pieces on the way.
LONGEST_DATAGRAM: Final = 1472
MOST_REPEATS: Final = 20
LONGEST_SPACING: Final = 1.0
_MOST_IN_PLACE: Final = 4
_LARGEST_PORT: Final = 65535


def checked_plan(plan: object) -> Plan:
    """The plan.

    Raises:
        InternalError: it is none, or past a bound.
    """
    if not isinstance(plan, Plan) or not isinstance(plan.effect, str):
        raise InternalError("the driver made no plan for the command")
    if len(plan.effect) > LONGEST_EFFECT:
        raise InternalError(f"the driver's plan must say its effect in {LONGEST_EFFECT} characters")
    if not all(_is_number(one, 0.0, LONGEST_LIMIT) for one in (plan.limit_seconds, plan.settle_seconds)):
        raise InternalError(f"the driver's plan must end within {LONGEST_LIMIT:g} s")
    checked_reads(plan.reads)
    checked_reads(plan.confirm_reads)
    if not all(callable(one) for one in (plan.writes, plan.check, plan.confirmed)):
        raise InternalError("the driver's plan lacks a function")
    return plan


def checked_reads(reads: object) -> tuple[Request, ...]:
    """Requests that only ask: they are sent for whoever looks at a miner.

    Raises:
        InternalError: they are none, past a bound, or could change the miner.
    """
    if not isinstance(reads, tuple | list) or len(reads) > MOST_READS:
        raise InternalError(f"the driver's reads must be at most {MOST_READS} requests")
    for request in reads:
        _check_request(request)
        if may_write(request):
            raise InternalError(f"the driver asks {_method_of(request)} as a read, which may change the miner")
    return tuple(reads)


def checked_writes(writes: object) -> tuple[Write, ...]:
    """What a plan wants to send.

    Raises:
        InternalError: there are no writes in it, or one is past a bound; then none may be sent.
    """
    if not isinstance(writes, tuple | list) or not all(isinstance(write, Write) for write in writes):
        raise InternalError("the driver made no writes for the command")
    if len(writes) > MOST_WRITES:
        raise InternalError(f"the driver made {len(writes)} writes for one command; {MOST_WRITES} is the most")
    for write in writes:
        if isinstance(write.request, UdpRequest):
            _check_datagram(write.request)
        else:
            _check_request(write.request)
        if write.check is not None and not callable(write.check):
            raise InternalError("the check of a write is no function")
    return tuple(writes)


def _method_of(request: Request) -> str:
    """What a request is, without its path or parameter, which may hold what nobody is to see."""
    return f"the command {request.command:.20}" if isinstance(request, CgminerRequest) else f"with {request.method:.20}"


def _check_request(request: object) -> None:
    """A request, and what is asked in its place where the miner does not know it."""
    for _ in range(_MOST_IN_PLACE):
        _check_one(request)
        request = getattr(request, "otherwise", None)
        if request is None:
            return
    raise InternalError("the driver made a request with too many others in its place")


def _check_one(request: object) -> None:
    """The encoders know what would break a request apart; their words may quote it, so they are not passed on."""
    if not isinstance(request, HttpRequest | CgminerRequest) or not _is_port(request.port):
        raise InternalError("the driver made no request to the miner")
    try:
        payload = _encoded(request)
    except (ProtocolError, ValueError, TypeError, AttributeError):
        raise InternalError("the driver made a request that cannot be written") from None
    if len(payload) > LONGEST_BODY:
        raise InternalError(f"the driver made a request of more than {LONGEST_BODY} bytes")


def _encoded(request: Request) -> bytes:
    if isinstance(request, CgminerRequest):
        return encode_command(request.command, request.parameter, text=request.text)
    headers = request.headers if request.body is None else (*request.headers, ("content-type", request.content_type))
    return encode_request(request.method, request.path, "miner", headers=headers, body=request.body)


def _check_datagram(request: UdpRequest) -> None:
    good = (
        request.port is not None
        and _is_port(request.port)
        and isinstance(request.body, bytes)
        and len(request.body) <= LONGEST_DATAGRAM
        and type(request.repeat) is int
        and 1 <= request.repeat <= MOST_REPEATS
        and _is_number(request.spacing_seconds, 0.0, LONGEST_SPACING)
    )
    if not good:
        raise InternalError(
            f"the driver's datagram must have a port, at most {LONGEST_DATAGRAM} bytes, and be sent 1 to "
            f"{MOST_REPEATS} times, at most {LONGEST_SPACING:g} s apart"
        )


def _is_port(port: Any) -> bool:
    return port is None or (type(port) is int and 1 <= port <= _LARGEST_PORT)


def _is_number(value: Any, least: float, most: float) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and least <= value <= most
