"""The contexts: what is agreed under which settings, every wrong file in a sentence, keys that are written down."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import msgspec
import pytest
from support_pki import NAME, Pair, Pki, client_end, converse, server_end
from test_tlspipe import LONG_S, drive, say

from ocppscope.errors import UsageError
from ocppscope.proxy import contexts
from ocppscope.proxy.authority import Authority
from ocppscope.proxy.contexts import (
    KeyLog,
    StationContexts,
    TlsSettings,
    cautions,
    client_context,
    server_hostname,
)
from ocppscope.proxy.tls import TlsPipe

HERE = "192.0.2.1"


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def good(pki) -> Pair:
    return pki.leaf()


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority.open(str(tmp_path_factory.mktemp("ca")))


@pytest.fixture(scope="module")
def root(authority, tmp_path_factory) -> str:
    """The root of our authority, in a file."""
    path = tmp_path_factory.mktemp("root") / "root.pem"
    path.write_text(authority.certificate_pem)
    return str(path)


def agree(client: ssl.SSLContext, settings: TlsSettings, authority: Authority | None = None, name: str | None = NAME):
    """A station's handshake with the proxy: both ends."""
    ends = (
        TlsPipe(client, server_hostname=name),
        TlsPipe(StationContexts(settings, authority).at(HERE), server_side=True),
    )
    converse(*ends)
    return ends


# --- towards stations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [NAME, "CSMS-2.example", "10.1.2.3", "2001:db8::1", "localhost"])
def test_our_authority_has_a_certificate_for_every_name(name, authority, root):
    """Addresses do not stand in the hello: what the station connected to is in the certificate then."""
    address = name if name[0].isdigit() else HERE
    pipe = TlsPipe(StationContexts(TlsSettings(), authority).at(address), server_side=True)
    client = TlsPipe(client_end(root=root), server_hostname=name)
    converse(client, pipe)
    assert (client.failure, pipe.failure) == (None, None)
    assert client.done


def test_a_station_that_asks_for_no_name_gets_the_address(authority, root):
    context = client_end(root=root)
    context.check_hostname = False
    client, _ = agree(context, TlsSettings(), authority, name=None)
    assert client.facts is not None
    assert HERE in certificate_text(client.facts.certificate)


def certificate_text(der: bytes | None) -> str:
    from cryptography import x509

    assert der is not None
    found = x509.load_der_x509_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return str(found.value)


@pytest.mark.parametrize(
    ("ciphers", "cipher"),
    [
        ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("AES128-GCM-SHA256", "AES128-GCM-SHA256"),  # the suites that OCPP 2.0.1 names for stations without curves
        ("AES256-GCM-SHA384", "AES256-GCM-SHA384"),
    ],
)
def test_a_station_that_knows_one_kind_of_key_is_served(ciphers, cipher, authority, root):
    context = client_end(root=root, highest="1.2")
    context.set_ciphers(ciphers)
    client, server = agree(context, TlsSettings(), authority)
    assert (client.failure, server.failure) == (None, None)
    assert server.facts.cipher == cipher


def test_an_own_certificate_is_shown_whatever_is_asked_for(pki, good):
    settings = TlsSettings(certificate=good.certificate, key=good.key)
    client, _ = agree(client_end(), settings, name="something.else")
    assert client.facts.certificate == ssl.PEM_cert_to_DER_cert(pki.read(good.certificate))


def test_certificate_and_key_in_one_file(pki, good):
    both = pki.write("both.pem", (pki.read(good.certificate) + pki.read(good.key)).encode())
    assert agree(client_end(root=pki.root), TlsSettings(certificate=both))[0].done


@pytest.mark.parametrize(("minimum", "agreed"), [("1.0", "TLSv1"), ("1.2", None)])
def test_old_stations_need_a_word(minimum, agreed, authority):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = client_end(lowest="1.0", highest="1.0")
    context.set_ciphers("ALL:@SECLEVEL=0")
    _, server = agree(context, TlsSettings(minimum=minimum), authority)
    if agreed:
        assert server.facts.version == agreed
    else:
        assert server.failure.code == "wrong-version"
        assert "--tls-min" in server.failure.hint


