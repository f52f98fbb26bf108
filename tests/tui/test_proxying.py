"""The proxy on the screen: its line, the filter of what is held, the queue, the editor, and CALLs of one's own."""

from __future__ import annotations

import json

import pytest
from support_scope import Driver, ScopeSession, recorded
from support_scope import drive as drive_on
from support_steering import AUTHORIZE, NOW, SECOND, FakeSteering, RecordedSession, held, link

from ocppscope.control import Answered, Cut, Drop, Forward, ForwardAll, Inject, Intercept, State
from ocppscope.model import Kind, Side
from ocppscope.render import styled
from ocppscope.render.styled import Style
from ocppscope.tui.actions import ACTIONS, PROXY
from ocppscope.tui.drafts import MAX_DRAFT
from ocppscope.tui.editor import Editor
from ocppscope.tui.injecting import InjectScreen, SentScreen
from ocppscope.tui.intercepting import HeldScreen
from ocppscope.tui.links import LinksScreen
from ocppscope.tui.proxy_words import Sent, answer_line, proxy_line
from ocppscope.tui.proxying import MAX_DRAFTS, MAX_SENT, NO_PROXY, NOTHING_HELD, PASSIVE
from ocppscope.tui.screens import ListScreen

HOSTILE = "\x1b[31m[bold]CP\u202e1[/]\n"
STATE = State("ws://127.0.0.1:9000", "ws://csms:80", recording="/tmp/x.pcapng")


def drive(check, session, **options) -> None:
    """The application, with a clock that stands still."""

    async def frozen(d: Driver) -> None:
        d.scope.proxying.clock = lambda: NOW
        await check(d)

    drive_on(frozen, session, **options)


def act(name: str) -> str:
    """The key of an action."""
    return ACTIONS[name].keys[0]


def proxied(*waiting, active: bool = True) -> tuple[FakeSteering, RecordedSession]:
    steering = FakeSteering(link(), link(2, "CP-2"), active=active)
    steering.waiting = list(waiting)
    return steering, RecordedSession(steering, recorded("malformed"))


# --- words ---------------------------------------------------------------------------------------------------------


def shown(state: State, waiting=(), width: int = 200) -> str:
    return styled.plain(proxy_line(state, waiting, 0, width, "i"))


def test_the_line_says_how_the_proxy_is():
    assert shown(STATE) == " ws://127.0.0.1:9000 → ws://csms:80 · 0 stations · passive · 0 B in x.pcapng"
    busy = State(
        "ws://a", "ws://b", 1, 5, recording="/x/y.pcapng", recorded_bytes=3_400_000, active=True, intercept="A"
    )
    assert shown(busy) == " holds A · ws://a → ws://b · 1 station · active · 3.4 MB in y.pcapng"


def test_what_matters_most_is_seen_where_there_is_little_room():
    failing = State("ws://a", "ws://b", recording="x", recording_trouble="The disk is full.", active=True)
    waiting = [held(expires_ns=12 * SECOND), held(2)]
    text = shown(failing, waiting, 60)
    assert text.startswith(" NOT RECORDING · 2 held (i): CP-1 → Authorize 12 s")
    assert styled.width(proxy_line(failing, waiting, 0, 60)) <= 60
    styles = {span.text: span.style for span in proxy_line(failing, waiting, 0, 60)}
    assert styles["NOT RECORDING"] is Style.ERROR


def test_nothing_from_the_wire_gets_into_lines_unfiltered():
    state = State(HOSTILE, HOSTILE, recording=HOSTILE, intercept=HOSTILE)
    lines = [proxy_line(state, [held(station=HOSTILE, action=HOSTILE)], 0, 500)]
    order = Inject(1, Side.STATION, HOSTILE, "{}")
    lines += [answer_line(Sent(order, HOSTILE))]
    lines += [answer_line(Sent(order, HOSTILE, Answered(1, text))) for text in (HOSTILE, "")]
    lines += [answer_line(Sent(order, HOSTILE, Answered(1, "", HOSTILE)))]
    assert all(styled.plain(line).isprintable() for line in lines)


