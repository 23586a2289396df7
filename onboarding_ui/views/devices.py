"""The page New devices: boards on USB that wait to be named, ports held shut, network miners without a name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from flask import Blueprint, render_template

from exporter.engine.api.devices import WaitingDevice
from exporter.engine.client import EngineApi
from exporter.engine.fleet import MinerRecord
from exporter.engine.names import key_end
from exporter.engine.onboarding import CURRENCIES
from exporter.model_usb import MILESTONES, UsbState
from exporter.wallets.pool_user import PoolUser, split_user
from onboarding_ui.views.paging import asked_page, page_of
from onboarding_ui.wallet_hints import WalletHint, wallet_hint

_ON_A_PAGE: Final = 50
_LONGEST_NAME: Final = 64
#: The way of a board that nobody has named yet; `Mining` is what an onboarded one reaches.
_WAY: Final = tuple(state.value for state in MILESTONES if state is not UsbState.MINING)


@dataclass(frozen=True, slots=True)
class Step:
    """One state on a board's way; `mark` is "done", "now" or "ahead"."""

    name: str
    mark: str


@dataclass(frozen=True, slots=True)
class WaitingCard:
    """A board that waits.

    Attributes:
        steps: how far it has come.
        user: the pool user of its configuration, taken apart.
        hint: what that tells about the wallet.
    """

    device: WaitingDevice
    steps: tuple[Step, ...]
    user: PoolUser
    hint: WalletHint | None


def waiting_card(device: WaitingDevice) -> WaitingCard:
    """A board for the page."""
    user = device.dumped_wallet_address
    return WaitingCard(device, steps(device.state), split_user(user), wallet_hint(user))


def steps(state: str | None) -> tuple[Step, ...]:
    """The way of a board with a mark at each state; all are ahead of one that is not connected."""
    reached = _WAY.index(state) if state in _WAY else (len(_WAY) if state == UsbState.MINING.value else -1)
    return tuple(
        Step(name, "now" if place == reached else "done" if place < reached else "ahead")
        for place, name in enumerate(_WAY)
    )


def to_name(record: MinerRecord) -> bool:
    """Whether a miner still waits for a person to name it and to say what it mines."""
    return record.enabled and (not record.named or record.currency is None)


def suggested_names(records: Iterable[MinerRecord]) -> Callable[[MinerRecord], str | None]:
    """What the field of a miner's name holds at first: the name, or what the miner calls itself where that may be one.

    Where another one of `records` is shown by the same name, the end of its key tells the miner apart.
    """
    shown = Counter(record.name.casefold() for record in records)

    def suggested_name(record: MinerRecord) -> str | None:
        alone = record.named or shown[record.name.casefold()] < 2
        name = record.name if alone else f"{record.name} {key_end(record.key)}"
        return name if len(name) <= _LONGEST_NAME else None

    return suggested_name


def devices_pages(engine: EngineApi) -> Blueprint:
    """The blueprint of the page."""
    pages = Blueprint("devices", __name__)

    @pages.get("/devices")
    def devices() -> str:
        waiting = engine.devices.waiting()
        miners = engine.snapshot().miners
        unnamed = [record for record in miners if to_name(record)]
        return render_template(
            "devices.html",
            cards=[waiting_card(device) for device in waiting if device.id is not None],
            held=[device for device in waiting if device.held],
            currencies=CURRENCIES,
            anything=bool(miners),
            usb_enabled=engine.program.settings().serial.enabled,
            suggested_name=suggested_names(miners),
            unnamed=page_of(unnamed, asked_page(), _ON_A_PAGE),
        )

    return pages
