"""The page Packet: what Wireshark says of a message's packet, asked for in a thread, cancelled, or refused."""

from __future__ import annotations

from threading import Event
from typing import TYPE_CHECKING

import pytest
from support_scope import Driver, ScopeSession, drive, recorded

from ocppscope.capture.tshark_packet import PacketTrees
from ocppscope.errors import CaptureError
from ocppscope.model import Message
from ocppscope.render.styled import Style
from ocppscope.tui import packet
from ocppscope.tui.packet import MAX_LINES, Packets, shown
from support_engine import CAPTURES

if TYPE_CHECKING:
    from collections.abc import Callable

TREE = (
    "Frame 9: 100 bytes on wire",
    "    Arrival Time: now",
    "Evil",
    "    [worked out]",
    "    \x1b]52;c;eA==\x07\u202etxet",
)
DEADLINE = 20


class Answers:
    """A dissector that says what it is told to say."""

    def __init__(self, lines: tuple[str, ...] = TREE, *, expect: str = "", trouble: str = "") -> None:
        self.lines, self.expect, self.trouble = lines, expect, trouble
        self.known: dict[int, tuple[str, ...]] = {}
        self.asked: list[int] = []
        self.waits: Event | None = None
        self.ended: list[int] = []

    def expectation(self) -> str:
        return self.expect

    def kept(self, number: int) -> tuple[str, ...] | None:
        return self.known.get(number)

    def tree(self, number: int, cancelled: Callable[[], bool]) -> tuple[str, ...]:
        self.asked.append(number)
        waiting = Event()
        for _ in range(DEADLINE * 100):
            if self.waits is None or self.waits.is_set() or cancelled():
                break
            waiting.wait(0.01)
        self.ended.append(number)
        if cancelled():
            return ()
        if self.trouble:
            raise CaptureError(self.trouble, "Mend it.")
        self.known[number] = self.lines
        return self.lines


def session(dissector: object | None) -> ScopeSession:
    made = ScopeSession(recorded("ocpp16_plain"))
    made.dissector = dissector
    return made


async def to_page(driver: Driver) -> None:
    driver.scope.detail.choose(packet.TITLE)
    await driver.settle()


def packet_of(driver: Driver) -> int:
    message = driver.scope.current_message()
    assert message is not None
    return message.packets[-1]


def test_the_page_is_one_of_those_that_v_shows():
    answers = Answers()

    async def check(driver: Driver) -> None:
        for _ in range(10):
            await driver.press("v")
            if driver.scope.detail.page == packet.TITLE:
                break
        await driver.settle()
        assert answers.asked == [packet_of(driver)]
        assert f"packet {packet_of(driver)}, as Wireshark reads it" in driver.text
        assert "Frame 9: 100 bytes on wire" in driver.text
        assert "\\x1b]52;c;eA==\\x07\\u202etxet" in driver.text
        assert "\x1b" not in driver.text
        assert "\u202e" not in driver.text

    drive(check, session(answers))


def test_nothing_is_asked_for_before_the_page_is_shown():
    answers = Answers()

    async def check(driver: Driver) -> None:
        await driver.press("j", "j")
        assert answers.asked == []
        await to_page(driver)
        await driver.press("j")
        assert answers.asked[-1] == packet_of(driver)
        await driver.press("k", "j")
        assert len(answers.asked) == len(set(answers.asked))  # what is known is not asked for again

    drive(check, session(answers))


def test_reading_can_be_cancelled_and_taken_up_again():
    answers = Answers()
    answers.waits = Event()

    async def check(driver: Driver) -> None:
        driver.scope.detail.choose(packet.TITLE)
        for _ in range(DEADLINE * 50):
            if answers.asked:
                break
            await driver.pilot.pause(0.02)
        assert "Reading… (Esc cancels)" in driver.text
        await driver.press("escape")
        assert "Cancelled. Enter reads the packet." in driver.text
        assert answers.ended == answers.asked
        assert answers.waits is not None
        answers.waits.set()
        await driver.press("tab", "enter")
        assert "Frame 9" in driver.text

    drive(check, session(answers))


