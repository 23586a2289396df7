"""The architecture, checked: who may import whom, sizes, handlers, links of the documents."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("exporter", "onboarding_ui", "simulator")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LARGEST_MODULE = 500

#: A package and what it may import of ours (its own package aside).
ALLOWED = {
    "exporter/units.py": (),
    "exporter/errors.py": (),
    "exporter/text.py": (),
    "exporter/model.py": ("exporter.units",),
    "exporter/model_usb.py": ("exporter.units",),
    "exporter/protocols": (
        "exporter.model_usb",
        "exporter.errors",
        "exporter.text",
        "exporter.units",
        "exporter.model",
    ),
    "exporter/drivers/api.py": (
        "exporter.errors",
        "exporter.model",
        "exporter.protocols",
        "exporter.units",
    ),
    "exporter/drivers/fields.py": ("exporter.errors", "exporter.text", "exporter.units"),
    "exporter/drivers/families": (
        "exporter.drivers",
        "exporter.errors",
        "exporter.model",
        "exporter.model_usb",
        "exporter.protocols",
        "exporter.text",
        "exporter.units",
    ),
    "exporter/drivers/bundled": (
        "exporter.drivers",
        "exporter.errors",
        "exporter.model",
        "exporter.protocols",
        "exporter.text",
        "exporter.units",
    ),
    "exporter/transports": (
        "exporter.drivers.api",
        "exporter.errors",
        "exporter.protocols",
        "exporter.engine.exchange",
        "exporter.text",
    ),
    "exporter/discovery": ("exporter.drivers.api", "exporter.errors", "exporter.text", "exporter.units"),
    "exporter/metrics": (
        "exporter.model_usb",
        "exporter",
        "exporter.engine.fleet",
        "exporter.errors",
        "exporter.model",
        "exporter.text",
        "exporter.units",
    ),
    "exporter/shares": (
        "exporter.engine.api",
        "exporter.engine.fleet",
        "exporter.errors",
        "exporter.model",
        "exporter.protocols",
        "exporter.store.files",
        "exporter.store.rows",
        "exporter.text",
        "exporter.units",
        "exporter.wallets.pool_place",
    ),
    "exporter/diagnostics": (
        "exporter.config_schema",
        "exporter.discovery",
        "exporter.engine",
        "exporter.model",
        "exporter.model_usb",
        "exporter.store",
        "exporter.text",
        "exporter.transports.serial_errors",
        "exporter.wallets.reasons",
    ),
    "exporter/store": (
        "exporter.errors",
        "exporter.model",
        "exporter.text",
        "exporter.units",
        "exporter.config_values",
    ),
    "exporter/wallets": (
        "exporter",
        "exporter.config",
        "exporter.drivers.fields",
        "exporter.drivers.manifest",
        "exporter.engine.api.wallets",
        "exporter.engine.fleet",
        "exporter.engine.onboarding",
        "exporter.engine.tasks",
        "exporter.errors",
        "exporter.store.database",
        "exporter.store.rows",
        "exporter.text",
        "exporter.units",
    ),
    "exporter/wallets/adapters": (
        "exporter.drivers.fields",
        "exporter.drivers.manifest",
        "exporter.engine.api.wallets",
        "exporter.errors",
        "exporter.units",
        "exporter.wallets.currencies",
        "exporter.wallets.pool_place",
        "exporter.wallets.pool_user",
    ),
    "exporter/wallets/addresses.py": ("exporter.errors", "exporter.wallets.currencies"),
    "onboarding_ui": (
        "exporter",
        "exporter.config",
        "exporter.engine.api",
        "exporter.engine.client",
        "exporter.engine.fleet",
        "exporter.engine.onboarding",
        "exporter.errors",
        "exporter.model",
        "exporter.model_usb",
        "exporter.store.rows",
        "exporter.store.secret",
        "exporter.units",
        "exporter.wallets.addresses",
        "exporter.wallets.pool_user",
        "exporter.wallets.reasons",
    ),
    "simulator": (),
}

#: Where a handler of every exception may stand: calls into drivers, their loading, the exposition, the engine's thread.
BROAD = {
    "exporter/app.py",
    "exporter/discovery/identify.py",
    "exporter/drivers/loader.py",
    "exporter/engine/poller.py",
    "exporter/engine/search.py",
    "exporter/engine/streams.py",
    "exporter/metrics/render.py",
    "exporter/metrics/selfmetrics.py",
}


def name(path):
    return path.relative_to(ROOT).as_posix()


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def ours(module):
    return module.split(".")[0] in PACKAGES


@pytest.mark.parametrize("place", ALLOWED)
def test_imports_go_in_one_direction(place):
    target = ROOT / place
    files = [target] if target.is_file() else sorted(target.rglob("*.py"))
    assert files
    own = place.removesuffix(".py").replace("/", ".")
    allowed = ALLOWED[place]
    wrong = [
        f"{name(path)} imports {module}"
        for path in files
        for module in imports(path)
        if ours(module)
        and not (module == own or module.startswith(own + "."))
        and not any(module == one or (one != "exporter" and module.startswith(one + ".")) for one in allowed)
    ]
    assert wrong == []


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_modules_stay_small(path):
    assert path.read_text().count("\n") <= LARGEST_MODULE


def handlers(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            yield node


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_no_handler_is_silent(path):
    silent = [node.lineno for node in handlers(path) if all(isinstance(line, ast.Pass) for line in node.body)]
    assert silent == []


def test_handlers_of_every_exception_stand_at_the_isolation_points_only():
    broad = {
        name(path)
        for path in SOURCES
        for node in handlers(path)
        if node.type is None
        or (
            (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
            and not isinstance(node.body[-1], ast.Raise)
        )
    }
    assert broad <= BROAD


@pytest.mark.parametrize("document", sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))), ids=name)
def test_links_of_the_documents_lead_somewhere(document):
    text = document.read_text()
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [
        target
        for target in targets
        if target and not re.match(r"[a-z]+:", target) and not (document.parent / target).exists()
    ]
    assert missing == []