def test_what_became_of_a_call():
    sent = Sent(Inject(1, Side.STATION, "Reset", "{}"), "CP-1")
    assert styled.plain(answer_line(sent)) == " ← Reset  to CP-1 on its way"
    to_csms = Sent(Inject(1, Side.CSMS, "Heartbeat", "{}"), "CP-1")
    assert styled.plain(answer_line(to_csms)) == " → Heartbeat  to the CSMS of CP-1 on its way"
    sent.answer = Answered(0, "[3,1,{}]", "", 12_000_000)
    assert styled.plain(answer_line(sent)) == " ← Reset  [3,1,{}]  after 12ms"
    sent.answer = Answered(0, "", "no answer in 30 s", 30 * SECOND)
    assert styled.plain(answer_line(sent)) == " ← Reset  no answer in 30 s  after 30.0s"


# --- without a proxy, and with a passive one -----------------------------------------------------------------------

ACTING = [one.id for one in ACTIONS.values() if one.group == PROXY]


def test_without_a_proxy_a_sentence_says_so():
    async def check(d: Driver) -> None:
        for name in ACTING:
            await d.press(act(name))
            assert NO_PROXY[:60] in d.told, name
            await d.press("g")
        assert "ws://" not in d.lines[1]

    drive(check, ScopeSession(recorded("malformed")))


def test_a_passive_proxy_says_how_to_make_it_active():
    steering, session = proxied(active=False)

    async def check(d: Driver) -> None:
        for name in ACTING:
            if name != "show_links":
                await d.press(act(name))
                assert PASSIVE[:60] in d.told, name
                await d.press("g")
        assert "passive" in d.lines[1]
        assert steering.orders == []

    drive(check, session)


# --- the line and the filter ---------------------------------------------------------------------------------------


def test_the_filter_of_what_is_held():
    steering, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("intercept"))
        await d.type("actoin == x")
        await d.press("enter")
        assert "✗ Hold" in d.text
        assert steering.orders == [], "what is not understood is not sent"
        await d.press("escape")
        assert "Hold" not in d.text
        await d.press(act("intercept"))
        await d.type("action == Auth")
        assert "Authorize" in d.text, "it is completed like the filter of the screen"
        await d.press("tab", "enter")
        assert steering.orders == [Intercept("action == Authorize")]
        assert "Held from now on: action == Authorize" in d.told
        assert d.scope.shown is None, "the screen is not filtered by it"
        await d.until(lambda: "holds action == Authorize" in d.lines[1])
        await d.press(act("intercept"), "ctrl+u", "enter")
        assert steering.orders[-1] == Intercept("")
        await d.press("j")
        assert d.scope.focused is d.scope.messages.list

    drive(check, session)


def test_what_comes_to_be_held_moves_no_focus():
    steering, session = proxied()

    async def check(d: Driver) -> None:
        await d.press("/")
        await d.type("stat")
        steering.waiting = [held()]
        await d.until(lambda: "1 held (i)" in d.lines[1])
        await d.type("ion")
        assert d.scope.bar.input.value == "station"
        assert "1 held (i): CP-1 → Authorize" in d.lines[1]

    drive(check, session, size=(80, 24))


@pytest.mark.parametrize(
    ("name", "order", "said"),
    [
        ("forward", Forward(1), "CP-1 → Authorize is sent on."),
        ("drop", Drop(1), "CP-1 → Authorize is dropped."),
        ("forward_all", ForwardAll(), "2 messages are sent on."),
    ],
)
def test_the_oldest_is_decided_on_from_every_tab(name, order, said):
    steering, session = proxied(held(1), held(2, station="CP-2"))

    async def check(d: Driver) -> None:
        await d.press("f7", act(name))
        assert steering.orders == [order]
        assert said in d.told
        await d.press(*(act("forward"),) * 2)
        assert NOTHING_HELD in d.told

    drive(check, session)


# --- the queue -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_the_queue(size):
    answer = held(2, station="CP-2", side=Side.CSMS, kind=int(Kind.CALLRESULT), gives_up_ns=None, text='[3,"1",{}]')
    _, session = proxied(held(1, station=HOSTILE), answer, held(3, expires_ns=0, gives_up_ns=1))

    async def check(d: Driver) -> None:
        await d.press(act("show_held"))
        assert isinstance(d.scope.screen, HeldScreen)
        below = next(at for at, line in enumerate(d.lines) if line.startswith(" Held "))
        rows = [line for line in d.lines[below:] if "Authorize" in line]
        assert "\\x1b[31m" in rows[0]
        assert "→ CALL   Authorize" in rows[0]
        assert " 0 s     25 s      30 s" in rows[0]
        assert "← RESULT Authorize" in rows[1]
        assert rows[1].rstrip().endswith("-") or "-  [3" in rows[1]
        assert "0 s   gave up" in rows[2]

    drive(check, session, size=size)


