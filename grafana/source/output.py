"""All dashboards as JSON texts by file name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

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


def _shown(node: Any) -> Any:
    """`node` without the SDK's default of hiding links and annotations in a menu."""
    if isinstance(node, dict):
        return {key: _shown(value) for key, value in node.items() if (key, value) != ("placement", "inControlsMenu")}
    return [_shown(each) for each in node] if isinstance(node, list) else node


def texts() -> dict[str, str]:
    """File name -> content."""
    documents = {name: json.loads(JSONEncoder().encode(build())) for name, build in _BUILDERS.items()}
    return {
        f"{name}.json": json.dumps(_shown(document), sort_keys=True, indent=2, ensure_ascii=False) + "\n"
        for name, document in documents.items()
    }


def write(folder: Path) -> None:
    """Write every dashboard into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts().items():
        (folder / name).write_text(text, encoding="utf-8")
