"""Why a known miner does not answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from exporter.diagnostics.facts import Facts, Reach
from exporter.diagnostics.words import OK, PROBLEM, WARNING, ago, count, watched
from exporter.engine.api.program import Check
from exporter.engine.fleet import MinerRecord
from exporter.text import clean_text

_GROUP: Final = "offline"
#: Miners that are shown one by one; a hall without power is one trouble, not thousands.
MOST_SHOWN: Final = 50
_OUTCOMES: Final = {
    "open": "port {port} accepts connections",
    "refused": "port {port} is closed",
    "silent": "port {port} does not answer",
    "unreachable": "port {port} cannot be reached",
}
#: What proves that there is a host at the address.
_PRESENT: Final = frozenset({"open", "refused"})


def offline_checks(facts: Facts) -> Iterator[Check]:
    """Each miner that does not answer, with what its address does now."""
    down = [record for record in facts.snapshot.miners if watched(record) and record.up is False]
    if not down:
        meant = sum(watched(record) for record in facts.snapshot.miners)
        found = f"{count(meant, 'miner is', 'miners are')} watched, none is missed."
        yield Check(_GROUP, "Do all miners answer?", OK, found)
        return
    moved = {mac: address for address, mac in facts.neighbours.items()}
    for record in down[:MOST_SHOWN]:
        yield _check(facts, record, moved)
    if len(down) > MOST_SHOWN:
        yield Check(
            _GROUP,
            "And the others?",
            PROBLEM,
            f"{len(down) - MOST_SHOWN} more miners do not answer.",
            "So many at once share a cause: the power of a row, a switch, a router.",
        )


def _check(facts: Facts, record: MinerRecord, moved: Mapping[str, str]) -> Check:
    title = f"Why does {clean_text(record.name, 64)} not answer?"
    if record.auth_failed:
        return Check(
            _GROUP,
            title,
            PROBLEM,
            "It refuses every password there is; polls are stopped, since miners lock out who tries too often.",
            "Set its password on its page, or in the list under Settings, Device passwords.",
            record.id,
        )
    return Check(_GROUP, title, PROBLEM, _found(facts, record), _remedy(facts, record, moved), record.id)


def _found(facts: Facts, record: MinerRecord) -> str:
    seen = record.last_seen
    parts = ["It was never seen" if seen is None else f"It was seen {ago(facts.now - seen)} ago"]
    row = facts.rows.get(record.id)
    if record.address is not None:
        parts[0] += f" at {record.address}."
    elif row is not None and row.last_address is not None:
        parts[0] += f"; its last address was {row.last_address}."
    else:
        parts[0] += "."
    if record.last_error:
        parts.append(f"The last error: {clean_text(record.last_error, 300)}.")
    reach = facts.reach.get(record.id, ())
    if reach:
        words = ", ".join(_OUTCOMES[one.outcome].format(port=one.port) for one in reach)
        parts.append(f"Now {words}.")
    return " ".join(parts)


def _remedy(facts: Facts, record: MinerRecord, moved: Mapping[str, str]) -> str:
    if record.usb is not None:
        return _usb_remedy(record)
    row = facts.rows.get(record.id)
    last = record.address or (row.last_address if row is not None else None)
    here = moved.get(record.identity.mac or "")
    if here is not None and here != last:
        searched = any(network.covers(here) for network in facts.networks)
        then = "The next scan finds it there." if searched else "That is in no network of network.subnets; add it."
        return f"Its MAC answers at {here} now. {then} Reserve an address for it in the DHCP server."
    if record.provisional and record.address is None:
        return "It told neither MAC nor serial number, so it is a new miner at a new address: forget this one."
    return _by_reach(facts.reach.get(record.id, ()))


def _by_reach(reach: tuple[Reach, ...]) -> str:
    outcomes = {one.outcome for one in reach}
    if "open" in outcomes:
        return (
            "Something answers there. Where it is the miner, it may be starting or too busy; else another device has"
            " its address: reserve one in the DHCP server."
        )
    if outcomes & _PRESENT:
        return (
            "A host is there and refuses: switch the web interface or the API of the miner on, and allow this host"
            " (api-allow). Where it is no miner, the miner has another address: reserve one in the DHCP server."
        )
    return (
        "Check its power, its cable or Wi-Fi. Where it runs, its address has changed: scan its network, and reserve"
        " an address for it in the DHCP server."
    )


def _usb_remedy(record: MinerRecord) -> str:
    if record.usb is not None and record.usb.dev_path is None:
        return "Plug the board in; where it is, try another cable (some carry power only), port or hub."
    return (
        "See what the board tells on its page; its Wi-Fi and pool are set in its own portal. Plugging it in anew helps"
        " a board that hangs."
    )


def unwatched_check(facts: Facts) -> Iterator[Check]:
    """Miners that nobody reads on purpose, since that is easily forgotten."""
    idle = [record for record in facts.snapshot.miners if record.enabled and not record.managed]
    if idle:
        yield Check(
            _GROUP,
            "Are miners known that are not read?",
            WARNING,
            f"{count(len(idle), 'miner is', 'miners are')} listed and not managed.",
            "Switch Managed on at the page Flock where they are to be read.",
        )