@pytest.mark.parametrize(
    ("key", "order"),
    [("a", Forward(2)), ("X", Drop(2)), ("D", Forward(2, copies=2)), ("A", ForwardAll())],
)
def test_a_decision_in_the_queue(key, order):
    steering, session = proxied(held(1), held(2, station="CP-2"), held(3, station="CP-3"))

    async def check(d: Driver) -> None:
        await d.press(act("show_held"), "j", key)
        assert steering.orders == [order]
        queue = d.scope.screen.queue
        assert queue.count == len(steering.waiting)
        assert "sent on" in d.text or "dropped" in d.text
        if steering.waiting:
            assert queue.item.held == 3, "the next one is under the cursor"
        await d.press("a", "a", "a", "a")
        assert queue.count == 0
        await d.press("escape")
        assert len(d.scope.screen_stack) == 1

    drive(check, session)


def test_the_queue_grows_and_says_whose_time_is_up():
    steering, session = proxied(held(1, expires_ns=0), held(2, station="CP-2"))

    async def check(d: Driver) -> None:
        await d.press(act("show_held"), "j")
        steering.waiting = [held(2, station="CP-2"), held(3)]
        await d.until(lambda: "CP-1 → Authorize was sent on as it was: its time was up." in d.text)
        assert d.scope.screen.queue.item.held == 2, "the cursor stays on its message"
        assert d.scope.screen.queue.count == 2
        steering.waiting = []
        await d.until(lambda: "CP-1 → Authorize is not held any more." in d.text)
        await d.press("a", "X", "D", "e", "enter", "A")
        assert steering.orders == []

    drive(check, session)


def test_a_held_message_is_looked_at():
    _, session = proxied(held(1, text='[2,"1","Authorize",{"idTag":"\u202e"}]'))

    async def check(d: Driver) -> None:
        await d.press(act("show_held"), "enter")
        assert type(d.scope.screen) is ListScreen
        assert '"idTag": "\\u202e"' in d.text

    drive(check, session)


# --- the editor ----------------------------------------------------------------------------------------------------


async def edited(d: Driver, text: str) -> Editor:
    """Opens the editor of what is held and puts a text there."""
    await d.press(act("show_held"), "e")
    editor = d.scope.screen
    assert isinstance(editor, Editor)
    editor.area.text = text
    await d.settle()
    return editor


def test_a_message_is_edited():
    steering, session = proxied(held())

    async def check(d: Driver) -> None:
        await d.press(act("show_held"), "e")
        assert json.loads(d.scope.screen.area.text) == json.loads(AUTHORIZE)
        assert "goes on as it was in 25 s; the station gives up in 30 s" in d.text
        assert "valid in OCPP 1.6" in d.text
        for _ in range(5):
            await d.press("down")
        await d.press("end", "backspace")
        await d.type('2"')
        await d.until(lambda: "✓" in d.text)
        await d.press("ctrl+s")
        assert steering.orders == [Forward(1, AUTHORIZE.replace("EXAMPLE", "EXAMPLE2"))]
        assert "CP-1 → Authorize was changed and sent on." in d.text

    drive(check, session, size=(80, 24))


def test_what_was_not_changed_goes_on_as_it_was():
    steering, session = proxied(held())

    async def check(d: Driver) -> None:
        await d.press(act("show_held"), "e", "ctrl+s")
        assert steering.orders == [Forward(1)]

    drive(check, session)


@pytest.mark.parametrize(
    ("text", "said", "sent"),
    [
        ('[2,"17","Authorize",{"idTag": 5}]', "/idTag", '[2,"17","Authorize",{"idTag":5}]'),
        ('[2,\n"17" }', "line 2, column 6", '[2,\n"17" }'),
    ],
)
def test_what_is_wrong_is_sent_when_asked_twice(text, said, sent):
    steering, session = proxied(held())

    async def check(d: Driver) -> None:
        await edited(d, text)
        await d.until(lambda: said in d.text)
        await d.press("ctrl+s")
        assert steering.orders == []
        assert "Ctrl+S again sends it all the same" in d.text
        d.scope.screen.area.text = text + " "
        await d.press("ctrl+s")
        assert steering.orders == [], "of another text it is asked again"
        d.scope.screen.area.text = text
        await d.press("ctrl+s", "ctrl+s")
        assert steering.orders == [Forward(1, sent)]

    drive(check, session)


