"""Bounds of the command line are reached: nothing is left out in silence."""

from __future__ import annotations

import io

import pytest
from msgspec.structs import replace

from ocppscope.cli import following, keys, session
from ocppscope.cli.following import FULL, MAX_SENTENCES
from ocppscope.cli.keys import MAX_KEY_BYTES, Keys
from ocppscope.cli.main import MAX_COMPLAINT, complain
from ocppscope.cli.session import Selection
from ocppscope.errors import UsageError
from ocppscope.model import ConnectionOpened, Endpoint, Flow, TlsConnection
from support_cli import CAPTURES, Session, run, write
from support_engine import run as decoded

TLS = b"\x16\x03\x01\x00\x10" + bytes(16)


# --- sentences -----------------------------------------------------------------------------------------------------


class Notices:
    """A feed that has something new to say each time."""

    def __init__(self, sentences: list[str]) -> None:
        self.notices = tuple(sentences)


@pytest.mark.parametrize("quiet", [False, True])
def test_of_more_sentences_only_that_there_are_more(capsys, monkeypatch, quiet):
    assert MAX_SENTENCES > 1000
    monkeypatch.setattr(following, "MAX_SENTENCES", 3)
    told = following._Told(quiet=quiet)
    for number in range(20):
        told.tell(Notices(["first", f"sentence {number}"]))
    said = capsys.readouterr().err.splitlines()
    expected = ["note: first", "note: sentence 0", "note: sentence 1", f"note: {FULL}"]
    assert said == ([] if quiet else expected)
    assert len(told._said) == 4


def test_a_line_of_a_complaint_is_cut_and_says_so(capsys):
    complain("x" * (MAX_COMPLAINT + 1), "y" * MAX_COMPLAINT)
    what, hint, end = capsys.readouterr().err.split("\n")
    assert (len(hint), end) == (MAX_COMPLAINT + len("… (4,098 characters)"), "")
    assert what.startswith("ocppscope: xxx")
    assert what.endswith(f"… ({MAX_COMPLAINT + 12:,} characters)")


# --- keys ----------------------------------------------------------------------------------------------------------


def test_what_is_too_large_for_a_private_key_is_refused_by_its_size(tmp_path):
    """Cut, it would be called a damaged key, which it may not be."""
    path = tmp_path / "disk.pem"
    path.write_bytes(b"x" * MAX_KEY_BYTES)
    with pytest.raises(UsageError) as damaged:
        Keys(server_keys=[str(path)])
    assert "larger" not in damaged.value.what
    path.write_bytes(b"x" * (MAX_KEY_BYTES + 1))
    with pytest.raises(UsageError, match=f"larger than {MAX_KEY_BYTES:,} bytes"):
        Keys(server_keys=[str(path)])


def test_no_more_of_a_private_key_is_read_than_the_bound(monkeypatch):
    """Of what never ends, and comes in small pieces."""
    read: list[int] = []

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            assert size is not None
            assert size > 0
            read.append(min(size, 1 << 16))
            return b"x" * read[-1]

    monkeypatch.setattr(keys, "_opened", lambda path: Endless())
    with pytest.raises(UsageError, match="larger"):
        Keys(server_keys=["endless"])
    assert sum(read) == MAX_KEY_BYTES + 1


# --- hosts ---------------------------------------------------------------------------------------------------------


class Everything:
    """A form in which each event is a line."""

    def seen(self, connection):
        pass

    def message(self, message):
        return message

    def event(self, event):
        return event

    def line(self, row, connection, time_ns, body):
        return body


def encrypted(tmp_path, address: str) -> TlsConnection:
    events = decoded(write(tmp_path / f"{address}.pcap", Session(station=address).send(0, TLS))).events
    return next(one for one in events if isinstance(one, TlsConnection))


@pytest.mark.parametrize(("bound", "shown"), [(session.MAX_HOSTS, ["10.0.0.1"]), (4, ["10.0.0.1", "10.7.7.7"])])
def test_with_too_many_hosts_none_is_left_out(tmp_path, monkeypatch, bound, shown):
    """Where OCPP is spoken, TLS of other hosts is not shown; where it cannot be said any more between whom, it is."""
    monkeypatch.setattr(session, "MAX_HOSTS", bound)
    lines = []
    selection = Selection(Everything(), lines.append)
    opened = next(
        one for one in decoded(CAPTURES / "remote_start_stop.pcap").events if isinstance(one, ConnectionOpened)
    )
    for number in range(10):
        ends = Flow(Endpoint(f"10.0.0.{number}", 50_000), Endpoint("10.0.9.9", 9000))
        selection.other(_between(opened, ends))
        assert len(selection._hosts) <= bound + 1
    del lines[:]
    for address in ("10.0.0.1", "10.7.7.7"):
        selection.other(_tls(encrypted(tmp_path, address)))
    assert [line.flow.client.address for line in lines] == shown


def _between(opened: ConnectionOpened, flow: Flow) -> ConnectionOpened:
    return replace(opened, connection=replace(opened.connection, flow=flow))


def _tls(event: TlsConnection) -> TlsConnection:
    return replace(event, flow=Flow(event.flow.client, Endpoint("10.0.8.8", 443)))


def test_the_log_shows_them(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "MAX_HOSTS", 1)
    plain = Session(station="10.0.0.1").upgrade().say(0, '[2,"1","Heartbeat",{}]')
    other = Session(station="10.7.7.7", csms="10.7.7.8", port=50_001).send(0, TLS)
    assert " TLS " in run(write(tmp_path / "a.pcap", plain, other)).out
    monkeypatch.undo()
    assert " TLS " not in run(write(tmp_path / "a.pcap", plain, other)).out
