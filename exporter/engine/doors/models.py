"""The door to the models of miners."""

from __future__ import annotations

from exporter.engine.api.caller import EngineCaller
from exporter.engine.engine import Engine
from exporter.errors import FieldError, UnknownError
from exporter.store.rows import ModelRow
from exporter.text import clean_text


class ModelsDoor:
    """`ModelsApi` over the engine."""

    def __init__(self, caller: EngineCaller, engine: Engine) -> None:
        self._caller = caller
        self._db = engine.db

    def all(self) -> tuple[ModelRow, ...]:
        """See `ModelsApi`."""
        return tuple(sorted(self._db.models.all(), key=lambda row: row.alias.casefold()))

    def set_max_preset(self, alias: str, max_preset: str | None) -> ModelRow:
        """See `ModelsApi`."""

        async def change() -> ModelRow:
            model = self._db.models.get(alias)
            if model is None:
                raise UnknownError(f"no model is called {clean_text(alias, 40)!r}; the page Models lists them")
            if max_preset is not None:
                _check_offered(model, max_preset)
            changed = self._db.models.set_max_preset(alias, max_preset)
            await self._db.commit()
            return changed

        return self._caller.call(change)


def _check_offered(model: ModelRow, preset: str) -> None:
    if model.presets is None:
        raise FieldError(
            f"max_preset: the presets of {model.alias} are not known; they are read when a miner of this model that"
            " tells them answers",
            "max_preset",
        )
    names = [offered.name for offered in model.presets]
    if preset not in names:
        raise FieldError(
            f"max_preset: {model.alias} does not offer {clean_text(preset, 40)!r}; it offers {', '.join(names)}",
            "max_preset",
        )
