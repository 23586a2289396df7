"""Solo CKPool: solo.ckpool.org and its servers in Europe and Australia, each with statistics of its own."""

from __future__ import annotations

from exporter.wallets.adapters.api import PoolAdapter, PoolStatistics
from exporter.wallets.adapters.ckpool_statistics import decode_ckpool


class SoloCkpool(PoolAdapter):
    """See the module."""

    name = "ckpool_btc"
    adapter_version = "1.0.0"
    display_name = "Solo CKPool"
    currencies = ("BTC",)
    servers = {  # noqa: RUF012 - never changed
        "solo.ckpool.org": "https://solo.ckpool.org",
        "eusolo.ckpool.org": "https://eusolo.ckpool.org",
        "ausolo.ckpool.org": "https://ausolo.ckpool.org",
    }

    def path(self, address: str) -> str:
        return f"/users/{address}"

    def decode(self, body: bytes) -> PoolStatistics:
        return decode_ckpool(body)
