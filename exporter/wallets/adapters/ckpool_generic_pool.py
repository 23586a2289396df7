"""Any pool that runs ckpool and hands its statistics out under /users/, such as one's own."""

from __future__ import annotations

from exporter.wallets.adapters.api import PoolAdapter, PoolStatistics
from exporter.wallets.adapters.ckpool_statistics import decode_ckpool


class CkpoolCompatible(PoolAdapter):
    """See the module."""

    name = "ckpool_generic"
    adapter_version = "1.0.0"
    display_name = "CKPool-compatible pool"
    currencies = ("BTC", "BCH", "DGB", "NMC", "XEC", "OTHER")
    servers = {}  # noqa: RUF012 - never changed
    any_host = True

    def path(self, address: str) -> str:
        return f"/users/{address}"

    def decode(self, body: bytes) -> PoolStatistics:
        return decode_ckpool(body)