@pytest.mark.parametrize(
    ("asking", "shows", "done", "code"),
    [
        ("no", True, True, None),
        ("ask", True, True, None),
        ("ask", False, True, None),
        ("require", True, True, None),
        ("require", False, False, "no-client-certificate"),
    ],
)
@pytest.mark.parametrize("whose", ["a file's", "ours"])
def test_client_certificates(asking, shows, done, code, whose, pki, authority, root):
    if whose == "ours":
        leaf = authority.issue_client("CP-1", "ec")
        pair = Pair(pki.write("cp.pem", leaf.certificate), pki.write("cp.key", leaf.key))
        settings = TlsSettings(client_certificates=asking)
    else:
        pair = pki.leaf("CP-1", use="client")
        settings = TlsSettings(client_certificates=asking, client_ca=pki.root)
    _, server = agree(client_end(root=root, pair=pair if shows else None), settings, authority)
    assert (server.done, server.failure and server.failure.code) == (done, code)
    assert done is False or server.facts.client_certificate is (shows and asking != "no")


def test_a_certificate_that_nobody_knows_is_refused_even_where_none_is_required(pki, authority, root, tmp_path):
    stranger = Pki(tmp_path, "a stranger").leaf("CP-1", use="client")
    _, server = agree(
        client_end(root=root, pair=stranger), TlsSettings(client_certificates="ask", client_ca=pki.root), authority
    )
    assert server.failure.code == "unknown-ca"


# --- towards the CSMS -------------------------------------------------------------------------------------------


def reach(settings: TlsSettings, server: ssl.SSLContext, name: str = NAME) -> TlsPipe:
    client = TlsPipe(client_context(settings), server_hostname=server_hostname(settings, name))
    converse(client, TlsPipe(server, server_side=True))
    return client


def test_the_system_s_roots_do_not_know_ours(good):
    assert reach(TlsSettings(), server_end(good)).failure.code == "unknown-ca"


def test_a_root_that_is_given(pki, good):
    settings = TlsSettings(csms_ca=pki.root)
    assert reach(settings, server_end(good)).done
    assert reach(settings, server_end(good), "other.example").failure.code == "wrong-name"


def test_a_certificate_that_is_given_is_its_own_root(pki):
    alone = pki.leaf(self_signed=True)
    assert reach(TlsSettings(csms_ca=alone.certificate), server_end(alone)).done
    issued = pki.leaf()
    assert reach(TlsSettings(csms_ca=issued.certificate), server_end(issued)).done


def test_another_name_than_the_url_s(pki, good):
    client = reach(TlsSettings(csms_ca=pki.root, csms_name=NAME), server_end(good), "10.0.0.5")
    assert client.done
    assert client.facts.server_name == NAME


def test_insecure_believes_everybody(pki):
    client = reach(TlsSettings(insecure=True), server_end(pki.leaf("x.example", begins=-9, ends=-2)))
    assert client.done
    assert client.facts.certificate


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_a_client_certificate_for_the_csms(version, pki, good):
    pair = pki.leaf("CP-1", use="client")
    settings = TlsSettings(csms_ca=pki.root, csms_certificate=pair.certificate, csms_key=pair.key)
    server = server_end(good, root=pki.root, highest=version)
    client, end = (
        TlsPipe(client_context(settings), server_hostname=NAME),
        TlsPipe(server, server_side=True),
    )
    converse(client, end)
    assert (client.done, end.done) == (True, True)
    assert end.facts.client_certificate


@pytest.mark.parametrize("name", ["csms.example:443/x", "", "a..b", "x" * 300, "csms\n"])
def test_a_name_that_no_certificate_holds(name):
    with pytest.raises(UsageError, match="no host name"):
        server_hostname(TlsSettings(), name)


@pytest.mark.parametrize(
    ("host", "asked"), [("[::1]", "::1"), ("[fe80::1%eth0]", "fe80::1"), ("CSMS.example.", NAME), (HERE, HERE)]
)
def test_the_host_of_a_url_as_a_name(host, asked):
    assert server_hostname(TlsSettings(), host) == asked


