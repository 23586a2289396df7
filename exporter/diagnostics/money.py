"""Why a pool belongs to no wallet, and why shares are not counted. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from exporter.diagnostics.facts import Facts
from exporter.diagnostics.offline import MOST_SHOWN
from exporter.diagnostics.words import OK, PROBLEM, WARNING, ago, count, watched
from exporter.engine.api.program import Check
from exporter.engine.fleet import MinerRecord
from exporter.model_usb import UsbState
from exporter.store.rows import MinerConfig
from exporter.text import clean_text
from exporter.wallets.reasons import Reason, explain, explain_pools

_WALLETS: Final = "wallets"
_SHARES: Final = "shares"
#: How long a board may mine without a share: its odds are small, the pools' least difficulty makes up for it.
_PATIENCE_SECONDS: Final = 3600.0


def wallet_checks(facts: Facts) -> Iterator[Check]:
    """The miners with pools that no wallet was found for: one check for each reason, which names the pools."""
    title = "Do the miners' pools belong to tracked wallets?"
    if not facts.wallets:
        reason = explain(Reason.NO_WALLETS)
        assert reason is not None
        yield Check(_WALLETS, title, OK, reason.sentence, reason.remedy)
        return
    names = {record.id: record.name for record in facts.snapshot.miners if record.enabled}
    active = [config for config in facts.configs if config.active and config.miner_id in names]
    failed: dict[int, dict[str, list[MinerConfig]]] = {}
    for config in active:
        if explain(config) is not None:
            failed.setdefault(config.miner_id, {}).setdefault(config.reason or "", []).append(config)
    linked = sum(config.wallet_id is not None for config in active)
    state = OK if not failed else WARNING
    found = f"{linked} of {count(len(active), 'pool configuration')} are linked to {count(facts.wallets, 'wallet')}."
    yield Check(_WALLETS, title, state, found, None if not failed else "See the miners below.")
    for miner_id, by_reason in islice(failed.items(), MOST_SHOWN):
        title = f"Why is {clean_text(names[miner_id], 64)} linked to no wallet?"
        for configs in by_reason.values():
            why = explain_pools(configs)
            assert why is not None
            yield Check(_WALLETS, title, WARNING, why.sentence, why.remedy, miner_id)
    if len(failed) > MOST_SHOWN:
        yield Check(
            _WALLETS,
            "And the others without a wallet?",
            WARNING,
            f"{count(len(failed) - MOST_SHOWN, 'more miner has', 'more miners have')} pools of no tracked wallet.",
            "The page Wallets lists the miners without a wallet, each with the reason.",
        )


def share_checks(facts: Facts) -> Iterator[Check]:
    """Who tells single shares, who counters only, and who tells nothing."""
    live = [record for record in facts.snapshot.miners if watched(record) and record.reading is not None]
    singles = [record for record in live if record.usb is not None]
    silent = [record for record in live if record.usb is None and not _counts(record)]
    steps = len(live) - len(singles) - len(silent)
    found = (
        f"{count(len(singles), 'miner tells', 'miners tell')} each share, {count(steps, 'miner tells', 'miners tell')}"
        f" counters whose steps are logged as derived, {count(len(silent), 'miner tells', 'miners tell')} neither."
    )
    yield Check(_SHARES, "How are shares logged?", OK, found)
    for record in silent[:MOST_SHOWN]:  # the others are counted above
        yield Check(
            _SHARES,
            f"Why has {clean_text(record.name, 64)} no shares?",
            WARNING,
            "Its firmware tells no share counters of its own pools.",
            "Log shares by hand on the wallet's page (or by POST), or rely on the statistics of the pool.",
            record.id,
        )
    for record in singles:
        yield from _without_shares(facts, record)


def _counts(record: MinerRecord) -> bool:
    pools = record.reading.pools if record.reading is not None else ()
    return any(not pool.fee and (pool.accepted is not None or pool.rejected is not None) for pool in pools)


def _without_shares(facts: Facts, record: MinerRecord) -> Iterator[Check]:
    """A board that mines for long and has found nothing that its pool takes."""
    usb, reading = record.usb, record.reading
    if usb is None or reading is None or usb.view.state is not UsbState.MINING:
        return
    mined = facts.now - usb.view.since
    accepted = sum(pool.accepted or 0.0 for pool in reading.pools)
    rejected = sum(pool.rejected or 0.0 for pool in reading.pools)
    title = f"Why has {clean_text(record.name, 64)} no shares?"
    if accepted or mined < _PATIENCE_SECONDS:
        return
    if rejected:
        yield Check(
            _SHARES,
            title,
            PROBLEM,
            f"The pool has rejected all of its {count(int(rejected), 'share')}.",
            "Check the wallet address in its portal, and use a pool for small miners.",
            record.id,
        )
    else:
        yield Check(
            _SHARES,
            title,
            WARNING,
            f"It mines since {ago(mined)} and no share was found.",
            "Pools for small miners (public-pool.io, pool.nerdminers.org) ask for a difficulty that it reaches.",
            record.id,
        )
