"""Sign-in: who may see and change what, and from where."""

from onboarding_ui.auth.protect import protect

__all__ = ["protect"]
