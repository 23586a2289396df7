"""Models of miners and the ceiling a person sets for their presets."""

from __future__ import annotations

from typing import Protocol

from exporter.store.rows import ModelRow


class ModelsApi(Protocol):
    """See the module and the package."""

    def all(self) -> tuple[ModelRow, ...]:
        """All models, by alias."""
        ...

    def set_max_preset(self, alias: str, max_preset: str | None) -> ModelRow:
        """Set or take away the highest preset that may be applied.

        Raises:
            UnknownError: no such model.
            FieldError: the model does not offer the preset, or its presets are not known.
        """
        ...
