"""THE table of dialects. Where a log is of several, the one with the most of it wins, then the first one here.

Patterns are searched for in the first part of a line; what they are made of is told in `dialect`.
"""

from __future__ import annotations

import re

from ocppscope.capture.dialects.dialect import Dialect, Event, Form, Way, Writing
from ocppscope.model import Side

SENT, RECEIVED, FROM_STATION, FROM_CSMS = Way.SENT, Way.RECEIVED, Way.FROM_STATION, Way.FROM_CSMS
JSON = r"(?P<text>\[\s*(?:\d|\").*)"
"""A message that begins in the same line."""
OCPP = r'(?P<text>\[\s*[2-6]\s*,\s*"(?:[^"\\]|\\.){0,100}(?:"\s*[,\]].*|$))'
"""One that can be nothing else."""


def _form(event: Event, pattern: str, way: Way = Way.UNSAID, writing: Writing = Writing.PLAIN) -> Form:
    return Form(event, re.compile(pattern, re.ASCII), way, writing)


def _message(pattern: str, way: Way = Way.UNSAID, writing: Writing = Writing.PLAIN) -> Form:
    return _form(Event.MESSAGE, pattern, way, writing)


_STEVE = r"WebSocketLogger .*?\[chargeBoxId=(?P<station>[^,\]]*)(?:, sessionId=(?P<session>[^\]]*))?\] "

STEVE = Dialect(
    "steve", "SteVe, a CSMS: WebSocketLogger with chargeBoxId and sessionId.",
    (
        _message(_STEVE + rf"(?P<way>Received|Sending)(?: message)?: {JSON}"),
        _form(Event.OPEN, _STEVE + r"Connection is established"),
        _form(
            Event.CLOSE,
            _STEVE + r"Connection is closed"
            r"(?:, status: CloseStatus\[code=(?P<code>\d+), reason=(?P<reason>[^\]]*)\])?",
        ),
        _form(Event.PING, _STEVE + r"(?P<way>Received|Sending) ping message"),
        _form(Event.PONG, _STEVE + r"(?P<way>Received|Sending) pong message"),
    ),
    {"received": FROM_STATION, "sending": FROM_CSMS}, Side.CSMS,
)  # fmt: skip

MOBILITYHOUSE = Dialect(
    "mobilityhouse", "The Python package ocpp of The Mobility House, and with it Home Assistant.",
    (
        _message(
            r"(?:\[ocpp\]|\b(?:INFO|DEBUG):ocpp:|\bocpp\b)[ :-]*(?:\b(?:INFO|DEBUG)\b[ :-]*)?"
            r"(?P<station>[^\s\[\]{}\"]{0,100}?) ?:? ?(?P<way>receive message|send message|send) "
            + JSON
        ),
        _form(Event.VERSION, r"\[custom_components\.ocpp\] Websocket Subprotocol matched: (?P<version>\S+)"),
        _form(
            Event.VERSION,
            r'"event": ?"Protocols Matched: (?P<version>ocpp[\d.]+)"(?:.*?"timestamp": ?"(?P<time>[^"]+))?',
        ),
        _form(Event.OPEN, r"\[custom_components\.ocpp\] Charger websocket path=(?P<url>\S+)"),
        _form(
            Event.CLOSE,
            r"\[custom_components\.ocpp\] Connection closed to '(?P<station>[^']*)'"
            r"(?:: (?:received|sent) (?P<code>\d{4}))?",
        ),
        _form(Event.TIME, r'^\{".*?"timestamp": ?"(?P<time>[^"]{10,40})"'),
    ),
    {"receive message": RECEIVED, "send": SENT, "send message": SENT},
)  # fmt: skip

EVCC = Dialect(
    "evcc", "evcc, which is the CSMS of its chargers: [ocpp] TRACE … recv and send.",
    (_message(rf"\[ocpp *\] TRACE .{{0,40}}?\b(?P<way>recv|sent|send) (?P<station>\S{{1,200}}?): {JSON}"),),
    {"recv": FROM_STATION, "send": FROM_CSMS, "sent": FROM_CSMS}, Side.CSMS,
)  # fmt: skip

