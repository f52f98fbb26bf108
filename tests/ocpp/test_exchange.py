"""Texts of both sides in, paired messages out: outcomes, ends, bounds; and the quick way against the exact one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ocppscope.batch import Batch
from ocppscope.model import ExchangeEnd, Kind, Message, Origin, Outcome, Problem, Side, Text, Version
from ocppscope.ocpp import exchange
from ocppscope.ocpp.exchange import MAX_ANSWERED, MAX_PENDING, Dialogue
from ocppscope.problems import PROBLEMS
from support_engine import CAPTURES, SHARED, SIDES, groups

SECOND = 1_000_000_000
UNKNOWN, V16, V201, V21 = Version.UNKNOWN, Version.V16, Version.V201, Version.V21
BOTH_WAYS = pytest.mark.parametrize("quick", [True, False], ids=["quick", "exact"])

BEAT = '[2,"1","Heartbeat",{}]'
TIME = '{"currentTime":"2026-11-22T12:00:00Z"}'
BEATEN = f'[3,"1",{TIME}]'
RESET = '[2,"1","Reset",{"type":"Immediate"}]'
ACCEPTED = '[3,"1",{"status":"Accepted"}]'
FAILED = '[4,"1","InternalError","",{}]'
UNFIT = '[5,"1","FormatViolation","",{}]'
STREAM = '{"id":1,"pending":0,"basetime":"2026-11-22T12:00:00Z","data":[{"t":1.0,"v":"2"}]}'
SEND = f'[6,"1","NotifyPeriodicEventStream",{STREAM}]'


class Talk:
    """Plays texts into a dialogue, a second apart; `quick` tries the quick way first, as the engine does."""

    def __init__(
        self, version: Version = V21, *, quick: bool = True, guessed: bool = False, timeout_ns: int = 30 * SECOND
    ) -> None:
        self.dialogue = Dialogue(7, version, guessed=guessed, timeout_ns=timeout_ns)
        self._quick = quick
        self.now = 0
        self.taken = 0  # how many went the quick way
        self.messages: list[Message] = []

    def say(
        self,
        side: Side,
        text: bytes,
        at: int | None = None,
        *,
        problems: tuple[Problem, ...] = (),
        binary: bool = False,
    ) -> Message:
        self.now = self.now + SECOND if at is None else at
        packet = len(self.messages) + 1
        message = None
        whole = Text(text, Origin(self.now, (packet,)), len(text) + 6, binary=binary, problems=problems)
        if self._quick and not problems and not binary:
            before, batch = self.state, Batch()
            if self.dialogue.speakers[side].quick(batch, text, self.now, batch.arrivals.add(whole)):
                self.taken += 1
                batch.settle()
                (message,) = batch
            else:
                assert self.state == before
                assert len(batch) == 0
        if message is None:
            message = self.dialogue.read(side, whole)
        self.messages.append(message)
        assert {problem.code for problem in message.problems} <= PROBLEMS.keys()
        return message

    def play(self, *lines: str) -> Message:
        """Lines as `> [2,…]`, of the station, and `< [3,…]`, of the CSMS; the last message."""
        for line in lines:
            message = self.say(Side("><".index(line[0])), line[2:].encode())
        return message

    @property
    def state(self) -> tuple[object, ...]:
        """Everything that a dialogue knows."""
        dialogue = self.dialogue
        tables = [
            {id_: (c.ordinal, c.time_ns, c.action) for id_, c in table.items()}
            for speaker in dialogue.speakers
            for table in (speaker.pending, speaker.answered)
        ]
        return dialogue.ordinal, dialogue.counts, dialogue.version, dialogue.guessed, list(dialogue.ended), tables


def talk(*lines: str, quick: bool, version: Version = V21) -> Message:
    return Talk(version, quick=quick).play(*lines)


def codes(message: Message) -> set[str]:
    return {problem.code for problem in message.problems}


# --- outcomes -------------------------------------------------------------------------------------------------------

OUTCOMES: dict[str, tuple[list[str], Outcome, int | None]] = {
    # what is said, the last message's outcome, and the ordinal of the CALL that it answers
    "a CALL": ([f"> {BEAT}"], Outcome.PENDING, None),
    "a CALL of the CSMS": ([f"< {RESET}"], Outcome.PENDING, None),
    "a SEND": ([f"> {SEND}"], Outcome.NONE, None),
    "a SEND with the id of a CALL": ([f"> {BEAT}", f"> {SEND}"], Outcome.NONE, None),
    "no message": (["> hello"], Outcome.NONE, None),
    "an unknown type": (['> [9,"1","Heartbeat",{}]'], Outcome.NONE, None),
    "answered": ([f"> {BEAT}", f"< {BEATEN}"], Outcome.ANSWERED, 0),
    "answered by the station": ([f"< {RESET}", f"> {ACCEPTED}"], Outcome.ANSWERED, 0),
    "answered with an error": ([f"> {BEAT}", f"< {FAILED}"], Outcome.ERROR, 0),
    "answered, but unfit": ([f"> {BEAT}", '< [3,"1",{}]'], Outcome.ANSWERED, 0),
    "answered to itself": ([f"> {BEAT}", f"> {BEATEN}"], Outcome.ORPHAN, None),
    "an answer to nothing": ([f"< {BEATEN}"], Outcome.ORPHAN, None),
    "an answer to another id": ([f"> {BEAT}", f'< [3,"2",{TIME}]'], Outcome.ORPHAN, None),
    "an error to nothing": ([f"> {FAILED}"], Outcome.ORPHAN, None),
    "an answer to a SEND": ([f"> {SEND}", '< [3,"1",{}]'], Outcome.ORPHAN, None),
    "a second answer": ([f"> {BEAT}", f"< {BEATEN}", f"< {BEATEN}"], Outcome.DUPLICATE, 0),
    "an error after the answer": ([f"> {BEAT}", f"< {BEATEN}", f"< {FAILED}"], Outcome.DUPLICATE, 0),
    "an answer after the error": ([f"> {BEAT}", f"< {FAILED}", f"< {BEATEN}"], Outcome.DUPLICATE, 0),
    "a second answer from the other side": ([f"> {BEAT}", f"< {BEATEN}", f"> {BEATEN}"], Outcome.ORPHAN, None),
    "resent": ([f"> {BEAT}", f"> {BEAT}"], Outcome.RESENT, None),
    "resent after its answer": ([f"> {BEAT}", f"< {BEATEN}", f"> {BEAT}"], Outcome.RESENT, None),
    "the same with another id": ([f"> {BEAT}", '> [2,"2","Heartbeat",{}]'], Outcome.PENDING, None),
    "the same from the other side": (
        ['> [2,"1","DataTransfer",{"vendorId":"v"}]', '< [2,"1","DataTransfer",{"vendorId":"v"}]'],
        Outcome.PENDING,
        None,
    ),
    "the id is used again": ([f"> {BEAT}", '> [2,"1","Heartbeat",{ }]'], Outcome.REUSED_ID, None),
    "the id is used again after its answer": (
        [f"> {BEAT}", f"< {BEATEN}", '> [2,"1","ClearedChargingLimit",{"chargingLimitSource":"EMS"}]'],
        Outcome.REUSED_ID,
        None,
    ),
    "an answer to the later CALL of an id": (
        [f"> {BEAT}", '> [2,"1","Heartbeat",{ }]', f"< {BEATEN}"],
        Outcome.ANSWERED,
        1,
    ),
    "an answer to a resent CALL": ([f"> {BEAT}", f"> {BEAT}", f"< {BEATEN}"], Outcome.ANSWERED, 1),
    "a second answer to a resent CALL": ([f"> {BEAT}", f"> {BEAT}"] + [f"< {BEATEN}"] * 2, Outcome.DUPLICATE, 1),
    "an error about the answer": ([f"> {BEAT}", f"< {BEATEN}", f"> {UNFIT}"], Outcome.ERROR, 0),
    "an error about the answer of the station": ([f"< {RESET}", f"> {ACCEPTED}", f"< {UNFIT}"], Outcome.ERROR, 0),
    "an error about no answer": ([f"> {BEAT}", f"> {UNFIT}"], Outcome.ORPHAN, None),
    "an error about the answer from who gave it": ([f"> {BEAT}", f"< {BEATEN}", f"< {UNFIT}"], Outcome.ORPHAN, None),
    "an answer without id": ([f"> {BEAT}", f'< [3,"",{TIME}]'], Outcome.ORPHAN, None),
    "a CALL without id": (['> [2,"","Heartbeat",{}]'], Outcome.PENDING, None),
    "two CALLs without id": (['> [2,"","Heartbeat",{}]'] * 2, Outcome.PENDING, None),
    "an answer to a CALL without id": (['> [2,"","Heartbeat",{}]', f'< [3,"",{TIME}]'], Outcome.ORPHAN, None),
}


@BOTH_WAYS
@pytest.mark.parametrize("name", OUTCOMES)
def test_outcome(name: str, quick: bool) -> None:
    lines, outcome, reply_to = OUTCOMES[name]
    message = talk(*lines, quick=quick)
    assert (message.outcome, message.reply_to) == (outcome, reply_to)
    if reply_to is None:
        assert message.latency_ns is None
    else:
        assert message.latency_ns == (message.ordinal - reply_to) * SECOND
    named = message.kind in (Kind.CALL, Kind.SEND, Kind.UNPARSED)
    assert bool(message.action) == (message.text != b"hello" if named else reply_to is not None)


def test_every_outcome_is_met() -> None:
    met = {outcome for _, outcome, _ in OUTCOMES.values()}
    assert met | {Outcome.LATE, Outcome.TIMEOUT, Outcome.OPEN} == set(Outcome)


@BOTH_WAYS
@pytest.mark.parametrize("answer", [BEATEN, FAILED])
def test_late(answer: str, quick: bool) -> None:
    for late in (False, True):
        dialogue = Talk(quick=quick)
        dialogue.say(Side.STATION, BEAT.encode(), 5)
        message = dialogue.say(Side.CSMS, answer.encode(), 5 + 30 * SECOND + late)
        in_time = Outcome.ANSWERED if answer == BEATEN else Outcome.ERROR
        assert message.outcome is (Outcome.LATE if late else in_time)
        assert message.latency_ns == 30 * SECOND + late


@BOTH_WAYS
def test_an_answer_before_its_call_in_time_is_no_error(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    dialogue.say(Side.STATION, BEAT.encode(), 50)
    message = dialogue.say(Side.CSMS, BEATEN.encode(), 40)
    assert (message.outcome, message.latency_ns) == (Outcome.ANSWERED, -10)


@BOTH_WAYS
def test_crossing_calls_with_one_id(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    dialogue.play(f"> {BEAT}", f"< {RESET}", f"> {ACCEPTED}", f"< {BEATEN}")
    found = [(m.action, m.outcome, m.reply_to) for m in dialogue.messages]
    assert found == [
        ("Heartbeat", Outcome.PENDING, None),
        ("Reset", Outcome.PENDING, None),
        ("Reset", Outcome.ANSWERED, 1),
        ("Heartbeat", Outcome.ANSWERED, 0),
    ]
    assert all(not message.problems for message in dialogue.messages)
    assert dialogue.dialogue.finish(0) == []


@BOTH_WAYS
def test_counts_and_names(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    dialogue.play(f"> {BEAT}", f"< {BEATEN}", "> hello", f"> {SEND}")
    assert dialogue.dialogue.counts == (3, 1)
    assert [(m.connection, m.ordinal, m.side, m.packets) for m in dialogue.messages] == [
        (7, 0, Side.STATION, (1,)),
        (7, 1, Side.CSMS, (2,)),
        (7, 2, Side.STATION, (3,)),
        (7, 3, Side.STATION, (4,)),
    ]
    assert [message.wire_size for message in dialogue.messages] == [len(m.text) + 6 for m in dialogue.messages]


# --- ends -----------------------------------------------------------------------------------------------------------


def ends(found: list[ExchangeEnd]) -> list[tuple[int, Side, str, str, Outcome, int]]:
    assert all(end.connection == 7 for end in found)
    return [(end.ordinal, end.side, end.id, end.action, end.outcome, end.age_ns) for end in found]


@BOTH_WAYS
def test_the_end_of_open_calls(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    dialogue.say(Side.CSMS, RESET.encode(), 0)
    dialogue.say(Side.STATION, BEAT.encode(), 1)
    dialogue.say(Side.CSMS, b'[2,"2","Reset",{"type":"OnIdle"}]', 2)
    dialogue.say(Side.STATION, b'[3,"2",{"status":"Accepted"}]', 3)
    found = dialogue.dialogue.finish(30 * SECOND + 1)
    assert ends(found) == [
        (0, Side.CSMS, "1", "Reset", Outcome.TIMEOUT, 30 * SECOND + 1),
        (1, Side.STATION, "1", "Heartbeat", Outcome.OPEN, 30 * SECOND),
    ]
    assert {end.time_ns for end in found} == {30 * SECOND + 1}
    assert dialogue.dialogue.finish(99 * SECOND) == []


@BOTH_WAYS
def test_answered_calls_have_no_end(quick: bool) -> None:
    for answer in (BEATEN, FAILED, '[3,"1",{}]', '[3,"1"'):
        dialogue = Talk(quick=quick)
        dialogue.play(f"> {BEAT}", f"< {answer}")
        assert dialogue.dialogue.finish(99 * SECOND) == []


@BOTH_WAYS
def test_a_call_whose_id_is_used_again_ends_there(quick: bool) -> None:
    for again in (BEAT, '[2,"1","Heartbeat",{ }]'):
        dialogue = Talk(quick=quick)
        dialogue.say(Side.STATION, BEAT.encode(), 0)
        assert dialogue.dialogue.ended == []
        dialogue.say(Side.STATION, again.encode(), 31 * SECOND)
        assert ends(dialogue.dialogue.ended) == [(0, Side.STATION, "1", "Heartbeat", Outcome.TIMEOUT, 31 * SECOND)]
        assert ends(dialogue.dialogue.finish(32 * SECOND)) == [
            (1, Side.STATION, "1", "Heartbeat", Outcome.OPEN, SECOND)
        ]


@BOTH_WAYS
def test_an_answered_id_that_is_used_again_ends_nothing(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    dialogue.play(f"> {BEAT}", f"< {BEATEN}", f"> {BEAT}")
    assert dialogue.dialogue.ended == []


@BOTH_WAYS
def test_the_timeout_is_an_option(quick: bool) -> None:
    dialogue = Talk(quick=quick, timeout_ns=5)
    dialogue.say(Side.STATION, BEAT.encode(), 0)
    assert dialogue.say(Side.CSMS, BEATEN.encode(), 6).outcome is Outcome.LATE
    dialogue.say(Side.STATION, b'[2,"2","Heartbeat",{}]', 10)
    assert [end.outcome for end in dialogue.dialogue.finish(16)] == [Outcome.TIMEOUT]


# --- bounds ---------------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_pending_calls_are_bounded(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    for i in range(MAX_PENDING):
        dialogue.say(Side.STATION, b'[2,"%d","Heartbeat",{}]' % i)
    assert dialogue.dialogue.ended == []
    for i in range(3):
        message = dialogue.say(Side.STATION, b'[2,"more%d","Heartbeat",{}]' % i)
        assert message.outcome is Outcome.PENDING
    assert [(end.ordinal, end.id) for end in dialogue.dialogue.ended] == [(0, "0"), (1, "1"), (2, "2")]
    assert len(dialogue.dialogue.speakers[0].pending) == MAX_PENDING
    assert dialogue.play(f'< [3,"2",{TIME}]').outcome is Outcome.ORPHAN
    assert dialogue.play(f'< [3,"3",{TIME}]').outcome is Outcome.LATE
    assert len(dialogue.dialogue.finish(0)) == MAX_PENDING - 1


@BOTH_WAYS
def test_answered_calls_are_bounded(quick: bool) -> None:
    dialogue = Talk(quick=quick)
    for i in range(10 * MAX_ANSWERED):
        dialogue.play(f'> [2,"{i}","Heartbeat",{{}}]', f'< [3,"{i}",{TIME}]')
        assert len(dialogue.dialogue.speakers[0].answered) <= MAX_ANSWERED
    assert dialogue.play(f'< [3,"{i}",{TIME}]').outcome is Outcome.DUPLICATE
    assert dialogue.play(f'< [3,"{i - MAX_ANSWERED // 2 + 1}",{TIME}]').outcome is Outcome.DUPLICATE
    assert dialogue.play(f'< [3,"{i - MAX_ANSWERED}",{TIME}]').outcome is Outcome.ORPHAN


def test_unknown_actions_do_not_pile_up() -> None:
    table = Talk(V16).dialogue.speakers[0].actions
    before = len(table)
    for i in range(100):
        talk(f'> [2,"1","Made{i}",{{}}]', quick=False, version=V16)
    assert len(table) == before


# --- versions -------------------------------------------------------------------------------------------------------

BOOT_2 = '[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]'
BOOT_16 = '[2,"b","BootNotification",{"chargePointVendor":"v","chargePointModel":"m"}]'


@BOTH_WAYS
def test_a_guess_becomes_sure_with_what_is_said(quick: bool) -> None:
    dialogue = Talk(UNKNOWN, guessed=True, quick=quick)
    steps = [(f"> {BEAT}", UNKNOWN), (f"> {BOOT_2}", V201), ('> [2,"2","Heartbeat",{}]', V201), (f"> {SEND}", V21)]
    for line, version in steps:
        message = dialogue.play(line)
        assert dialogue.dialogue.version is version
        assert dialogue.dialogue.guessed
        assert not codes(message)


@BOTH_WAYS
def test_the_message_that_tells_the_version_is_held_against_it(quick: bool) -> None:
    dialogue = Talk(UNKNOWN, guessed=True, quick=quick)
    message = dialogue.play('> [2,"1","StartTransaction",{}]')
    assert dialogue.dialogue.version is V16
    assert codes(message) == {"schema.required"}


@BOTH_WAYS
def test_an_agreed_version_is_kept(quick: bool) -> None:
    dialogue = Talk(V16, quick=quick)
    assert codes(dialogue.play(f"> {BOOT_16}")) == set()
    assert codes(dialogue.play('> [2,"1","TransactionEvent",{}]')) == {"ocpp.unknown-action"}
    assert dialogue.dialogue.version is V16
    assert not dialogue.dialogue.guessed


@BOTH_WAYS
@pytest.mark.parametrize("version", [Version.V12, Version.V15, Version.V20, UNKNOWN])
def test_versions_that_are_not_covered_are_paired_all_the_same(version: Version, quick: bool) -> None:
    dialogue = Talk(version, quick=quick)
    message = dialogue.play('> [2,"1","Anything",{"x":1}]', '< [3,"1",{"y":2}]')
    assert (message.outcome, message.action, codes(message)) == (Outcome.ANSWERED, "Anything", set())
    assert dialogue.taken == 0


def test_what_other_versions_accept_does_not_count() -> None:
    """The tables of the quick way are shared by all dialogues of a version, and by no others."""
    for version in (V16, V201, V21):
        talk(f"> {BEAT}", quick=True, version=version)
    talk(f"> {BOOT_16}", quick=True, version=V16)
    assert codes(talk(f"> {BOOT_16}", quick=True, version=V21)) == {"schema.required", "schema.additional"}
    assert codes(talk(f"< {BEAT}", quick=True, version=V21)) == {"ocpp.wrong-sender"}
    assert codes(talk(f"> {BEAT}", quick=True, version=UNKNOWN)) == set()


def test_an_answer_is_held_against_the_version_that_is_known_when_it_comes() -> None:
    """Three phases are allowed since 2.1; the CALL was sent while the version was taken for 2.0.1."""
    period = '{"startPeriod":0,"limit":1.0,"numberPhases":5}'
    schedule = (
        '{"evseId":1,"duration":1,"scheduleStart":"2026-11-22T12:00:00Z","chargingRateUnit":"A",'
        f'"chargingSchedulePeriod":[{period}]}}'
    )
    lines = [
        f"> {BOOT_2}",
        '< [2,"g","GetCompositeSchedule",{"duration":1,"evseId":1}]',
        f"> {SEND}",
        f'> [3,"g",{{"status":"Accepted","schedule":{schedule}}}]',
    ]
    found = []
    for quick in (True, False):
        dialogue = Talk(UNKNOWN, guessed=True, quick=quick)
        found.append(dialogue.play(*lines))
        assert dialogue.dialogue.version is V21
    assert codes(found[0]) == codes(found[1]) == {"schema.maximum"}


def test_a_guess_does_not_depend_on_the_way() -> None:
    """Only 2.0.1 allows a negative evseId, only 2.1 has the action that follows."""
    values = '[{"timestamp":"2026-11-22T12:00:00Z","sampledValue":[{"value":1.0}]}]'
    odd = f'> [2,"m","MeterValues",{{"evseId":-1,"meterValue":{values}}}]'
    talk(odd, quick=False, version=V201)
    later = '> [2,"w","GetCertificateChainStatus",{"certificateStatusRequests":[]}]'
    found = []
    for quick in (True, False):
        dialogue = Talk(UNKNOWN, guessed=True, quick=quick)
        dialogue.play(f"> {BOOT_2}", odd, later)
        found.append((dialogue.dialogue.version, [codes(message) for message in dialogue.messages]))
    assert found[0] == found[1]


# --- the new kinds --------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_send(quick: bool) -> None:
    message = talk(f"> {SEND}", quick=quick)
    assert (message.kind, message.action, codes(message)) == (Kind.SEND, "NotifyPeriodicEventStream", set())
    assert codes(talk(f"< {SEND}", quick=quick)) == {"ocpp.wrong-sender"}
    assert codes(talk(SEND.replace("[6", "> [2", 1), quick=quick)) == {"ocpp.action-kind"}
    assert codes(talk('> [6,"1","Heartbeat",{}]', quick=quick)) == {"ocpp.action-kind"}
    assert codes(talk(f"> {SEND}", quick=quick, version=V16)) == {"ocpp.message-type-version"}


@BOTH_WAYS
def test_call_result_error(quick: bool) -> None:
    message = talk(f"> {BEAT}", '< [3,"1",{}]', f"> {UNFIT}", quick=quick)
    assert (message.kind, message.action, codes(message)) == (Kind.CALLRESULTERROR, "Heartbeat", set())
    message = talk(f"> {BEAT}", '< [3,"1",{}]', f"> {UNFIT}", quick=quick, version=V201)
    assert codes(message) == {"ocpp.message-type-version"}


# --- damage ---------------------------------------------------------------------------------------------------------

LOST = Problem("ws.lost-bytes", "Some bytes were not captured.")
DAMAGED = ["ws.lost-bytes", "ws.context-lost", "ws.too-large", "ws.unfinished-message", "ws.deflate-corrupt"]
START = b'[2,"7","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-11-22T12:00:00Z"}]}]'


@pytest.mark.parametrize("code", DAMAGED)
def test_nothing_is_said_about_the_rest_of_a_damaged_text(code: str) -> None:
    problem = Problem(code, "…")
    for size in range(len(START)):
        message = Talk(V16).say(Side.STATION, START[:size], problems=(problem,))
        assert message.problems == (problem,)
        assert message.text == START[:size]
        assert message.kind in (Kind.CALL, Kind.UNPARSED)
        assert message.kind is Kind.UNPARSED or message.id


@pytest.mark.parametrize("code", ["ws.context-guessed", "ws.judge", "ws.unmasked"])
def test_a_text_that_is_whole_is_looked_at_whatever_was_wrong_with_its_frame(code: str) -> None:
    message = Talk(V16).say(Side.STATION, START, problems=(Problem(code, "…"),))
    assert codes(message) == {code, "schema.required"}


def test_a_damaged_call_waits_for_its_answer_where_its_id_is_known() -> None:
    dialogue = Talk(V16)
    damaged = dialogue.say(Side.STATION, START[:30], problems=(LOST,))
    assert (damaged.kind, damaged.id, damaged.action) == (Kind.CALL, "7", "MeterValues")
    answer = dialogue.play('< [3,"7",{}]')
    assert (answer.outcome, answer.action, codes(answer)) == (Outcome.ANSWERED, "MeterValues", set())
    assert dialogue.dialogue.finish(99 * SECOND) == []


def test_a_damaged_answer_answers() -> None:
    dialogue = Talk(V16)
    dialogue.play(f"> {BEAT}")
    answer = dialogue.say(Side.CSMS, BEATEN[:-20].encode(), problems=(LOST,))
    assert (answer.kind, answer.outcome, answer.action) == (Kind.CALLRESULT, Outcome.ANSWERED, "Heartbeat")
    assert dialogue.dialogue.finish(99 * SECOND) == []


def test_a_damaged_text_teaches_no_version() -> None:
    dialogue = Talk(UNKNOWN, guessed=True)
    dialogue.say(Side.STATION, BOOT_16[:-10].encode(), problems=(LOST,))
    assert dialogue.dialogue.version is UNKNOWN


def test_binary() -> None:
    dialogue = Talk(V16)
    message = dialogue.say(Side.STATION, BEAT.encode(), binary=True)
    assert (message.kind, message.binary, codes(message)) == (Kind.UNPARSED, True, {"ocpp.binary"})
    assert message.outcome is Outcome.NONE
    assert dialogue.play(f"< {BEATEN}").outcome is Outcome.ORPHAN
    assert codes(dialogue.say(Side.CSMS, b"\xff\x00", binary=True)) == {"ocpp.binary"}


# --- the quick way --------------------------------------------------------------------------------------------------

Said = tuple[Side, bytes]


def both_ways(said: list[Said], version: Version, *, guessed: bool = False) -> int:
    """Plays the same texts in both ways, which must agree; gives how many went the quick way."""
    quick, exact = (Talk(version, quick=way, guessed=guessed) for way in (True, False))
    for side, text in said:
        one, other = quick.say(side, text), exact.say(side, text)
        assert one == other
        assert type(one.side) is type(other.side)
        assert quick.state == exact.state
    assert quick.dialogue.finish(quick.now) == exact.dialogue.finish(exact.now)
    return quick.taken


def recorded(path: Path) -> list[list[Said]]:
    """The texts of each connection, in the order of sending."""
    events: list[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
    messages = [event for event in events if event["kind"] == "msg" and event["text"] is not None]
    by_connection = groups(messages, lambda event: (event["cp"], event.get("conn")))
    return [
        [(SIDES[event["dir"]], event["text"].encode("utf-8", "surrogatepass")) for event in said]
        for said in by_connection.values()
    ]


OWN = sorted(path.name for path in CAPTURES.glob("*.truth.jsonl"))
PEERS = sorted(path.name for path in SHARED.glob("peers/*.jsonl"))
VERSIONS = [(UNKNOWN, True), (V16, False), (V201, False), (V21, False)]


@pytest.mark.parametrize("name", OWN)
def test_both_ways_agree_on_own_captures(name: str) -> None:
    taken: list[int] = []
    for said in recorded(CAPTURES / name):
        taken += [both_ways(said, version, guessed=guessed) for version, guessed in VERSIONS]
    assert any(taken) or name.startswith(("malformed", "refused"))


@pytest.mark.shared
@pytest.mark.parametrize("name", PEERS)
def test_both_ways_agree_on_captures_of_others(name: str) -> None:
    taken: list[int] = []
    for said in recorded(SHARED / "peers" / name):
        taken += [both_ways(said, version, guessed=guessed) for version, guessed in VERSIONS]
    assert any(taken)


SPOKEN = [said for name in OWN for connection in recorded(CAPTURES / name) for said in connection]
MADE = [(Side("><".index(line[0])), line[2:].encode()) for lines, _, _ in OUTCOMES.values() for line in lines]
ODD = ['"-1"', '""', '"a\\u0062"', "{}", "null", '"é"', "1", " ", '"' + "x" * 40 + '"', ",", "]", "[", '"1"', "\\"]


@st.composite
def altered(draw: st.DrawFn) -> Said:
    """A text that was really said, or one of the tables, perhaps with something in it replaced."""
    side, text = draw(st.sampled_from(draw(st.sampled_from([SPOKEN, MADE]))))
    if draw(st.integers(0, 3)) == 0:
        side = side.other
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        start = draw(st.integers(0, min(len(text), 90)))
        stop = start + draw(st.integers(0, 6))
        put = draw(st.one_of(st.sampled_from(ODD).map(str.encode), st.binary(max_size=3)))
        text = text[:start] + put + text[stop:]
    return side, text


@settings(max_examples=150)
@given(st.lists(altered(), min_size=1, max_size=12), st.sampled_from(VERSIONS))
def test_both_ways_agree_on_anything(said: list[Said], version: tuple[Version, bool]) -> None:
    both_ways([*said, *said[-3:]], version[0], guessed=version[1])


def test_the_quick_way_is_the_ordinary_one() -> None:
    said: list[Said] = []
    for i in range(50):
        said += [(Side.STATION, b'[2,"%d","Heartbeat",{}]' % i), (Side.CSMS, f'[3,"{i}",{TIME}]'.encode())]
    assert both_ways(said[2:], V16) >= 98 - 1  # the first of an action may be the first of the process


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from(Side), st.binary(max_size=60), st.booleans()), max_size=6))
def test_any_bytes_are_messages(said: list[tuple[Side, bytes, bool]]) -> None:
    dialogue = Talk(UNKNOWN, guessed=True)
    for side, octets, binary in said:
        message = dialogue.say(side, octets, binary=binary)
        assert message.text == octets


def test_the_quick_way_keeps_the_compressed_flag_and_the_size() -> None:
    dialogue, batch = Talk(V16).dialogue, Batch()
    for side, text, packets in ((Side.STATION, BEAT, (9,)), (Side.CSMS, BEATEN, (10, 11))):
        whole = Text(text.encode(), Origin(packets[0], packets), 8 + packets[0], compressed=True)
        assert dialogue.speakers[side].quick(batch, whole.payload, packets[0], batch.arrivals.add(whole))
    call, answer = batch
    assert isinstance(call, Message)
    assert isinstance(answer, Message)
    assert (call.compressed, call.wire_size, call.packets, call.frames) == (True, 17, (9,), 1)
    assert (answer.compressed, answer.wire_size, answer.packets, answer.latency_ns) == (True, 18, (10, 11), 1)


def test_limits_are_as_documented() -> None:
    assert (exchange.MAX_PENDING, exchange.MAX_ANSWERED) == (512, 16)
