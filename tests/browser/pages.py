"""Every page of the web UI over `FakeEngine`, by the name its pictures carry."""

PAGES = {
    "flock": "/",
    "devices": "/devices",
    "miner": "/miners/3",
    "miner-small": "/miners/1",
    "miner-offline": "/miners/11",
    "miner-hostile": "/miners/16",
    "miner-400-chips": "/miners/19",
    "miner-usb": "/miners/9",
    "manage": "/miners/manage/9",
    "models": "/models",
    "wallets": "/wallets",
    "wallet": "/wallets/1",
    "settings": "/settings/",
    "credentials": "/settings/credentials",
    "access": "/settings/access",
    "api": "/settings/api",
    "diagnostics": "/diagnostics",
}
#: Without a flock, where pages explain what to do.
EMPTY = {"empty-flock": "/", "empty-devices": "/devices", "empty-models": "/models", "empty-wallets": "/wallets"}
