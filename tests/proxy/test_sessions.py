"""The active mode over real sockets: a station and a CSMS of the `websockets` library, steered as a user would."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

import pytest
from support_proxy import DEADLINE
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve

from ocppscope.acts import act_of
from ocppscope.capture.pcapfile import open_captures
from ocppscope.control import (
    Answered,
    Closed,
    Cut,
    Drop,
    Forward,
    Held,
    Inject,
    Intercept,
    Opened,
    Released,
    Said,
    State,
    Stop,
)
from ocppscope.engine import Engine
from ocppscope.errors import UsageError
from ocppscope.model import Message, PacketComment, Side
from ocppscope.proxy.config import Address, Config, Faults, Recording
from ocppscope.proxy.server import Server
from ocppscope.proxy.sessions import ONLY_ACTIVE

HEARTBEAT = '[2,"1","Heartbeat",{}]'
CALLS = "action == Heartbeat and kind == CALL"


class World:
    """A proxy with a CSMS behind it. The CSMS answers CALLs with {} and keeps all that it hears."""

    def __init__(self, server: Server, told: list) -> None:
        self.server, self.told = server, told
        self.heard: list[str] = []
        self.headers: list = []
        self.csms: list = []

    def station(self, identity: str = "CP-1"):
        port = next(one for one in self.told if isinstance(one, State)).listening.rpartition(":")[2]
        return connect(f"ws://127.0.0.1:{port}/ocpp/{identity}", subprotocols=["ocpp1.6"])

    async def answer(self, ws) -> None:
        self.csms.append(ws)
        self.headers.append(ws.request.headers)
        async for text in ws:
            self.heard.append(text)
            message = json.loads(text)
            if message[0] == 2:
                await ws.send(json.dumps([3, message[1], {}]))

    async def of(self, kind: type, count: int = 1):
        """The last of so many tidings of a kind."""
        async with asyncio.timeout(DEADLINE):
            while len(found := [one for one in self.told if isinstance(one, kind)]) < count:
                await asyncio.sleep(0.005)
        return found[count - 1]

    async def linked(self, **wanted: object):
        """A link of which this is known."""
        async with asyncio.timeout(DEADLINE):
            while True:
                for one in self.told:
                    if isinstance(one, Opened) and all(getattr(one.link, k) == v for k, v in wanted.items()):
                        return one.link
                await asyncio.sleep(0.005)


@asynccontextmanager
async def world(tmp_path, **options):
    told: list = []
    stand_in = World(None, told)  # type: ignore[arg-type]
    async with serve(stand_in.answer, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as csms:
        to = Address("127.0.0.1", csms.sockets[0].getsockname()[1])
        recording = Recording(str(tmp_path / "proxy.pcapng"))
        server = Server(Config(Address("127.0.0.1", 0), recording, to, **options), told.append)
        stand_in.server = server
        running = asyncio.ensure_future(server.run())
        await stand_in.of(State)
        try:
            yield stand_in
        finally:
            server.obey(Stop())
            await asyncio.wait_for(running, DEADLINE)


def events_of(tmp_path) -> list:
    engine = Engine()
    with open_captures([tmp_path / "proxy.pcapng"]) as reader:
        return [event for block in reader.blocks() for event in engine.packets(block)] + list(engine.finish())


def acts_of(tmp_path) -> list[str]:
    found = (act_of(one.text) for one in events_of(tmp_path) if isinstance(one, PacketComment))
    return [one.what for one in found if one is not None]


async def receive(ws) -> str:
    return await asyncio.wait_for(ws.recv(), DEADLINE)


@pytest.mark.parametrize(
    ("order", "heard", "act"),
    [
        (Forward, HEARTBEAT, "forwarded"),
        (
            lambda held: Forward(held, '[2,"1","Heartbeat",{"x":1}]'),
            '[2,"1","Heartbeat",{"x":1}]',
            "edited",
        ),
        (Drop, None, "dropped"),
    ],
)
def test_a_held_message_is_decided_on(tmp_path, order, heard, act):
    async def run():
        async with world(tmp_path, active=True, intercept=CALLS) as here, here.station() as ws:
            await ws.send(HEARTBEAT)
            held = await here.of(Held)
            assert (held.side, held.text, held.station, held.action) == (
                Side.STATION, HEARTBEAT, "CP-1", "Heartbeat",
            )  # fmt: skip
            assert held.gives_up_ns > held.expires_ns > held.time_ns
            here.server.obey(order(held.held))
            assert (await here.of(Released)).held == held.held
            if heard is not None:
                assert json.loads(await receive(ws)) == [3, "1", {}]
            here.server.obey(Intercept(""))
            await ws.send('[2,"2","Heartbeat",{}]')
            assert json.loads(await receive(ws)) == [3, "2", {}]
            return here.heard

    found = asyncio.run(run())
    assert found == [*([heard] if heard else []), '[2,"2","Heartbeat",{}]']
    assert {"held", act} <= set(acts_of(tmp_path))


def test_a_call_is_injected_and_its_answer_kept_from_the_other_side(tmp_path):
    async def run():
        async with world(tmp_path, active=True) as here, here.station() as ws:
            link = await here.linked(active=True, station="CP-1", version="ocpp1.6")
            here.server.obey(Inject(link.number, Side.STATION, "Reset", '{"type":"Soft"}', ticket=7))
            _, number, action, payload = json.loads(await receive(ws))
            assert (action, payload) == ("Reset", {"type": "Soft"})
            await ws.send(json.dumps([3, number, {"status": "Accepted"}]))
            answer = await here.of(Answered)
            assert (answer.ticket, json.loads(answer.text)) == (7, [3, number, {"status": "Accepted"}])
            await ws.send(HEARTBEAT)
            await receive(ws)
            return here.heard

    assert asyncio.run(run()) == [HEARTBEAT]
    assert {"injected", "swallowed"} <= set(acts_of(tmp_path))


def test_compression_is_negotiated_away(tmp_path):
    async def run():
        async with world(tmp_path, active=True) as here, here.station() as ws:
            await ws.send(HEARTBEAT)
            await receive(ws)
            assert ws.protocol.extensions == []
            return here.headers[0]

    assert "Sec-WebSocket-Extensions" not in asyncio.run(run())
    assert "rewritten" in acts_of(tmp_path)


def test_a_script_an_addon_and_a_fault_from_files(tmp_path):
    (tmp_path / "rules.toml").write_text(
        '[[rule]]\nname = "no heartbeats"\nwhen = "action == Heartbeat"\ndo = "answer"\n'
        'answer = { currentTime = "2026-11-22T10:00:00Z" }\n'
    )
    (tmp_path / "addon.py").write_text(
        'def message(seen):\n    if seen.action == "DataTransfer":\n        return seen.drop()\n'
    )
    options = {
        "active": True, "script": str(tmp_path / "rules.toml"), "addon": str(tmp_path / "addon.py"),
        "faults": Faults(latency=0.02),
    }  # fmt: skip

    async def run():
        async with world(tmp_path, **options) as here, here.station() as ws:
            await ws.send(HEARTBEAT)
            assert json.loads(await receive(ws)) == [3, "1", {"currentTime": "2026-11-22T10:00:00Z"}]
            await ws.send('[2,"2","DataTransfer",{"vendorId":"v"}]')
            await ws.send('[2,"3","Authorize",{"idTag":"a"}]')
            assert json.loads(await receive(ws)) == [3, "3", {}]
            return here.heard

    assert asyncio.run(run()) == ['[2,"3","Authorize",{"idTag":"a"}]']
    assert {"dropped", "fault"} <= set(acts_of(tmp_path))


def test_a_wrong_script_is_said_before_anything_listens(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("[[rule]]\nwhen = 'action = 1'\ndo = 'drop'\n")
    recording = Recording(str(tmp_path / "x.pcapng"))
    config = Config(Address("127.0.0.1", 0), recording, Address("127.0.0.1", 9), active=True, script=str(path))

    async def make():
        Server(config, lambda tiding: None)

    with pytest.raises(UsageError, match=r"rules\.toml"):
        asyncio.run(make())


@pytest.mark.parametrize("how", ["RST", "FIN", "close"])
@pytest.mark.parametrize("active", [False, True])
def test_a_connection_is_cut(tmp_path, how, active):
    async def run():
        async with world(tmp_path, active=active) as here, here.station() as ws:
            link = await here.linked(station="CP-1", version="ocpp1.6")
            here.server.obey(Cut(link.number, how))
            await asyncio.wait_for(ws.wait_closed(), DEADLINE)
            await asyncio.wait_for(here.csms[0].wait_closed(), DEADLINE)
            await here.of(Closed)

    asyncio.run(run())
    assert "cut-off" in acts_of(tmp_path)


def test_orders_that_cannot_be_obeyed_are_answered_with_a_sentence(tmp_path):
    async def said(order, **options) -> str:
        async with world(tmp_path, **options) as here:
            here.server.obey(order)
            return (await here.of(Said)).text

    assert asyncio.run(said(Intercept("action == Heartbeat"))) == ONLY_ACTIVE
    for number, (order, words) in enumerate(
        [
            (Forward(9), "9 is not held"),
            (Inject(9, Side.CSMS, "Heartbeat", "{}"), "no connection 9"),
            (Intercept("action ="), "filter is wrong"),
            (Cut(9), "no connection 9"),
        ]
    ):
        path = tmp_path / str(number)
        path.mkdir()

        async def ask(order=order, path=path) -> str:
            async with world(path, active=True) as here:
                here.server.obey(order)
                return (await here.of(Said)).text

        assert words in asyncio.run(ask())


def test_what_is_held_goes_on_when_nobody_steers_any_more(tmp_path):
    async def run():
        async with world(tmp_path, active=True, intercept=CALLS) as here, here.station() as ws:
            await ws.send(HEARTBEAT)
            await here.of(Held)
            here.server.let_go()
            assert json.loads(await receive(ws)) == [3, "1", {}]
            await ws.send('[2,"2","Heartbeat",{}]')
            assert json.loads(await receive(ws)) == [3, "2", {}]

    asyncio.run(run())


def test_the_host_header_is_replaced_and_nothing_else(tmp_path):
    async def run():
        async with world(tmp_path, set_host="csms.example") as here, here.station() as ws:
            await ws.send(HEARTBEAT)
            assert json.loads(await receive(ws)) == [3, "1", {}]
            return here.headers[0]

    headers = asyncio.run(run())
    assert headers["Host"] == "csms.example"
    assert "permessage-deflate" in headers["Sec-WebSocket-Extensions"]
    assert acts_of(tmp_path)[0] == "rewritten"
    assert next(one.text.decode() for one in events_of(tmp_path) if isinstance(one, Message)) == HEARTBEAT
