"""What only asks, and what may change a device: by the command's name, and by the path of a GET."""

import pytest

from exporter.drivers.api import CgminerRequest, HttpRequest, may_write
from exporter.drivers.asking import asks, path_acts
from exporter.drivers.loader import load_drivers


def words(text):
    return text.split()


READS = words("""
    summary stats estats litestats minerstats devs edevs devdetails pools version config coin check lcd notify asccount
    asc pga pgacount gpu gpucount status get_version get_psu get_miner_info get_error_code get_token get.device.info
    get.miner.status fans temps tempctrl tunerstatus power profiles groups voltageget healthchipget events limits
    session fan frequency ipreport led mode psu temperature voltage usbstats privileged
""")

WRITES = words("""
    power_off power_on set_low_power set_normal_power set_high_power adjust_power_limit restart_btminer update_pools
    factory_reset set_led set.miner.pools download_logs curtail profileset frequencyset voltageset atmset fanset
    ledset powertarget powertargetset rebootdevice resetminer logon logoff pause resume start stop addpool
    removepool switchpool enablepool disablepool poolpriority poolquota zero quit restart save setconfig failover-only
    debug lockstats hotplug ascset ascenable ascdisable pgaset setpool reboot
""")


@pytest.mark.parametrize("command", READS)
def test_a_command_that_asks(command):
    for request in (
        CgminerRequest(command),
        CgminerRequest(f" {command.upper()} "),
        CgminerRequest(f"{command}+pools"),
    ):
        assert not may_write(request)


@pytest.mark.parametrize("command", [*WRITES, "", "get", "getpools", "summary|x", "nobody knows this one"])
def test_any_other_command_may_write(command):
    for request in (CgminerRequest(command), CgminerRequest(f"summary+{command}"), CgminerRequest(command, "0,1")):
        assert may_write(request)


def test_what_asks_alone_may_write_with_a_parameter():
    for command in ("fan", "frequency", "led", "mode", "voltage"):
        assert (asks(command), asks(command, "1"), asks(f"summary+{command}", "1")) == (True, False, False)


@pytest.mark.parametrize(
    "path",
    [
        "/cgi-bin/luci/admin/system/reboot/call",
        "/cgi-bin/minerReboot.cgi",
        "/cgi-bin/minerreboot.cgi",
        "/cgi-bin/set_miner_conf.cgi?a=1",
        "/cgi-bin/reboot.cgi",
        "/cgi-bin/%72eboot.cgi",
        "/cgi-bin/upgrade_clear.cgi",
        "/cgi-bin/api.cgi?command=restart",
        "/api?action=factoryReset",
        "/api/factory",
        "/api/restore-factory",
        "/api/system/softReset2",
        "/api/system/APIRestart/",
        "/api/pools/update",
        "/setPool",
        "/mcb/facrst",
        "/system/shutdown",
        "/RESET",
    ],
)
def test_a_path_that_acts(path):
    assert path_acts(path)
    for method in ("GET", "HEAD"):
        assert may_write(HttpRequest(path, method=method))
        assert may_write(HttpRequest("/info", otherwise=HttpRequest(path, method=method)))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/system/asic",
        "/api/v1/autotune/presets",
        "/api/v1/settings",
        "/api/setting/mining",
        "/api/v1/chains/factory-info",
        "/cgi-bin/get_miner_conf.cgi",
        "/cgi-bin/get_upgrade_status.cgi",
        "/mcb/cgminer?cgminercmd=devs",
        "/dataset/offset",
        "/api/lastUpdated",
    ],
)
def test_a_path_that_asks(path):
    assert not path_acts(path)
    assert not may_write(HttpRequest(path))
    assert may_write(HttpRequest(path, method="POST"))


def test_no_probe_of_ours_writes():
    drivers = load_drivers(None).drivers.values()
    assert [probe.key for driver in drivers for probe in driver.probes if may_write(probe)] == []