_EVEREST_WAYS = {"chargepoint": FROM_STATION, "centralsystem": FROM_CSMS}
EVEREST = Dialect(
    "everest", "libocpp of EVerest: its message log, with the JSON laid out below each line.",
    (
        _message(
            r"(?P<way>ChargePoint|CentralSystem)>(?:ChargePoint|CentralSystem) +(?P<action>\w*)\s*(?P<text>\[.*)?$"
        ),
        _form(Event.OPEN, r": SYS> +Connected\b"),
        _form(Event.CLOSE, r": SYS> +Disconnected\b"),
    ),
    _EVEREST_WAYS, Side.STATION,
)  # fmt: skip
EVEREST_CONSOLE = Dialect(
    "everest-console", "libocpp of EVerest on the console, which names messages and does not show them.",
    (
        _message(
            r"ocpp:OCPP\w+ +:: +(?P<way>ChargePoint|CentralSystem): (?P<action>\w+)", Way.UNSAID, Writing.NAMED
        ),
        _form(Event.OPEN, r"ocpp:OCPP\w+ +:: +SYS: +Connected\b"),
        _form(Event.CLOSE, r"ocpp:OCPP\w+ +:: +SYS: +Disconnected\b"),
    ),
    _EVEREST_WAYS, Side.STATION,
)  # fmt: skip

MICROOCPP = Dialect(
    "microocpp", "MicroOcpp (ArduinoOcpp), a station, on a serial console.",
    (
        _message(rf"\[(?:MO|AO)\] (?P<way>Send|Recv): {JSON}"),
        _form(Event.OPEN, r"\[(?:MO|AO)\] .*?Connected to url: (?P<url>\S+)"),
        _form(Event.CLOSE, r"\[(?:MO|AO)\] .*?\b(?:Disconnected|Connection closed)\b"),
    ),
    {"send": FROM_STATION, "recv": FROM_CSMS}, Side.STATION,
)  # fmt: skip

CITRINEOS = Dialect(
    "citrineos", "CitrineOS, a CSMS, with tslog; it shows answers in parts, and few messages whole.",
    (
        _message(
            r"Process (?P<kind>CallResult) (?P<station>\S+) (?P<id>\S+)(?: (?P<text>\{.*))?$",
            FROM_STATION, Writing.PARTS,
        ),
        _message(rf"Process CallError (?P<station>\S+) {JSON}", FROM_STATION),
        _message(rf"CitrineOS.*?\t.*?(?P<way>[Rr]eceived|[Ss]ending|[Ss]ent|[Ss]end)\b.*? (?P<station>\S+):? {OCPP}"),
        _form(Event.OPEN, r"On upgrade request (?P<method>GET) (?P<url>\S+)"),
        _form(Event.CLOSE, r"Connection closed for (?P<station>\S+)"),
    ),
    {"received": FROM_STATION, "sending": FROM_CSMS, "sent": FROM_CSMS, "send": FROM_CSMS}, Side.CSMS,
)  # fmt: skip

JAVA_OCA = Dialect(
    "java-oca", "Java-OCA-OCPP of ChargeTime, which stations and CSMS use: JSONCommunicator with slf4j.",
    (_message(rf"(?:JSON)?Communicator\b.*?(?P<way>Receive|Send) a message: {JSON}"),),
    {"receive": RECEIVED, "send": SENT},
)  # fmt: skip

OCPP_GO = Dialect(
    "ocpp-go", "ocpp-go of Lorenzo Donini, with logrus: sent and received JSON message.",
    (
        _message(r'msg="(?P<way>received|sent) JSON message (?:from|to) server: (?P<text>\[.*)', Way.UNSAID,
                 Writing.QUOTED),
        _message(rf"(?P<way>received|sent) JSON message (?:from|to) server: {JSON}"),
        _message(
            r'msg="(?P<way>received JSON message from|sent JSON message to) (?P<station>[^\s"]+): (?P<text>\[.*)',
            Way.UNSAID, Writing.QUOTED,
        ),
        _message(rf"(?P<way>received JSON message from|sent JSON message to) (?P<station>\S+): {JSON}"),
    ),
    {
        "received": FROM_CSMS, "sent": FROM_STATION,
        "received json message from": FROM_STATION, "sent json message to": FROM_CSMS,
    },
)  # fmt: skip

