"""The ladder: goldens, rows and runs, lanes, hostile peers, Markdown and Mermaid."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support_goldens import same_as_golden

from ocppscope.model import (
    Connection,
    ConnectionClosed,
    ConnectionOpened,
    ControlFrame,
    Endpoint,
    ExchangeEnd,
    Flow,
    Kind,
    Message,
    Outcome,
    Problem,
    Side,
    StreamGap,
    Version,
)
from ocppscope.render import mermaid, styled
from ocppscope.render.ladder import MAX_LANES, Ladder, LadderOptions, What, ladder, markdown, rows, text
from ocppscope.render.mermaid import MAX_MERMAID_CHARACTERS, MAX_MERMAID_MESSAGES, MAX_MERMAID_STATIONS
from ocppscope.render.times import SECOND, parse_clock
from support_engine import CAPTURES, run

START = 1_795_348_800 * SECOND
FLOW = Flow(Endpoint("10.0.0.1", 50000), Endpoint("10.0.0.2", 9000))
HOSTILE = ["\x1b]52;c;cm0=\x07", "\x9b2J\x1b[31m", "\u202etxt\u2066", "a\r\nb\0", "\ud800", "x" * 100_000, "充" * 300]
GOLDEN = ["remote_start_stop", "refused_handshakes", "capture_loss", "slow_and_missing", "any_interface"]


def connection(number=0, station="CP-1", **more):
    return Connection(number, FLOW, START, 1, station, Version.V16, False, None, **more)


def message(at, side=Side.STATION, action="Heartbeat", kind=Kind.CALL, number=0, **more):
    body = f'"{action}",{{}}' if kind is Kind.CALL else "{}"
    more = {
        "ordinal": at,
        "text": f'[{kind.value},"{at}",{body}]'.encode("utf-8", "surrogatepass"),
        "id": str(at),
        **more,
    }
    return Message(
        time_ns=START + at * SECOND, connection=number, side=side, kind=kind, action=action, wire_size=9, packets=(),
        **more,
    )  # fmt: skip


def beat(at, number=0, latency_ns=5_000_000):
    call = message(at, outcome=Outcome.PENDING, number=number)
    answered = Outcome.ANSWERED
    return call, message(
        at, Side.CSMS, kind=Kind.CALLRESULT, outcome=answered, latency_ns=latency_ns, number=number, ordinal=at + 1
    )


def ping(at, side=Side.STATION):
    return (
        ControlFrame(START + at * SECOND, 0, side, 9, b"x", ()),
        ControlFrame(START + at * SECOND, 0, side.other, 10, b"x", ()),
    )


def opened(number=0, station="CP-1", **more):
    return ConnectionOpened(START, connection(number, station, **more))


def shown(events, width=100, **options):
    return text(ladder(events, LadderOptions(**options)), width).splitlines()


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize("name", GOLDEN)
def test_goldens(name, width):
    drawn = ladder(run(CAPTURES / f"{name}.pcap").events)
    same_as_golden(f"ladder_{name}_{width}.txt", text(drawn, width))


def test_other_goldens():
    fleet = run(CAPTURES / "several_stations.pcap").events
    same_as_golden("ladder_several_stations_120.txt", text(ladder(fleet), 120))
    demo = run(CAPTURES / "remote_start_stop.pcap").events
    whole = LadderOptions(collapse=False, ascii_only=True, clock=parse_clock("r.3"))
    same_as_golden("ladder_remote_start_stop_ascii.txt", text(ladder(demo, whole), 80))
    same_as_golden("ladder_remote_start_stop.md", markdown(ladder(demo[:20]), 80))
    same_as_golden(
        "ladder_slow_and_missing.mmd", mermaid.mermaid(ladder(run(CAPTURES / "slow_and_missing.pcap").events))
    )


def ends_refused(event):
    """Whether an event is the end of a connection that was never upgraded, which its refusal says already."""
    upgrade = event.connection.handshake if isinstance(event, ConnectionClosed) else None
    return upgrade is not None and not upgrade.upgraded


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
@pytest.mark.parametrize("width", [1, 30, 41, 66, 80, 133, 240])
def test_lines_fit_and_every_event_has_its_row(path, width):
    events = run(path).events
    for options in (
        LadderOptions(),
        LadderOptions(ascii_only=True, legs=False, pings=False, clock=parse_clock("dd")),
    ):
        drawn = ladder(events, options)
        for line in drawn.lines(width):
            assert styled.width(line) <= width
            assert styled.plain(line).isprintable()
            assert styled.plain(line).isascii() or not options.ascii_only
    whole = ladder(events, LadderOptions(collapse=False, clock=parse_clock("ad")))
    refused = [
        event
        for event in events
        if isinstance(event, ConnectionClosed)
        and event.connection.handshake
        and not event.connection.handshake.upgraded
    ]
    assert [whole.event(row) for row in whole.rows] == [event for event in events if event not in refused]


@pytest.mark.parametrize("width", [80, 120, 200])
def test_lanes_stand_below_their_names(width):
    lines = shown([opened(), message(1, action="Authorize")], width)
    head, arrow = lines[0], lines[-1]
    assert arrow[head.index("CP-1")] == "│"
    assert arrow[head.index("CSMS") + 3] == "│"


def test_directions():
    lines = shown([opened(), message(1, action="Authorize"), message(2, Side.CSMS, "Reset")], 80)
    assert [(line[22] == "◄", line.rstrip()[-2:]) for line in lines[-2:]] == [(False, "►│"), (True, "─│")]


def test_a_run_of_heartbeats_and_pings_is_one_row():
    events = [opened(), *(event for at in range(0, 3600, 300) for event in (*beat(at), *ping(at)))]
    (row,) = rows(events)[2:]
    assert (row.what, row.events, row.quiet.heartbeats, row.quiet.pings) == (What.QUIET, 48, 12, 12)
    assert "12 heartbeats, 12 pings in 55m00s slowest answer 5.0ms" in shown(events)[-1]
    assert len(rows(events, LadderOptions(collapse=False))) == 2 + 48
    assert len(rows(events, LadderOptions(collapse=False, pings=False))) == 2 + 24


@pytest.mark.parametrize(
    "event",
    [
        message(7, outcome=Outcome.RESENT),
        message(7, outcome=Outcome.PENDING, problems=(Problem("schema.type", "x"),)),
        message(7, Side.CSMS, kind=Kind.CALLERROR, outcome=Outcome.ERROR),
        message(7, Side.CSMS, kind=Kind.CALLRESULT, outcome=Outcome.LATE),
        ControlFrame(START, 0, Side.STATION, 8, b"", ()),
        ControlFrame(START, 0, Side.STATION, 9, b"", (), problems=(Problem("ws.masked", "x"),)),
    ],
)
def test_what_matters_is_not_folded_away(event):
    kinds = [row.what for row in rows([opened(), *beat(1), *beat(2), event, *beat(9)])]
    assert kinds == [What.DAY, What.EVENT, What.QUIET, What.EVENT, What.QUIET]


def test_rows_can_grow_live():
    events = [opened(), *beat(1), *beat(2), message(3, action="Authorize"), *ping(4)]
    live = Ladder(events.__getitem__)
    for count in range(len(events)):
        live.take(events[count : count + 1])
    assert live.rows == rows(events)


def test_time_since_the_row_above_counts_from_its_end():
    events = [opened(), *beat(10), *beat(20), message(25, action="Authorize")]
    assert [line[13:20].strip() for line in shown(events)[2:]] == ["", "+10.0s", "+5.00s"]


def test_a_call_without_an_answer_says_so_itself():
    end = ExchangeEnd(START + 90 * SECOND, 0, 5, Side.STATION, "5", "Authorize", Outcome.TIMEOUT, 85 * SECOND)
    call = message(5, action="Authorize", outcome=Outcome.PENDING)
    lines = shown([opened(), call, end])
    assert "no answer in 1m25s" in lines[-2]
    assert "TIMEOUT" in lines[-1]
    assert lines[-1].endswith("✗│")


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (StreamGap(START, 0, Side.CSMS, 1234, "why"), "~~ LOST   1,234 bytes from the CSMS: why ~~~"),
        (StreamGap(START, 0, Side.STATION, None, "why"), "LOST   an unknown number of bytes from the station: why"),
        (StreamGap(START, -1, Side.STATION, 5, "captured badly"), "UNREAD 5 bytes: captured badly"),
    ],
)
def test_lost_bytes(gap, expected):
    assert expected in shown([opened(), gap])[-1]


def test_a_lifeline_is_broken_while_the_station_is_away():
    closed = ConnectionClosed(START, connection(closed_ns=START, close_how="RST", closed_by=Side.STATION))
    events = [opened(), closed, opened(1, "CP-2"), message(3, action="Authorize", number=1)]
    lane = shown(events)[0].index("CP-1")
    assert [line[lane] for line in shown(events)[2:]] == ["│", "│", "┊", "┊"]


def test_legs():
    events = run(CAPTURES / "any_interface.pcap").events
    both, one = ladder(events), ladder(events, LadderOptions(legs=False))
    assert both.has_proxy
    assert not one.has_proxy
    assert sum(row.events for row in both.rows) > sum(row.events for row in one.rows)
    first_call = next(line for line in both.lines(120) if "BootNotification" in styled.plain(line))
    head = styled.plain(next(iter(both.lines(120))))
    assert styled.plain(first_call).index("►") < head.index("proxy") + 2  # the station's leg comes first


def test_a_hidden_leg_leaves_no_lane_up():
    both = (connection(0), connection(1, leg_of=0))
    gone = [message(1, action="Authorize"), opened(2, "CP-2"), message(2, action="Authorize", number=2)]
    events = [
        *(ConnectionOpened(START, one) for one in both),
        *(ConnectionClosed(START, one) for one in both),
    ]
    for legs in (True, False):
        assert [row.open for row in ladder([*events, *gone], LadderOptions(legs=legs)).rows][-3:] == [0, 0b10, 0b10]


@pytest.mark.parametrize("count", [MAX_LANES, MAX_LANES + 1, 300])
@pytest.mark.parametrize("width", [80, 1400, 5000])
def test_lanes_are_bounded(count, width):
    stations = [opened(n, f"CP-{n:04}") for n in range(count)]
    ends = [ConnectionClosed(START, one.connection) for one in stations]
    drawn = ladder([*stations, message(1, number=count - 1, action="Authorize"), *ends, message(2, action="A")])
    assert max(row.open for row in drawn.rows).bit_length() == min(count, MAX_LANES + 1)
    assert drawn.rows[count].open == (1 << min(count, MAX_LANES + 1)) - 1
    assert drawn.rows[-1].open == 0
    lines = list(drawn.lines(width))
    assert all(styled.width(line) <= width for line in lines)
    assert (f"{count} stations" in styled.plain(lines[0])) == (count > MAX_LANES or width < 1200)


def test_many_stations_share_a_lane():
    events = [opened(n, f"CP-{n:04}") for n in range(40)] + [message(1, number=7, action="Authorize")]
    lines = shown(events, 80)
    assert "40 stations" in lines[0]
    assert "CP-0007" in lines[-1]


def test_events_of_an_unknown_connection_are_shown():
    assert "Authorize" in shown([message(1, action="Authorize")])[-1]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("width", [80, 200])
def test_nothing_from_the_wire_is_obeyed(hostile, width):
    raw = hostile.encode("utf-8", "replace")
    events = [
        opened(station=hostile),
        message(1, action=hostile, id=hostile, text=b'[2,"1","A",{"k":"' + raw + b'"}]'),
        message(2, kind=Kind.UNPARSED, action="", text=raw),
        message(3, Side.CSMS, hostile, Kind.CALLERROR, text=b'[4,"1","' + raw + b'","' + raw + b'",{}]'),
        ControlFrame(START, 0, Side.CSMS, 9, raw, (), problems=(Problem("ws.masked", "x"),)),
        ControlFrame(START, 0, Side.CSMS, 8, raw, (), 1000, hostile),
        StreamGap(START, 0, Side.CSMS, 5, hostile),
        ExchangeEnd(START, 0, 9, Side.CSMS, hostile, hostile, Outcome.OPEN, 5),
        ConnectionClosed(START, connection(station=hostile, close_how="close frame", close_reason=hostile)),
    ]
    for line in shown(events, width, collapse=False):
        assert line.isprintable()
        assert styled.width((styled.Span(line),)) <= width


@given(st.integers(-(10**30), 10**30), st.integers(1, 150))
def test_any_time_and_width(time_ns, width):
    events = [opened(), message(1, action="Authorize")]
    odd = [*events, StreamGap(time_ns, 0, Side.CSMS, 1, "why"), *beat(3)]
    for clock in ("a", "ad", "d", "e", "r"):
        for line in ladder(odd, LadderOptions(clock=parse_clock(clock))).lines(width):
            assert styled.width(line) <= width


# --- Mermaid ----------------------------------------------------------------------------------------------------

STATEMENT = re.compile(
    r"sequenceDiagram"
    r"|    participant (S\d+|P|C) as ([^:;#]|#\d+;)*"
    r"|    Note over (S\d+|P|C),(S\d+|P|C): ([^;#]|#\d+;)*"
    r"|    (S\d+|P|C)(->>|-->>|-\)|--x|-x)(S\d+|P|C): ([^;#]|#\d+;)*"
)


@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        ("a;b", "a#59;b"),
        ("#59;", "#35;59#59;"),
        ("<script>", "#60;script#62;"),
        ("%%{init: {}}%%", "#37;#37;#123;init#58; #123;#125;#125;#37;#37;"),
        ("ﬂ°°60¶ß", "#64258;#176;#176;60#182;#223;"),
        ("a\nb", "a#10;b"),
        ("CP-1 充电", "CP-1 充电"),
    ],
)
def test_mermaid_cannot_be_misled(wire, expected):
    assert mermaid.escape(wire) == expected


@given(st.text(st.characters(), max_size=80))
def test_mermaid_statements_stay_statements(hostile):
    events = [opened(station=hostile), message(1, action=hostile), StreamGap(START, 0, Side.CSMS, 5, hostile)]
    for line in mermaid.mermaid(ladder(events)).split("\n")[:-1]:
        assert STATEMENT.fullmatch(line), line


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_mermaid_of_captures(path):
    shown = mermaid.markdown(ladder(run(path).events)).split("\n")
    assert (shown[0], shown[-2:]) == ("```mermaid", ["```", ""])
    assert all(STATEMENT.fullmatch(line) for line in shown[1:-2])


def test_mermaid_is_bounded_and_says_what_it_left_out():
    few = mermaid.mermaid(ladder([opened(), *(message(at, action="A", id="") for at in range(5000))]))
    assert len(few) <= MAX_MERMAID_CHARACTERS + 200
    lines = few.splitlines()
    assert len(lines) <= MAX_MERMAID_MESSAGES + 4
    assert lines[-1].endswith(f"{5001 - (len(lines) - 4)} of 5001 rows are left out from here on")


def test_mermaid_lanes_are_bounded():
    events = [opened(n, f"CP-{n:04}") for n in range(40)] + [message(1, number=39, action="Authorize")]
    lines = mermaid.mermaid(ladder(events)).splitlines()
    assert sum("participant S" in line for line in lines) == MAX_MERMAID_STATIONS
    assert lines[-1].startswith(f"    S{MAX_MERMAID_STATIONS - 1}->>C: ")
