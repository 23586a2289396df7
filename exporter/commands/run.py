"""``flockwatch run``."""

from __future__ import annotations

import argparse
import os

from exporter.app import App, RunOptions
from exporter.config_values import Listen, parse_listen
from exporter.errors import UsageError


def _listen(option: str, text: str | None) -> Listen | None:
    if text is None:
        return None
    try:
        return parse_listen(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}, got {text!r}") from error


def run(options: argparse.Namespace) -> int:
    """Run the program until it is told to stop."""
    run_options = RunOptions(
        options.config_file,
        _listen("--web.listen-address", options.metrics_addr),
        _listen("--ui.listen-address", options.ui_addr),
        options.web_config,
        options.yes,
    )
    return App(run_options, os.environ).run()
