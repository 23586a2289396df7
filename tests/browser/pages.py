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
    "commands": "/miners/1/commands",
    "commands-presets": "/miners/3/commands",
    "commands-modes": "/miners/5/commands",
    "commands-none": "/miners/11/commands",
    "bulk": "/bulk/1",
    "audit": "/audit",
    "manage": "/miners/manage/9",
    "manage-network": "/miners/manage/1",
    "manage-unplugged": "/miners/manage/20",
    "models": "/models",
    "wallets": "/wallets",
    "wallet": "/wallets/1",
    "settings": "/settings/",
    "credentials": "/settings/credentials",
    "access": "/settings/access",
    "drivers": "/settings/miner-driver-updates",
    "api": "/settings/api",
    "diagnostics": "/diagnostics",
}
#: Without a flock, where pages explain what to do.
EMPTY = {"empty-flock": "/", "empty-devices": "/devices", "empty-models": "/models", "empty-wallets": "/wallets",
         "empty-audit": "/audit"}  # fmt: skip