def test_an_unfinished_text_is_kept():
    steering, session = proxied(held())

    async def check(d: Driver) -> None:
        await edited(d, "half")
        await d.press("escape", "e")
        assert d.scope.screen.area.text == "half"
        assert steering.orders == []

    drive(check, session)


def test_drafts_are_bounded():
    _, session = proxied()

    async def check(d: Driver) -> None:
        for number in range(MAX_DRAFTS + 5):
            d.scope.proxying.keep(number, "x")
        assert len(d.scope.proxying.drafts) == MAX_DRAFTS
        assert 0 not in d.scope.proxying.drafts

    drive(check, session)


def test_a_message_that_went_on_meanwhile_can_be_sent_by_itself():
    steering, session = proxied(held(expires_ns=0))

    async def check(d: Driver) -> None:
        await edited(d, '[2,"17","Authorize",{"idTag":"MINE"}]')
        steering.waiting = []
        await d.until(lambda: "Its time was up: it went on as it was." in d.text)
        await d.press("ctrl+s")
        assert steering.orders == []
        assert isinstance(d.scope.screen, InjectScreen)
        assert json.loads(d.scope.screen.area.text) == {"idTag": "MINE"}
        await d.press("ctrl+s")
        (order,) = steering.injected
        assert order == Inject(1, Side.CSMS, "Authorize", '{"idTag":"MINE"}', 1)

    drive(check, session)


def test_what_came_too_late_is_kept():
    steering, session = proxied(held())

    async def check(d: Driver) -> None:
        await edited(d, '[2,"17","Authorize",{"idTag":"MINE"}]')
        steering.waiting = []
        await d.press("escape")
        await d.until(lambda: "The text is kept" in d.text)
        await d.press("escape", act("inject"), "ctrl+r")
        assert "not sent" in d.text
        await d.press("enter")
        assert json.loads(d.scope.screen.area.text) == {"idTag": "MINE"}
        assert steering.orders == []

    drive(check, session)


def test_a_huge_message_is_not_edited():
    steering, session = proxied(held(text="[" + " " * MAX_DRAFT + "]"))

    async def check(d: Driver) -> None:
        await d.press(act("show_held"), "e")
        assert "too many to be edited here" in d.text
        await d.press("ctrl+s", "ctrl+s")
        assert steering.orders == []

    drive(check, session)


# --- connections ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_the_connections(size):
    steering, session = proxied()
    steering.open = [
        link(), link(2, HOSTILE, tls=(True, False)), link(3, "CP-3", active=False, why_passive="it is compressed")
    ]  # fmt: skip

    async def check(d: Driver) -> None:
        await d.press(act("show_links"))
        assert isinstance(d.scope.screen, LinksScreen)
        assert "1 CP-1" in d.text
        assert "ocpp1.6 active 127.0.0.1:40001" in d.text.replace("  ", " ")
        assert "\\x1b[31m" in d.text
        assert "TLS" in d.text
        await d.press("j", "R", "F")
        assert steering.orders == [Cut(2, "RST"), Cut(2, "FIN")]
        await d.press("j")
        assert "it is compressed" in d.text
        await d.press("C")
        assert len(steering.orders) == 2, "there is no Close frame where the proxy does not speak"
        await d.press("k", "k", "C")
        assert steering.orders[-1] == Cut(1, "close")
        steering.open = []
        await d.until(lambda: "No station is connected." in d.text)
        await d.press("R", "n", "escape")
        assert len(steering.orders) == 3

    drive(check, session, size=size)


def test_a_passive_proxy_shows_its_connections():
    steering, session = proxied(active=False)

    async def check(d: Driver) -> None:
        await d.press(act("show_links"), "R")
        assert steering.orders == [Cut(1, "RST")]
        await d.press("n")
        assert PASSIVE[:60] in d.text

    drive(check, session)


# --- CALLs of one's own --------------------------------------------------------------------------------------------


def test_a_call_of_ones_own():
    steering, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("inject"))
        form = d.scope.screen
        assert isinstance(form, InjectScreen)
        assert form.chosen_link.number == 1
        await d.type("change")
        assert "ChangeAvailability" in d.text
        await d.press("down", "enter")
        assert form.action_name == "ChangeConfiguration"
        assert json.loads(form.area.text) == {"key": "HeartbeatInterval", "value": "300"}
        assert "valid in OCPP 1.6" in d.text
        await d.press("ctrl+s")
        sent = Inject(1, Side.STATION, "ChangeConfiguration", '{"key":"HeartbeatInterval","value":"300"}', 1)
        assert steering.orders == [sent]
        assert "on its way" in d.text
        steering.told = [Answered(1, '[3,"x",{"status":"Rejected"}]', "", 12_000_000)]
        await d.until(lambda: 'ChangeConfiguration  [3,"x",{"status":"Rejected"}]  after 12ms' in d.text)

    drive(check, session, size=(80, 24))


