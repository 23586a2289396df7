"""Commands of the plain CGMiner API: restart of the mining program, and its pools.

Sources: cgminer's API-README and api.c. Commands that change something need privileged access (``--api-allow W:``);
without it they are answered with code 45. Several firmwares quote a request in their refusal, passwords included, so
passwords are taken out of the words that are passed on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from exporter.drivers import fields
from exporter.drivers.api import Answer, Answers, CgminerRequest
from exporter.drivers.commands import CommandContext, CommandRefused, Evidence, Plan, PoolRules, PoolSetting, Write
from exporter.drivers.families.cgminer_reading import API, FAMILY, TEXT
from exporter.drivers.families.cgminer_records import find_records, told
from exporter.errors import DecodeError, ProtocolError
from exporter.model import Pool, Reading
from exporter.protocols.cgminer import reply_status
from exporter.text import MAX_LABEL_LENGTH, clean_text

#: Until a restarted mining program must answer again.
RESTART_SECONDS: Final = 120.0
_POOL_SECONDS: Final = 60.0
#: Families whose firmware takes commands in another way only (tokens, a session, its own API).
_OTHER_WAYS: Final = frozenset(
    {"Whatsminer", "LuxOS", "Braiins OS", "Auradine", "Goldshell", "Marathon", "SealMiner", "Elphapex"}
)
_DENIED_CODE: Final = 45
_HOW_TO_ALLOW: Final = (
    "the miner lets this computer only read: give its address privileged access "
    "(--api-allow W:ADDRESS, or api-allow in the configuration of the mining program)"
)
_ADDED: Final = re.compile(r"Added pool (\d{1,6})\b")
_LONGEST_WORDS: Final = 200
#: "x" and the like, which pools want where they want none, stand in many words.
_SHORTEST_SECRET: Final = 3
#: The receive buffer of cgminer, with room for the JSON around the parameter.
_LONGEST_PARAMETER: Final = 4000


def check_reply(answer: Answer, secrets: tuple[str, ...] = ()) -> None:
    """Raise `CommandRefused` with the device's words where its STATUS says no.

    Args:
        secrets: passwords of the request, which must not come back in the words.
    """
    status = reply_status(answer.document)
    if status is None or status.letter not in ("E", "F"):
        return
    if status.code == _DENIED_CODE:
        raise CommandRefused(_HOW_TO_ALLOW)
    words = status.message or "no reason given"
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            words = words.replace(secret, "***")
    raise CommandRefused(clean_text(words, _LONGEST_WORDS) or "no reason given")


def checked(*secrets: str) -> Callable[[Answer], None]:
    """`check_reply` for a request that holds `secrets`."""
    return lambda answer: check_reply(answer, secrets)


def last_reading(context: CommandContext) -> Reading:
    """The miner's last reading.

    Raises:
        CommandRefused: there is none.
    """
    if context.reading is None:
        raise CommandRefused("the miner has not been read yet; try again after its next answer")
    return context.reading


def restarted(evidence: Evidence) -> bool:
    """Whether the miner, or its mining program where only that is told, counts its uptime anew.

    One that had only just started may have counted past its old uptime before it was looked at: then it counts that
    it was away.
    """
    before = None if evidence.before is None else running_for(evidence.before)
    after = running_for(evidence.after)
    if after is None:
        return False
    return (before is not None and after < before) or (evidence.went_away and after <= RESTART_SECONDS)


def running_for(reading: Reading) -> float | None:
    """Seconds since the start of the board, or of the mining program; None where neither is told."""
    return reading.mining_uptime if reading.uptime is None else reading.uptime


def restart_program(context: CommandContext) -> Plan:
    """Restart the mining program."""
    last_reading(context)
    return Plan(
        effect="The mining program restarts and mines again in about a minute.",
        # BFGMiner and cgminer say RESTART; some are gone before they could.
        writes=lambda _: (Write(_request(context, "restart"), answers=False, check=check_reply),),
        confirmed=restarted,
        limit_seconds=RESTART_SECONDS,
        settle_seconds=2.0,
        goes_away=True,
    )


def put_pool_first(setting: PoolSetting, context: CommandContext) -> Plan:
    """Add a pool and switch to it; one that is there already is switched to.

    The other pools stay behind it. The mining program forgets an added pool when it starts anew with its own
    configuration.
    """
    last_reading(context)
    if not setting.password:
        raise CommandRefused("this mining program takes no empty pool password; use x where the pool wants none")
    parameter = ",".join(map(_escaped, (setting.url, setting.user, setting.password)))
    if len(parameter.encode()) > _LONGEST_PARAMETER:
        raise CommandRefused("address, user and password of the pool are too long together")
    pools = _request(context, "pools")
    return Plan(
        effect="The miner mines to this pool first and keeps its others as fallback, until its program starts anew.",
        reads=(pools,),
        writes=lambda answers: _pool_writes(answers, pools.key, setting, parameter, context),
        confirmed=lambda evidence: _is_first(evidence.after.pools, setting),
        limit_seconds=_POOL_SECONDS,
        settle_seconds=2.0,
    )


class CgminerCommands:
    """The commands, for a driver to inherit."""

    def restart(self, context: CommandContext) -> Plan:
        _check_way(context)
        return restart_program(context)

    def pool_rules(self, context: CommandContext) -> PoolRules:
        """One slot: the pool that is mined to first. Longer texts could not be found again in a reading."""
        slots = 0 if context.decode.details.get(FAMILY) in _OTHER_WAYS else 1
        return PoolRules(slots, longest_url=MAX_LABEL_LENGTH, longest_user=MAX_LABEL_LENGTH)

    def set_pool(self, setting: PoolSetting, context: CommandContext) -> Plan:
        _check_way(context)
        return put_pool_first(setting, context)


def _check_way(context: CommandContext) -> None:
    family = context.decode.details.get(FAMILY)
    if family in _OTHER_WAYS:
        raise CommandRefused(f"{family} takes commands in its own way, which this driver does not know")


def _request(
    context: CommandContext, command: str, parameter: str | None = None, *, private: bool = False
) -> CgminerRequest:
    return CgminerRequest(command, parameter, text=context.decode.details.get(API) == TEXT, private=private)


def _escaped(value: str) -> str:
    """As API-README asks: a backslash before each comma and backslash."""
    return re.sub(r"([\\,])", r"\\\1", value)


def _pool_writes(
    answers: Answers, key: str, setting: PoolSetting, parameter: str, context: CommandContext
) -> tuple[Write, ...]:
    """The writes from the present list of pools.

    Raises:
        DecodeError: the list cannot be read.
    """
    records = _pool_records(answers.document(key), key)
    numbers = [fields.count(record, "POOL", key) for record in records]
    for record, number in zip(records, numbers, strict=True):
        if number is not None and (told(record, "URL", key), told(record, "User", key)) == (setting.url, setting.user):
            return (_switch(int(number), context),)
    new = len(records)  # pools are numbered without gaps
    add = Write(
        _request(context, "addpool", parameter, private=True),
        check=lambda answer: _check_added(answer, new, setting.password, parameter),
    )
    return (add, _switch(new, context))


def _pool_records(document: Any, key: str) -> list[dict[str, Any]]:
    """The pools; a mining program without any says so with an error."""
    if isinstance(document, dict) and document.get("POOLS") is None and reply_status(document) is not None:
        return []
    return find_records(document, "POOLS", key)


def _switch(number: int, context: CommandContext) -> Write:
    # To switch to the same pool again changes nothing.
    return Write(_request(context, "switchpool", str(number)), repeatable=True, check=check_reply)


def _check_added(answer: Answer, expected: int, password: str, parameter: str) -> None:
    """The pool was added under the number that is switched to next."""
    check_reply(answer, (_escaped(password), password, parameter))
    status = reply_status(answer.document)
    if status is None:
        raise ProtocolError("the miner answered addpool without a STATUS; nothing was switched")
    match = _ADDED.search(status.message or "")
    if match is not None and int(match[1]) != expected:
        raise DecodeError(f"the pool was added as number {match[1]} where {expected} was due; nothing was switched")


def _is_first(pools: tuple[Pool, ...], setting: PoolSetting) -> bool:
    """Whether a pool is the one in use, or the one that is tried first."""
    first = min((pool.priority for pool in pools if pool.priority is not None and not pool.fee), default=None)
    return any(
        (pool.url, pool.user) == (setting.url, setting.user)
        and (pool.active is True or (first is not None and pool.priority == first))
        for pool in pools
    )