@pytest.mark.parametrize(
    ("option", "order", "answers", "sign"),
    [
        ("-tls1_2", "r", 2, b""),  # a new handshake in the middle, as IIS has it
        ("-tls1_3", "c", 1, b"CN = CP-1"),  # asks for a certificate when it has seen the request
    ],
)
def test_a_csms_that_negotiates_in_the_middle(option, order, answers, sign, pki, good, free_port):
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed")
    pair = pki.leaf("CP-1", use="client")
    settings = TlsSettings(csms_ca=pki.root, csms_certificate=pair.certificate, csms_key=pair.key)
    pipe = TlsPipe(client_context(settings), server_hostname=NAME)
    command = [openssl, "s_server", "-accept", f"127.0.0.1:{free_port}", "-cert", good.certificate, "-key", good.key]
    command += [option, "-CAfile", pki.root, "-naccept", "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            read_until(process, b"ACCEPT")
            with socket.create_connection(("127.0.0.1", free_port), LONG_S) as ours:
                ours.sendall(pipe.start())
                while not pipe.done:
                    ours.sendall(pipe.received(ours.recv(1000)).to_send)
                ours.sendall(pipe.send(b"GET /ocpp\n"))
                read_until(process, b"GET /ocpp")
                say(process, order.encode() + b"\n")
                while answers:
                    answer = pipe.received(ours.recv(4096)).to_send
                    ours.sendall(answer)
                    answers -= bool(answer)
                read_until(process, sign)
                say(process, b"news\n")
                assert drive(pipe, ours, b"news\n") == b"news\n"
                ours.sendall(pipe.send(b"behind it\n"))
                read_until(process, b"behind it")
                assert pipe.failure is None
        finally:
            process.kill()


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def read_until(process: subprocess.Popen[bytes], sign: bytes) -> None:
    assert process.stdout is not None
    seen = b""
    while sign not in seen:
        piece = os.read(process.stdout.fileno(), 4096)
        assert piece, seen
        seen += piece


# --- wrong files ------------------------------------------------------------------------------------------------


WRONG = {
    "missing": (lambda pki, good: (f"{pki.root}.gone", good.key), "cannot be read from"),
    "a directory": (lambda pki, good: (str(pki.directory), good.key), "Is a directory"),
    "no certificate": (lambda pki, good: (good.key, good.key), "there is no PEM certificate"),
    "der": (
        lambda pki, good: (
            pki.write("c.der", ssl.PEM_cert_to_DER_cert(pki.read(good.certificate))),
            good.key,
        ),
        "there is no PEM certificate",
    ),
    "no key": (lambda pki, good: (good.certificate, good.certificate), "There is no PEM private key"),
    "no key named": (lambda pki, good: (good.certificate, ""), "There is no PEM private key"),
    "key missing": (lambda pki, good: (good.certificate, f"{good.key}.gone"), "cannot be read from"),
    "another key": (lambda pki, good: (good.certificate, pki.leaf().key), "does not belong to the certificate"),
    "another kind of key": (
        lambda pki, good: (good.certificate, pki.leaf(kind="2048").key),
        "does not belong to the certificate",
    ),
    "encrypted": (lambda pki, good: pki.leaf(password=b"secret"), "is encrypted"),
    "too weak": (lambda pki, good: pki.leaf(kind="1024"), "is too weak"),
    "damaged": (
        lambda pki, good: (pki.write("x.pem", pki.read(good.certificate)[:200].encode() + b"\n"), good.key),
        "cannot be used",
    ),
    "huge": (lambda pki, good: (pki.write("huge", bytes(contexts.MAX_FILE_BYTES + 1)), good.key), "too large"),
}


@pytest.mark.parametrize("side", ["stations", "csms"])
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_a_sentence(what, side, pki, good):
    make, words = WRONG[what]
    certificate, key = make(pki, good)
    makers = {
        "stations": lambda: StationContexts(TlsSettings(certificate=certificate, key=key)),
        "csms": lambda: client_context(TlsSettings(csms_certificate=certificate, csms_key=key)),
    }
    with pytest.raises(UsageError) as caught:
        makers[side]()
    assert words in caught.value.what
    assert caught.value.hint.endswith((".", "plain.key"))
    assert "BEGIN" not in caught.value.what


@pytest.mark.parametrize("what", ["missing", "no key", "der", "damaged"])
def test_a_wrong_root_is_a_sentence(what, pki, good, authority):
    path = {"no key": good.key}.get(what) or WRONG[what][0](pki, good)[0]
    for make in (
        lambda: client_context(TlsSettings(csms_ca=path)),
        lambda: StationContexts(TlsSettings(client_certificates="require", client_ca=path), authority),
    ):
        with pytest.raises(UsageError, match=r"cannot be read|holds no PEM certificate"):
            make()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (TlsSettings(minimum="1.4"), "'1.4' is no TLS version"),
        (TlsSettings(client_certificates="maybe"), "'maybe' is no way"),
        (TlsSettings(key_log="/nowhere/keys"), "TLS secrets cannot be written"),
    ],
)
def test_a_wrong_setting_is_a_sentence(settings, words, authority):
    with pytest.raises(UsageError, match=words):
        StationContexts(settings, authority)