def test_another_message_ends_what_was_asked_for_the_one_before():
    answers = Answers()
    answers.waits = Event()

    async def check(driver: Driver) -> None:
        first = packet_of(driver)
        driver.scope.detail.choose(packet.TITLE)
        for _ in range(DEADLINE * 50):
            if answers.asked:
                break
            await driver.pilot.pause(0.02)
        await driver.pilot.press("j")
        for _ in range(DEADLINE * 50):
            if answers.ended:
                break
            await driver.pilot.pause(0.02)
        assert answers.ended[0] == first
        assert answers.waits is not None
        answers.waits.set()
        await driver.settle()
        assert first not in answers.known
        assert packet_of(driver) in answers.known

    drive(check, session(answers))


def test_leaving_waits_for_nobody():
    answers = Answers()
    answers.waits = Event()

    async def check(driver: Driver) -> None:
        driver.scope.detail.choose(packet.TITLE)
        for _ in range(DEADLINE * 50):
            if answers.asked:
                break
            await driver.pilot.pause(0.02)

    drive(check, session(answers))
    assert len(answers.ended) == len(answers.asked) == 1
    assert answers.known == {}


def test_what_takes_long_is_asked_for_by_hand():
    answers = Answers(expect="It may take an hour.")

    async def check(driver: Driver) -> None:
        await to_page(driver)
        assert "It may take an hour. Enter reads the packet." in driver.text
        assert answers.asked == []
        await driver.press("tab", "enter")
        assert answers.asked == [packet_of(driver)]
        assert "Frame 9" in driver.text

    drive(check, session(answers))


def test_why_it_cannot_be_said():
    answers = Answers(trouble="tshark is not\x1b installed.")

    async def check(driver: Driver) -> None:
        await to_page(driver)
        assert "tshark is not\\x1b installed. Mend it." in driver.text
        await driver.press("j", "k")
        assert answers.asked.count(packet_of(driver)) == 1  # once is enough
        answers.trouble = ""
        await driver.press("tab", "enter")
        assert "Frame 9" in driver.text

    drive(check, session(answers))


def test_what_cannot_be_read_again():
    async def check(driver: Driver) -> None:
        await to_page(driver)
        assert packet.NO_FILE in driver.text
        await driver.press("tab", "enter")

    drive(check, session(None))


@pytest.mark.tshark
def test_with_the_real_one():
    async def check(driver: Driver) -> None:
        await to_page(driver)
        assert f"Frame {packet_of(driver)}: " in driver.text
        await driver.press("tab", "G")
        assert "WebSocket" in driver.text or "text data" in driver.text

    drive(check, session(PacketTrees([str(CAPTURES / "ocpp16_plain.pcap")])), size=(120, 60))


def message_of(*packets: int) -> Message:
    found = next(event for event in recorded("ocpp16_plain") if isinstance(event, Message))
    return Message(**{**{name: getattr(found, name) for name in found.__struct_fields__}, "packets": packets})


@pytest.mark.parametrize(
    ("packets", "said"),
    [
        ((), packet.NOT_KNOWN),
        ((1234,), "packet 1,234, as Wireshark reads it"),
        ((4, 5, 9), "packet 9, the last of 3 (4, 5, 9), as Wireshark reads it"),
        (tuple(range(20)), "packet 19, the last of 20 (…, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19), as"),
    ],
)
def test_which_packet_it_is(packets, said):
    pages = Packets(Answers(), lambda work: None)
    assert next(pages.said(message_of(*packets)))[0].startswith(said)


def test_styles_and_bounds_of_lines():
    assert [style for _, style in shown(TREE)] == [Style.BOLD, Style.PLAIN, Style.BOLD, Style.DIM, Style.PLAIN]
    many = list(shown(tuple(f"line {at}" for at in range(MAX_LINES + 7))))
    assert len(many) == MAX_LINES + 1
    assert many[-1][0] == f"… ({MAX_LINES + 7:,} lines)"
    (long, _), (deep, _) = shown(("x" * 5000, " " * 4000 + "y"))
    assert long.endswith("… (5,000 characters)")
    assert deep == " " * 20 + "y"


def test_only_so_many_troubles_are_kept(monkeypatch):
    monkeypatch.setattr(packet, "MAX_TROUBLES", 3)
    monkeypatch.setattr(packet, "PATIENCE", 0)
    pages = Packets(Answers(trouble="No."), lambda work: work())
    for number in range(1, 10):
        assert pages.ask(number, lambda event: None)
        assert len(pages._troubles) <= 3
