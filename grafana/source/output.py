"""All dashboards as JSON texts by file name."""

from __future__ import annotations

from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.source import boards, energy, fleet, health, home, miner, miners, onboarding, pools

_BUILDERS = {
    "fleet": fleet.build,
    "miners": miners.build,
    "miner": miner.build,
    "boards": boards.build,
    "pools": pools.build,
    "home": home.build,
    "onboarding": onboarding.build,
    "health": health.build,
    "energy": energy.build,
}


def texts() -> dict[str, str]:
    """File name -> content."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    return {f"{name}.json": encoder.encode(build()) + "\n" for name, build in _BUILDERS.items()}


def write(folder: Path) -> None:
    """Write every dashboard into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")