TWO_WAY_PROXY = Dialect(
    "2w-proxy", "ocpp-2w-proxy, between both: ^ from the station, v from the CSMS.",
    (_message(rf"(?P<station>\S{{1,200}}) (?P<way>[\^v]) ?: {JSON}"),),
    {"^": FROM_STATION, "v": FROM_CSMS},
)  # fmt: skip

OCPP_CORE = Dialect(
    "ocpp-core", "OCPP.Core, a CSMS, with its trace log; it names what it receives and shows what it sends.",
    (
        _message(
            r"OCPP-Message: Type=(?P<kind>\d) / ID=(?P<id>\S*)(?: / Action=(?P<action>\w*))?",
            FROM_STATION, Writing.NAMED,
        ),
        _message(rf"SendOcppMessage: {JSON}", FROM_CSMS),
    ),
    {}, Side.CSMS,
)  # fmt: skip

_ARROWS = {
    "server <": FROM_STATION, "server >": FROM_CSMS, "client <": FROM_CSMS, "client >": FROM_STATION,
    "<": RECEIVED, ">": SENT,
}  # fmt: skip
_WAY = r"websockets[\w.]*\]?[ :-]*(?P<way>(?:(?:server|client) )?[<>]) "
_FRAME = _WAY + r"Frame\(fin=True, opcode=<Opcode\."
WEBSOCKETS = Dialect(
    "websockets", "The Python package websockets with its debug log: upgrades and frames as bytes.",
    (
        _message(_FRAME + r"TEXT: 1>, data=(?P<text>b?['\"].*)", Way.UNSAID, Writing.BYTES),
        _form(Event.PING, _FRAME + r"PING: 9>, data=(?P<data>b['\"].*)"),
        _form(Event.PONG, _FRAME + r"PONG: 10>, data=(?P<data>b['\"].*)"),
        _form(Event.CLOSE_FRAME, _FRAME + r"CLOSE: 8>, data=(?P<data>b['\"].*)"),
        _message(_WAY + r"TEXT (?P<text>['\"].*)", Way.UNSAID, Writing.BYTES),
        _form(Event.PING, _WAY + r"PING (?P<data>'[^']*')"),
        _form(Event.PONG, _WAY + r"PONG (?P<data>'[^']*')"),
        _form(Event.CLOSE_FRAME, _WAY + r"CLOSE (?P<code>\d{4}) \([^()]*\) ?(?P<reason>[^\[]*?) ?\["),
        _form(Event.HEAD, _WAY + r"(?P<text>[A-Z]{3,8} \S+ HTTP/1\.\d|HTTP/1\.\d \d{3}.*)"),
        _form(Event.HEADER, _WAY + r"(?P<text>[\w-]{1,80}: .*)"),
        _form(Event.CLOSE, r"websockets\.\w+\]? [= ]*connection is CLOSED"),
    ),
    _ARROWS,
)  # fmt: skip

GENERAL = Dialect(
    "general", "Any line that holds an OCPP message, with a time and a word or arrow for its direction before it.",
    (_message(OCPP),), is_general=True,
)  # fmt: skip
QUOTED = Dialect(
    "general-quoted", "The same, where the message stands in a string with backslashes.",
    (
        _message(r'(?P<text>\[\s*[2-6]\s*,\s*\\"(?:[^"\\]|\\\\.){0,100}\\"\s*[,\]].*)', Way.UNSAID, Writing.QUOTED),
    ), is_general=True,
)  # fmt: skip

DIALECTS: tuple[Dialect, ...] = (
    STEVE, MOBILITYHOUSE, EVCC, EVEREST, EVEREST_CONSOLE, MICROOCPP, CITRINEOS, JAVA_OCA, OCPP_GO, TWO_WAY_PROXY,
    OCPP_CORE, WEBSOCKETS, GENERAL, QUOTED,
)  # fmt: skip
