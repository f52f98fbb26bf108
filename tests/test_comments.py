"""Comments on packets: read from pcapng, told as events at their place, shown in every form."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.acts import ACTS, Act, act_of, comment_of
from ocppscope.batch import Batch
from ocppscope.capture import pcapng, pcapng_blocks, pcapngout
from ocppscope.capture.pcapfile import open_captures
from ocppscope.capture.synthetic import Conversation
from ocppscope.cli.session import Log
from ocppscope.engine import Engine
from ocppscope.model import ConnectionClosed, Endpoint, Message, PacketComment, Side
from ocppscope.render.jsonl import JsonlFormat
from ocppscope.render.textlog import Style, TextFormat

STATION, CSMS = Endpoint("10.0.0.5", 40_000), Endpoint("10.0.0.9", 9000)
HERE = Endpoint("10.0.0.7", 9000)
START = 1_795_341_600_000_000_000
UPGRADE = (
    b"GET /ocpp/CP-1 HTTP/1.1\r\nHost: c\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
)


def frame(text: str, *, masked: bool) -> bytes:
    data = text.encode()
    assert len(data) < 126
    return bytes((0x81, len(data) | (0x80 if masked else 0))) + (bytes(4) if masked else b"") + data


def call(number: int) -> bytes:
    return frame(f'[2,"{number}","Heartbeat",{{}}]', masked=True)


def opened(leg: Conversation, at: int) -> bytes:
    return leg.open(at) + leg.data(Side.STATION, UPGRADE, at + 1) + leg.data(Side.CSMS, ANSWER, at + 2)


def recorded(tmp_path, *blocks: bytes):
    path = tmp_path / "proxy.pcapng"
    path.write_bytes(pcapngout.section("x") + pcapngout.interface(1, "proxy") + b"".join(blocks))
    return path


def events_of(path, chunk: int = 1 << 21) -> list:
    engine = Engine()
    with open_captures([path], chunk_bytes=chunk) as reader:
        found = [event for block in reader.blocks() for event in engine.packets(block)]
    return [*found, *engine.finish()]


@pytest.mark.parametrize("chunk", [200, 1 << 21])
def test_a_comment_stands_behind_the_message_that_its_packet_completes(tmp_path, chunk):
    leg = Conversation(1, STATION, CSMS)
    blocks = [opened(leg, START)]
    blocks += [leg.data(Side.STATION, call(n), START + n, f"note {n}" if n % 3 == 0 else "") for n in range(10, 20)]
    found = events_of(recorded(tmp_path, *blocks), chunk)
    comments = [(at, one) for at, one in enumerate(found) if isinstance(one, PacketComment)]
    assert [one.text for _, one in comments] == ["note 12", "note 15", "note 18"]
    for at, comment in comments:
        before = found[at - 1]
        assert isinstance(before, Message)
        assert (comment.ordinal, comment.connection) == (before.ordinal, before.connection)
        assert before.id == comment.text.split()[1]
        assert comment.packet in before.packets
        assert comment.side is Side.STATION


def test_a_comment_on_the_packet_that_ends_a_connection_belongs_to_it(tmp_path):
    leg = Conversation(1, STATION, CSMS)
    blocks = opened(leg, START) + leg.rst(Side.CSMS, START + 9, comment_of(Act("cut-off", "on request")))
    found = events_of(recorded(tmp_path, blocks))
    (comment,) = (one for one in found if isinstance(one, PacketComment))
    (closed,) = (one for one in found if isinstance(one, ConnectionClosed))
    assert (comment.connection, comment.side, comment.ordinal) == (closed.connection.number, Side.CSMS, -1)
    assert act_of(comment.text) == Act("cut-off", "on request")


def test_a_comment_on_a_packet_of_no_connection_has_its_addresses(tmp_path):
    leg = Conversation(1, STATION, CSMS)
    (comment,) = (
        one for one in events_of(recorded(tmp_path, leg.refused(START, "why"))) if isinstance(one, PacketComment)
    )
    assert (comment.connection, comment.text) == (-1, "why")
    assert comment.flow is not None
    assert comment.flow.client == STATION


def test_comments_are_bounded(tmp_path, monkeypatch):
    option = pcapngout._options([(1, b"%d" % n) for n in range(9)])
    size = 32 + 4 + len(option)
    block = pcapngout._PACKET.pack(6, size, 0, 0, 0, 4, 4) + bytes(4) + option + pcapngout._LENGTH.pack(size)
    found = events_of(recorded(tmp_path, block))
    assert [one.text for one in found] == ["0", "1", "2", "3"][: pcapng_blocks.MAX_COMMENTS]
    monkeypatch.setattr(pcapng, "MAX_OPTION_BYTES", 11)
    assert [one.text for one in events_of(recorded(tmp_path, block))] == ["0"]


def test_a_written_comment_is_cut(tmp_path):
    long = "é" * pcapngout.MAX_COMMENT_BYTES
    (comment,) = events_of(recorded(tmp_path, pcapngout.packet(0, START, bytes(20), comment=long)))
    assert comment.text == "é" * (pcapngout.MAX_COMMENT_BYTES // 2)


@given(st.sampled_from(sorted(ACTS)), st.text())
def test_an_act_is_read_back(what, text):
    assert act_of(comment_of(Act(what, text))) == Act(what, text)


@given(st.text())
def test_what_others_write_is_no_act(text):
    assert act_of(text) is None
    assert act_of("ocppscope proxy: " + text + "?") is None or text.partition(":")[0] in ACTS


def lines_of(path, form) -> str:
    out = io.StringIO()
    log = Log(form, out.write)
    engine = Engine()
    with open_captures([path]) as reader:
        for block in reader.blocks():
            log.take(engine.packets(block))
    log.take(engine.finish())
    return out.getvalue()


def both_legs(tmp_path):
    first, second = Conversation(1, STATION, HERE), Conversation(2, HERE, CSMS)
    return recorded(
        tmp_path,
        opened(first, START),
        opened(second, START + 3),
        first.data(Side.STATION, call(1), START + 10),
        second.data(Side.STATION, call(1), START + 11),
        first.data(Side.STATION, call(2), START + 20),
        second.data(Side.STATION, call(3), START + 21, comment_of(Act("edited", "by hand"))),
        second.data(Side.STATION, call(4), START + 22, "somebody else\x1b[31m"),
        first.data(Side.STATION, call(5), START + 30, "mine\x1b[31m"),
    )


def test_the_log_shows_of_the_other_leg_what_the_proxy_did(tmp_path):
    shown = lines_of(both_legs(tmp_path), TextFormat(Style(pings=True)))
    ids = [line.split()[7] for line in shown.splitlines() if " CALL " in line]
    assert ids == ["1", "2", "3", "5"]
    edited = next(line for line in shown.splitlines() if "PROXY" in line)
    assert "edited: by hand" in edited
    assert "#1" in edited
    assert "somebody else" not in shown
    assert "\x1b" not in shown
    assert "NOTE" in shown


def test_jsonl_has_them_with_the_act(tmp_path):
    rows = [json.loads(line) for line in lines_of(both_legs(tmp_path), JsonlFormat()).splitlines()]
    comments = [row for row in rows if row["type"] == "comment"]
    assert [(row["act"], row["ordinal"]) for row in comments] == [("edited", 1), (None, 2)]


def test_an_empty_batch_takes_a_remark():
    batch = Batch()
    batch.remark(PacketComment(1, 1, -1, Side.STATION, "x"))
    assert [one.text for one in batch] == ["x"]


def test_what_the_proxy_took_out_of_tls_is_not_in_the_clear(tmp_path):
    leg = Conversation(1, STATION, CSMS)
    act = comment_of(Act("tls", "station: TLSv1.3 TLS_AES_256_GCM_SHA384; the recording is without it"))
    blocks = (
        leg.open(START, act) + leg.data(Side.STATION, UPGRADE, START + 1) + leg.data(Side.CSMS, ANSWER, START + 2)
    )
    closed = next(one for one in events_of(recorded(tmp_path, blocks)) if isinstance(one, ConnectionClosed))
    assert closed.connection.tls is not None
    assert closed.connection.tls.by_proxy
    other = leg.open(START, comment_of(Act("tls", "csms: TLSv1.3")))
    blocks = other + leg.data(Side.STATION, UPGRADE, START + 1) + leg.data(Side.CSMS, ANSWER, START + 2)
    closed = next(one for one in events_of(recorded(tmp_path, blocks)) if isinstance(one, ConnectionClosed))
    assert closed.connection.tls is None  # what the station sent was
