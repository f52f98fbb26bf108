"""TLS without sockets: against itself in every cut, against Python's own TLS on loopback, and against `openssl`."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support_pki import NAME, Pair, Pki, Talk, client_end, converse, server_end, single_bytes

from ocppscope.model import Side
from ocppscope.proxy.hello import MAX_HELLO_BYTES
from ocppscope.proxy.tls import SLICE, TlsPipe

VERSIONS = ("1.2", "1.3")
LONG_S = 30.0


@pytest.fixture(scope="module")
def pki(tmp_path_factory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def good(pki) -> Pair:
    return pki.leaf()


@pytest.fixture(scope="module")
def station(pki) -> Pair:
    return pki.leaf("CP-1", use="client")


def ends(client: ssl.SSLContext, server: ssl.SSLContext, name: str = NAME) -> tuple[TlsPipe, TlsPipe]:
    return TlsPipe(client, server_hostname=name), TlsPipe(server, server_side=True)


@pytest.fixture(params=VERSIONS)
def agreed(request, pki, good) -> tuple[TlsPipe, TlsPipe]:
    """A client's and a server's end after the handshake."""
    client, server = ends(client_end(root=pki.root, highest=request.param), server_end(good))
    converse(client, server)
    assert (client.done, server.done) == (True, True)
    return client, server


# --- what passes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_the_facts_of_a_handshake(version, pki, good, station):
    client, server = ends(client_end(root=pki.root, pair=station, highest=version), server_end(good, root=pki.root))
    assert server.start() == b""
    assert (client.peer, server.peer) == (Side.CSMS, Side.STATION)
    assert (client.facts, server.facts) == (None, None)
    assert converse(client, server) == Talk(b"", b"")
    assert client.facts is not None
    assert server.facts is not None
    assert {client.facts.version, server.facts.version} == {f"TLSv{version}"}
    assert client.facts.cipher == server.facts.cipher != ""
    assert (client.facts.server_name, server.facts.server_name, server.server_name) == (NAME,) * 3
    assert client.facts.certificate == ssl.PEM_cert_to_DER_cert(pki.read(good.certificate))
    assert server.facts.certificate == ssl.PEM_cert_to_DER_cert(pki.read(station.certificate))
    assert (client.facts.client_certificate, server.facts.client_certificate) == (False, True)


def test_what_both_can_speak_is_a_fact(pki, good):
    contexts = client_end(root=pki.root), server_end(good)
    contexts[0].set_alpn_protocols(["h2", "http/1.1"])
    contexts[1].set_alpn_protocols(["http/1.1"])
    client, server = ends(*contexts)
    converse(client, server)
    assert client.facts.alpn == server.facts.alpn == "http/1.1"


def test_one_byte_at_a_time(pki, good):
    client, server = ends(client_end(root=pki.root), server_end(good))
    converse(client, server, cut=single_bytes)
    assert (client.done, server.done) == (True, True)
    assert converse(client, server, client.send(b"there"), single_bytes).server == b"there"
    assert converse(server, client, server.send(b"and back"), single_bytes).server == b"and back"


@settings(max_examples=60)
@given(
    seed=st.integers(0, 1 << 32),  # hypothesis cannot draw the cuts, since the lengths in a handshake vary by chance
    version=st.sampled_from(VERSIONS),
    texts=st.lists(st.tuples(st.booleans(), st.binary(max_size=40_000)), max_size=6),
)
def test_bytes_out_are_bytes_in_however_they_are_cut(seed, version, texts, pki, good):
    random = Random(seed)

    def cut(piece: bytes) -> Iterator[bytes]:
        marks = sorted(random.choices(range(len(piece) + 1), k=random.randint(0, 8)))
        for start, stop in zip([0, *marks], [*marks, len(piece)], strict=True):
            yield piece[start:stop]

    client, server = ends(client_end(root=pki.root, highest=version), server_end(good))
    converse(client, server, cut=cut)
    for by_client, text in texts:
        speaker, listener = (client, server) if by_client else (server, client)
        assert converse(speaker, listener, speaker.send(text), cut).server == text
    ended = [server.received(piece) for piece in cut(client.finish())]
    assert ended[-1].ended
    assert not any(result.plaintext for result in ended)
    assert (client.failure, server.failure) == (None, None)


def test_much_at_once_and_little(agreed):
    client, server = agreed
    for size in (0, 1, SLICE - 1, SLICE, SLICE + 1, 1 << 20):
        text = bytes(range(256)) * (size // 256 + 1)
        assert server.received(client.send(text[:size])).plaintext == text[:size]
        assert client.unsent == 0


def test_what_is_sent_before_the_handshake_follows_it(pki, good):
    client, server = ends(client_end(root=pki.root), server_end(good))
    hello = client.start()
    assert (client.send(b"early" * 10_000), server.send(b"too")) == (b"", b"")
    assert (client.unsent, server.unsent) == (50_000, 3)
    assert converse(client, server, hello) == Talk(b"too", b"early" * 10_000)
    assert (client.unsent, server.unsent) == (0, 0)


# --- how it ends ------------------------------------------------------------------------------------------------


def test_a_finished_side_still_hears_the_other(agreed):
    client, server = agreed
    over = server.received(client.finish())
    assert (over.ended, over.to_send) == (True, b"")
    assert client.received(server.send(b"late news")).plaintext == b"late news"
    last = client.received(server.finish())
    assert (last.ended, client.ended, server.finished) == (True, True, True)
    assert (client.finish(), server.finish()) == (b"", b"")
    assert (client.eof(), server.eof(), client.truncated, server.truncated) == (None, None, False, False)


def test_data_and_end_in_one_piece(agreed):
    client, server = agreed
    result = server.received(client.send(b"last words") + client.finish())
    assert (result.plaintext, result.ended) == (b"last words", True)
    assert server.received(b"anything").plaintext == b""


def test_an_end_without_a_word_is_truncated(agreed):
    client, server = agreed
    assert server.received(client.send(b"so far")).plaintext == b"so far"
    assert server.eof() is None
    assert (server.truncated, server.ended) == (True, False)


def test_finish_before_the_handshake_says_nothing_until_it_is_done(pki, good):
    client, server = ends(client_end(root=pki.root), server_end(good))
    hello = client.start()
    assert client.finish() == b""
    converse(client, server, hello)
    assert (client.finished, server.ended) == (True, True)


# --- hostile peers ----------------------------------------------------------------------------------------------


@given(noise=st.binary(max_size=600), prefix=st.sampled_from([b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"]))
def test_noise_is_never_an_exception(noise, prefix, good):
    for pipe in (TlsPipe(server_end(good), server_side=True), TlsPipe(client_end(), server_hostname=NAME)):
        pipe.start()
        result = pipe.received(prefix + noise)
        assert (result.plaintext, result.done) == (b"", False)
        pipe.eof()
        assert pipe.failure is not None


@settings(max_examples=40)
@given(data=st.data())
def test_a_changed_byte_gives_no_changed_text(data, pki, good):
    client, server = ends(client_end(root=pki.root), server_end(good))
    converse(client, server)
    record = bytearray(client.send(b"a text that matters"))
    record[data.draw(st.integers(5, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    result = server.received(bytes(record))
    assert (result.plaintext, server.failure.code) == (b"", "damaged")
    assert result.to_send != b""
    client.received(result.to_send)
    assert client.failure.code == "alert-bad-record-mac"
    assert client.send(b"more") == b""


def test_a_hello_without_end_is_bounded(good):
    asked = []

    def choose(name):
        asked.append(name)
        return server_end(good)

    pipe = TlsPipe(choose, server_side=True)
    records = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xf0\x00" + bytes((1 << 14) - 4)
    for _ in range(MAX_HELLO_BYTES // len(records) + 1):
        assert asked == []
        pipe.received(records)
    assert asked == [None]


def test_what_cannot_be_made_is_a_failure():
    def choose(name):
        raise OSError(24, "Too many open files")

    pipe = TlsPipe(choose, server_side=True)
    pipe.received(TlsPipe(client_end(), server_hostname=NAME).start())
    assert (pipe.failure.code, pipe.failure.blame) == ("own-trouble", "proxy")
    assert "Too many open files" in pipe.failure.reason


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_disk_under_the_key_log_disturbs_nobody(version, pki, good):
    contexts = client_end(root=pki.root, highest=version), server_end(good)
    for context in contexts:
        try:
            context.keylog_filename = "/dev/full"
        except OSError:
            pytest.skip("there is no /dev/full")
    client, server = ends(*contexts)
    converse(client, server)
    assert server.received(client.send(b"all the same")).plaintext == b"all the same"


# --- against others ---------------------------------------------------------------------------------------------


@contextmanager
def loopback() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(LONG_S)
        theirs.settimeout(LONG_S)
        yield ours, theirs


def drive(pipe: TlsPipe, ours: socket.socket, until: bytes = b"\0") -> bytes:
    """Carries bytes between a pipe and a socket until so much plaintext is there, or the peer has ended."""
    plain = b""
    ours.sendall(pipe.start())
    while len(plain) < len(until) and not pipe.ended and pipe.failure is None:
        data = ours.recv(1000)
        if not data:
            pipe.eof()
            break
        result = pipe.received(data)
        plain += result.plaintext
        ours.sendall(result.to_send)
    return plain


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("server_side", [False, True])
def test_python_s_own_tls_is_the_peer(version, server_side, pki, good, station):
    """Client certificates both ways; it ends with close_notify, which is answered."""
    client = client_end(root=pki.root, pair=station, highest=version)
    server = server_end(good, root=pki.root, highest=version)
    text = b"0123456789" * 20_000
    seen: list[bytes] = []

    def peer(sock: socket.socket) -> None:
        context = client if server_side else server
        names = {"server_hostname": NAME} if server_side else {"server_side": True}
        with context.wrap_socket(sock, **names) as theirs, suppress(OSError):
            theirs.sendall(text)
            while sum(map(len, seen)) < len(text):
                seen.append(theirs.recv(1 << 16))
            theirs.unwrap()

    pipe = TlsPipe(server, server_side=True) if server_side else TlsPipe(client, server_hostname=NAME)
    with loopback() as (ours, theirs):
        thread = threading.Thread(target=peer, args=(theirs,))
        thread.start()
        got = drive(pipe, ours, text)
        ours.sendall(pipe.send(text))
        drive(pipe, ours)
        ours.sendall(pipe.finish())
        thread.join(LONG_S)
    assert (got, b"".join(seen)) == (text, text)
    assert (pipe.ended, pipe.truncated, pipe.failure) == (True, False, None)


@pytest.fixture
def openssl() -> str:
    found = shutil.which("openssl")
    if not found:
        pytest.skip("openssl is not installed")
    return found


@pytest.mark.parametrize(
    ("option", "order", "word"),
    [
        ("-tls1_3", "K", "KEYUPDATE"),  # new keys of the client's, and asks for ours
        ("-tls1_3", "k", "KEYUPDATE"),
        ("-tls1_2", "R", "RENEGOTIATING"),  # which a server may refuse, but not die of
    ],
)
def test_new_keys_in_the_middle(openssl, option, order, word, good):
    pipe = TlsPipe(server_end(good), server_side=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(LONG_S)
        command = [openssl, "s_client", option, "-connect", f"127.0.0.1:{listener.getsockname()[1]}"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                ours, _ = listener.accept()
                with ours:
                    ours.settimeout(LONG_S)
                    say(process, b"before\n")
                    assert drive(pipe, ours, b"before\n") == b"before\n"
                    say(process, order.encode() + b"\n")
                    if order != "R":
                        assert process.stdout is not None
                        while word.encode() not in process.stdout.readline():
                            pass
                        say(process, b"behind\n")
                        assert drive(pipe, ours, b"behind\n") == b"behind\n"
                        ours.sendall(pipe.send(b"news for the client\n"))
                        while b"news for the client" not in process.stdout.readline():
                            pass
                        assert pipe.failure is None
                    else:
                        drive(pipe, ours)  # OpenSSL's client gives up when it is refused
                        assert pipe.ended or pipe.truncated or pipe.failure is not None
            finally:
                process.kill()


def say(process: subprocess.Popen[bytes], line: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(line)
    process.stdin.flush()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_old_versions_where_they_are_wished(version, pki):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        contexts = client_end(lowest=version, highest=version), server_end(pki.leaf(kind="2048"))
        contexts[1].minimum_version = contexts[0].minimum_version
    for context in contexts:
        context.set_ciphers("ALL:@SECLEVEL=0")
    client, server = ends(*contexts)
    converse(client, server)
    if client.failure is not None and client.failure.code == "wrong-version":
        pytest.skip("this OpenSSL is built without it")
    assert server.facts.version == {"1.0": "TLSv1", "1.1": "TLSv1.1"}[version]
    assert server.received(client.send(b"x" * 1000)).plaintext == b"x" * 1000