def test_client_certificates_of_nobody(good):
    settings = TlsSettings(certificate=good.certificate, key=good.key, client_certificates="require")
    with pytest.raises(UsageError, match="nothing says whose"):
        StationContexts(settings)


# --- settings ---------------------------------------------------------------------------------------------------


def test_settings_cross_a_process_border():
    settings = TlsSettings(certificate="a", insecure=True, minimum="1.0")
    assert msgspec.json.decode(msgspec.json.encode(settings), type=TlsSettings) == settings


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (TlsSettings(), 0),
        (TlsSettings(insecure=True), 1),
        (TlsSettings(minimum="1.0", csms_minimum="1.1", key_log="x"), 3),
    ],
)
def test_what_should_be_said_aloud(settings, count):
    said = cautions(settings)
    assert len(said) == count
    assert all(sentence.endswith(".") for sentence in said)
    assert cautions(settings, stations=False, csms=False) == ()


# --- key log ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("there", [False, True])
def test_keys_are_written_down_for_the_owner_alone(there, tmp_path, authority, root, pki, good):
    path = tmp_path / "keys.log"
    if there:
        path.write_text("# mine\n")
        path.chmod(0o644)
    log = KeyLog(str(path))
    settings = TlsSettings(key_log=str(path), csms_ca=pki.root)
    agree(client_end(root=root), settings, authority)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lines = log.added().splitlines()
    assert b"# mine" not in lines
    secrets = {line.split()[0] for line in lines if not line.startswith(b"#")}
    assert {b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"} <= secrets
    assert log.added() == b""
    assert reach(settings, server_end(good, highest="1.2")).done
    assert b"CLIENT_RANDOM " in log.added()


def test_half_a_line_waits_for_the_other_half(tmp_path):
    path = tmp_path / "keys"
    log = KeyLog(str(path))
    assert log.added() == b""
    path.write_bytes(b"one\ntw")
    assert log.added() == b"one\n"
    with path.open("ab") as file:
        file.write(b"o\n")
    assert log.added() == b"two\n"


def test_a_long_key_log_comes_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(contexts, "MAX_KEYLOG_READ", 10)
    path = tmp_path / "keys"
    log = KeyLog(str(path))
    path.write_bytes(b"12345\n" * 3)
    assert [log.added() for _ in range(4)] == [b"12345\n"] * 3 + [b""]


def test_a_key_log_that_went_away_turns_nobody_down(tmp_path, authority, root):
    directory = tmp_path / "gone"
    directory.mkdir()
    stations = StationContexts(TlsSettings(key_log=str(directory / "keys")), authority)
    shutil.rmtree(directory)
    client = TlsPipe(client_end(root=root), server_hostname="new-name.example")
    converse(client, TlsPipe(stations.at(HERE), server_side=True))
    assert client.done


@pytest.mark.tshark
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_the_logged_keys_open_what_passed(version, tmp_path, authority, root, tshark):
    """tshark decrypts the bytes of the conversation with them."""
    sys.path.append(str(Path(__file__).parents[1]))
    from support_cli import Session, write

    path = tmp_path / "keys.log"
    client = TlsPipe(client_end(root=root, highest=version), server_hostname=NAME)
    server = TlsPipe(StationContexts(TlsSettings(key_log=str(path)), authority).at(HERE), server_side=True)
    session = Session()
    said = [client.start(), b""]
    while any(said):
        for side, end in ((0, server), (1, client)):
            if said[side]:
                session.send(side, said[side])
                said[1 - side] += end.received(said[side]).to_send
                said[side] = b""
    session.send(0, client.send(b"GET /ocpp/CP-42 HTTP/1.1\r\nHost: csms\r\n\r\n"))
    capture = write(tmp_path / "tls.pcap", session)
    command = [tshark, "-r", str(capture), "-o", f"tls.keylog_file:{path}", "-d", "tcp.port==9000,tls"]
    command += ["-Y", "http.request", "-T", "fields", "-e", "http.request.uri"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert run.stdout.split() == ["/ocpp/CP-42"]
