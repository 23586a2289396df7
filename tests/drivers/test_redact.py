"""What a recording must not tell, and what it must keep."""

import json

from exporter.drivers.api import Answer
from exporter.drivers.redact import redact_answers, redact_stream

MAC = "10:F5:12:33:BB:F0"
WALLET = "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3"


def redacted(document, key="GET /x"):
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return redact_answers({key: Answer(body)})[key].body


def as_json(document):
    return json.loads(redacted(document))


def test_one_mac_has_one_stand_in_in_every_form():
    answers = {
        "a": Answer(json.dumps({"macAddr": MAC}).encode()),
        "b": Answer(f'{{"MAC": "{MAC.replace(":", "").lower()}", "other": "66:F3:55:23:1A:BD"}}'.encode()),
        "c": Answer(f"<p>device {MAC.lower()}</p>".encode()),
    }
    found = {key: answer.body.decode() for key, answer in redact_answers(answers).items()}
    assert json.loads(found["a"]) == {"macAddr": "02:00:00:00:00:01"}
    assert json.loads(found["b"]) == {"MAC": "020000000001", "other": "02:00:00:00:00:02"}
    assert found["c"] == "<p>device 02:00:00:00:00:01</p>"


def test_a_mac_that_names_nobody_stays():
    assert as_json({"mac": "00:00:00:00:00:00"}) == {"mac": "00:00:00:00:00:00"}


def test_addresses_of_the_private_network_go_and_versions_stay():
    document = {"ip": "10.1.2.3", "note": "seen at 192.168.4.5", "version": "49.0.1.3", "mask": "255.255.255.0"}
    assert as_json(document) == {
        "ip": "192.0.2.1",
        "note": "seen at 192.0.2.2",
        "version": "49.0.1.3",
        "mask": "255.255.255.0",
    }
    assert as_json({"ipv6": "FE80::F2F5:BDFF:FE44:B2F0"}) == {"ipv6": "2001:db8::1"}


def test_a_public_pool_keeps_its_name_and_loses_its_address():
    document = {"stratumURL": "stratum+tcp://pool.example.com:3333", "url": "stratum+tcp://203.0.113.9:3333"}
    assert as_json(document) == {
        "stratumURL": "stratum+tcp://pool.example.com:3333",
        "url": "stratum+tcp://192.0.2.1:3333",
    }


def test_users_keep_their_shape():
    found = as_json({"stratumUser": f"{WALLET}.desk", "fallbackStratumUser": f"{WALLET}.rack", "User": "jane.1"})
    assert found["stratumUser"].endswith("1.worker1")
    assert found["fallbackStratumUser"].endswith("1.worker2")
    assert found["User"] == "example1.worker3"
    assert len(found["stratumUser"].partition(".")[0]) == len(WALLET)
    assert found["stratumUser"].startswith("bc1qexample")


def test_the_firmware_makers_own_pool_stays_recognisable():
    assert as_json({"url": "DevFee", "user": "DevFee"}) == {"url": "DevFee", "user": "DevFee"}


def test_a_wallet_goes_wherever_it_stands():
    assert WALLET.encode() not in redacted({"coinbase": [f"pays {WALLET} now"]})


def test_secrets_go_and_empty_ones_stay():
    document = {
        "wifiPass": "hunter22",
        "token": "eyJhbGci",
        "pass": "",
        "stratumPassword": "*****",
        "pin_pwd": 12345678,
    }
    assert as_json(document) == {
        "wifiPass": "redacted",
        "token": "redacted",
        "pass": "",
        "stratumPassword": "*****",
        "pin_pwd": 0,
    }


def test_serials_keep_letters_and_digits():
    found = as_json({"serial": "HKYD-0317a", "chain": [{"sn": "PIEMC1234"}], "serinum": 12345678})
    assert found == {"serial": "AAAA-00001", "chain": [{"sn": "AAAAA0002"}], "serinum": 10000003}


def test_names_go_also_where_another_answer_gave_them_away():
    answers = {
        "GET /info": Answer(b'{"hostname": "janes-garage", "ssid": "janes-net"}'),
        "GET /": Answer(b"<title>janes-garage</title>"),
    }
    found = redact_answers(answers)
    assert json.loads(found["GET /info"].body) == {"hostname": "miner-1", "ssid": "example-wifi-1"}
    assert found["GET /"].body == b"<title>miner-1</title>"


def test_a_name_as_it_left_the_factory_stays():
    document = {"hostname": "Antminer", "minertype": "Antminer S19"}
    assert as_json(document) == document


def test_the_text_forms_of_the_cgminer_api():
    body = f"STATUS=S,When=1|POOL=0,URL=stratum+tcp://10.0.0.9:3333,User={WALLET}.a,Pass=x1,Accepted=1234567|".encode()
    found = redacted(body).decode()
    assert found.startswith("STATUS=S,When=1|POOL=0,URL=stratum+tcp://192.0.2.1:3333,User=bc1qexample")
    assert found.endswith(".worker1,Pass=redacted,Accepted=1234567|")
    tokens = redacted(b"Ver[1246] DNA[02010000c2c6f362] MEMFREE[1207600] MAC[e0e1a93ef5a5]").decode()
    assert tokens == "Ver[1246] DNA[00000000a0a0a001] MEMFREE[1207600] MAC[020000000001]"


def test_figures_are_never_touched():
    document = {
        "hashRate": 1072240722.7,
        "bestDiff": 49224525,
        "current": 12015625,
        "networkDifficulty": 146472570619930,
    }
    assert as_json(document) == document


def test_broken_answers_keep_every_other_byte():
    body = b'{"hostname": "janes-garage", "x": 1}{"y":\xff\x00,}'
    assert redacted(body) == b'{"hostname": "miner-1", "x": 1}{"y":\xff\x00,}'


def test_headers_and_status_are_kept_but_for_secrets():
    answer = Answer(b"", 401, {"www-authenticate": "Digest realm=x", "set-cookie": "id=7"})
    found = redact_answers({"GET /": answer})["GET /"]
    assert (found.status, dict(found.headers)) == (
        401,
        {"www-authenticate": "Digest realm=x", "set-cookie": "redacted"},
    )


def test_datagrams():
    assert redact_stream((b'{"ip": "192.168.1.7"}', b'{"IP": "192.168.1.7"}')) == (
        b'{"ip": "192.0.2.1"}',
        b'{"IP": "192.0.2.1"}',
    )
