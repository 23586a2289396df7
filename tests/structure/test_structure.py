"""The architecture, checked: who may import whom, sizes, handlers, links of the documents."""

import ast
import re
import tomllib
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
    "exporter/drivers/asking.py": (),
    "exporter/drivers/api.py": (
        "exporter.drivers.asking",
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
        "exporter.config_values",
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
        "exporter.engine.names",
        "exporter.engine.onboarding",
        "exporter.errors",
        "exporter.model",
        "exporter.model_usb",
        "exporter.store.rows",
        "exporter.store.secret",
        "exporter.text",
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
    "exporter/drivers/execution.py",
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


DOCUMENTS = sorted((*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_of_the_documents_lead_somewhere(document):
    text = document.read_text()
    targets = [target.split("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text)]
    missing = [
        target
        for target in targets
        if target and not re.match(r"[a-z]+:", target) and not (document.parent / target).exists()
    ]
    assert missing == []


def anchors(text):
    """What links may name behind a #: the headings, written as forges write them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_to_headings_find_them(document):
    text = document.read_text()
    for file, anchor in re.findall(r"\]\(([^)\s:#]*)#([^)\s]+)\)", text):
        target = document.parent / file if file else document
        assert anchor in anchors(target.read_text()), f"{file}#{anchor}"


def columns(line):
    """How many cells a row of a Markdown table has; a pipe with a backslash before it is text."""
    return len(re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|")))


def tables(text):
    """The rows of each table outside of code, as (number of the line, line)."""
    found, fence = [[]], None
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark:
            fence = mark[1] if fence is None else None if mark[1].startswith(fence) else fence
        if fence is None and not mark and line.lstrip().startswith("|"):
            found[-1].append((number, line))
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_rows_of_a_table_have_as_many_columns_as_its_head(document):
    wrong = []
    for table in tables(document.read_text()):
        head, rule = (line for _, line in table[:2])
        assert re.fullmatch(r"[|\s:-]+", rule), f"{name(document)}:{table[1][0]} is no line below a head"
        wrong += [f"{number}: {line}" for number, line in table if columns(line) != columns(head)]
    assert wrong == []


def test_a_row_with_a_cell_too_many_is_seen():
    text = "| a | b |\n| --- | --- |\n| 1 | `x\\|y` |\n\n```sh\n| no table\n```\n| c |\n| --- |\n| 1 |18 bytes |\n"
    assert [[columns(line) for _, line in table] for table in tables(text)] == [[2, 2, 2], [1, 1, 2]]


#: Where addresses of the project may stand, beside the files at the top.
FOLDERS = (*PACKAGES, "deploy", "docs", "grafana/dashboards", "grafana/provisioning", "grafana/source", "prometheus")


def shipped_texts():
    """(path, text) of what a user gets, as far as it is text."""
    top = [path for path in ROOT.iterdir() if path.is_file()]
    for path in (*top, *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))):
        # What Python compiles comes and goes while other tests run.
        if "__pycache__" not in path.parts and path.is_file() and path.suffix != ".png":
            yield name(path), path.read_text(errors="replace")


def test_the_project_has_one_address():
    """pyproject.toml says where the project lives: links to it begin with that, and lead to files that are there."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    home = urls["Repository"]
    owner = home.rsplit("/", 1)[0]
    assert all(url.startswith(home) for url in urls.values())
    texts = dict(shipped_texts())
    found = [
        (path, url) for path, text in texts.items() for url in re.findall(rf"{re.escape(owner)}[^\s\"'`)>\]]*", text)
    ]
    for path, url in found:
        inside = re.fullmatch(rf"{re.escape(home)}(\.git|/issues|/(?:blob|tree)/main/(?P<file>.+))?", url)
        assert inside, f"{path}: {url} does not begin with {home}"
        # A dashboard fills the name of an alarm into it.
        file = ROOT / (inside["file"] or "").replace("${__data.fields.alertname}", "Watchdog")
        assert file.exists(), f"{path}: {url} leads nowhere"
    assert f"\nDocumentation={home}\n" in texts["deploy/systemd/flockwatch.service"]
    assert f"git clone {home}.git " in texts["docs/install.md"]
    pages = f"{urls['Documentation'].replace('/tree/', '/blob/')}/runbooks/"
    raised = [url for path, text in texts.items() if "rules" in path for url in re.findall(r"runbook_url: (\S+)", text)]
    assert raised
    assert [url for url in raised if not url.startswith(pages)] == []
