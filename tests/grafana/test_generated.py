"""The committed dashboards are those of the source, and Grafana is told where they are."""

import json
import re

import yaml

from grafana.source.output import texts
from tests.end_to_end.programs import ROOT
from tests.grafana.boards import FOLDER

PROVISIONING = ROOT / "grafana" / "provisioning"


def test_the_committed_files_are_what_the_source_makes():
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    made = texts()
    assert set(committed) == set(made)
    for name, text in made.items():
        assert committed[name] == text, f"{name} is old: python -m grafana.source"


def test_the_nine_dashboards_are_there():
    assert set(texts()) == {
        f"{name}.json"
        for name in ("fleet", "miners", "miner", "boards", "pools", "home", "onboarding", "health", "energy")
    }


def test_the_data_sources_have_fixed_names_and_no_secret():
    document = yaml.safe_load((PROVISIONING / "datasources" / "flockwatch.yml").read_text())
    assert document["apiVersion"] == 1
    prometheus, alertmanager = document["datasources"]
    assert (prometheus["type"], prometheus["uid"]) == ("prometheus", "flockwatch-prometheus")
    assert prometheus["isDefault"] is True
    assert (alertmanager["type"], alertmanager["uid"]) == ("alertmanager", "flockwatch-alertmanager")
    assert prometheus["jsonData"]["alertmanagerUid"] == alertmanager["uid"]
    shipped = yaml.safe_load((ROOT / "prometheus" / "prometheus.yml").read_text())
    assert prometheus["jsonData"]["timeInterval"] == shipped["global"]["scrape_interval"]
    for source in document["datasources"]:
        assert source["editable"] is False
        assert not {"secureJsonData", "password", "basicAuthPassword"} & set(source)


def test_the_folder_of_dashboards_is_read_only():
    document = yaml.safe_load((PROVISIONING / "dashboards" / "flockwatch.yml").read_text())
    assert document["apiVersion"] == 1
    (provider,) = document["providers"]
    assert provider["type"] == "file"
    assert provider["disableDeletion"] is True
    assert provider["allowUiUpdates"] is False
    assert provider["options"]["path"].startswith("/")


def test_what_draws_the_pictures_is_pinned():
    document = json.loads((ROOT / "grafana" / "pictures" / "package.json").read_text())
    loose = {
        name: wanted for name, wanted in document["dependencies"].items() if not re.fullmatch(r"\d+\.\d+\.\d+", wanted)
    }
    assert loose == {}


def test_the_pictures_of_all_dashboards_are_in_the_documentation():
    text = (ROOT / "docs" / "dashboards.md").read_text()
    for path in FOLDER.iterdir():
        picture = f"images/dashboard-{path.stem}.png"
        assert picture in text
        assert (ROOT / "docs" / picture).is_file()