def test_the_answer_is_told_where_the_form_is_not_open_any_more():
    steering, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("inject"), "ctrl+s", "escape")
        steering.told = [Answered(99, "of another"), Answered(1, "", HOSTILE, 0)]
        await d.until(lambda: "← TriggerMessage  \\x1b[31m" in d.told)

    drive(check, session)


def test_the_form_begins_at_the_station_under_the_cursor():
    steering, session = proxied()
    steering.open = [link(), link(7, "CP-MALFORMED-01")]

    async def check(d: Driver) -> None:
        await d.press("g", act("inject"))
        assert d.scope.screen.chosen_link.number == 7

    drive(check, session)


def test_side_and_version_decide_what_can_be_asked():
    steering, session = proxied()
    steering.open = [link(), link(2, "CP-2", version="ocpp2.0.1")]

    async def check(d: Driver) -> None:
        await d.press(act("inject"), "shift+tab")
        await d.type("csms")
        await d.press("enter")
        form = d.scope.screen
        assert form.side is Side.CSMS
        assert form.action_name == "Heartbeat"
        await d.type("start")
        await d.press("enter")
        assert form.action_name == "StartTransaction"
        await d.press("shift+tab", "shift+tab", "shift+tab")
        await d.type("CP-2")
        await d.press("enter")
        assert form.chosen_link.number == 2
        assert form.action_name == "Heartbeat", "2.0.1 has no StartTransaction"
        assert json.loads(form.area.text) == {}

    drive(check, session)


def test_what_was_written_is_left_alone():
    _, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("inject"))
        form = d.scope.screen
        form.area.text = '{"type": "Hard"}'
        await d.type("Reset")
        await d.press("enter", "ctrl+o")
        assert form.area.text == '{"type": "Hard"}'
        assert "left alone" in d.text

    drive(check, session)


def test_all_elements_of_a_template():
    _, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("inject"))
        assert "could be added (Ctrl+O): connectorId integer" in d.text
        await d.press("ctrl+o")
        assert json.loads(d.scope.screen.area.text) == {"requestedMessage": "Heartbeat", "connectorId": 1}

    drive(check, session)


def test_what_is_wrong_is_injected_when_asked_twice():
    steering, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("inject"))
        await d.type("MakeCoffee")
        await d.press("enter")
        assert "does not have this action" in d.text
        await d.press("ctrl+s")
        assert steering.orders == []
        await d.press("ctrl+s")
        assert steering.injected[0].action == "MakeCoffee"

    drive(check, session)


def test_nothing_is_injected_where_the_proxy_is_passive():
    steering, session = proxied()
    steering.open = [link(active=False, why_passive="it is compressed")]

    async def check(d: Driver) -> None:
        await d.press(act("inject"), "ctrl+s")
        assert steering.orders == []
        assert "it is compressed" in d.text
        steering.open = []
        await d.press("escape", act("inject"))
        assert "No station is connected." in d.told

    drive(check, session)


def test_what_was_sent_can_be_sent_again():
    steering, session = proxied()

    async def check(d: Driver) -> None:
        await d.press(act("inject"), "ctrl+r")
        assert "Nothing was sent yet." in d.text
        await d.type("Reset")
        await d.press("enter", "ctrl+s", "escape", act("inject"), "ctrl+r")
        assert isinstance(d.scope.screen, SentScreen)
        steering.told = [Answered(1, HOSTILE)]
        await d.press("v")
        assert '"type":"Soft"' in d.text or '"type": "Soft"' in d.text
        await d.press("escape", "enter")
        assert d.scope.screen.action_name == "Reset"
        await d.press("ctrl+s")
        assert [(one.action, one.payload, one.ticket) for one in steering.injected] == [
            ("Reset", '{"type":"Soft"}', 1),
            ("Reset", '{"type":"Soft"}', 2),
        ]

    drive(check, session)


def test_what_was_sent_is_bounded():
    _, session = proxied()

    async def check(d: Driver) -> None:
        for _ in range(MAX_SENT + 5):
            d.scope.proxying.inject(link(), Side.STATION, "Reset", "{}")
        assert len(d.scope.proxying.sent) == MAX_SENT

    drive(check, session)
