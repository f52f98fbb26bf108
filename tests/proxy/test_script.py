"""Rules from TOML: each deed as a transcript, and every mistake with its rule and what would be right."""

from __future__ import annotations

import contextlib
import json
import random
import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playbook import (
    CSMS,
    SECOND,
    STATION,
    Playbook,
    closed,
    finished,
    noted,
    ordered,
    passed,
    received,
    received_raw,
    sent,
    told,
    was_reset,
)

from ocppscope.control import Forward, Held, Inject, Released, Said
from ocppscope.errors import UsageError
from ocppscope.model import Kind
from ocppscope.proxy.editing import Change, EditError, Reply, changed, steps
from ocppscope.proxy.faults import End, Faults, Way
from ocppscope.proxy.policy import Policy, Room
from ocppscope.proxy.script import DEEDS, MAX_RULES, MAX_SCRIPT_BYTES, read_script, script_of

BEAT = '[2,"h1","Heartbeat",{}]'
BOOT = '[2,"b1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
BOOTED = '[3, "b1", {"status":"Accepted","currentTime":"2026-11-22T10:00:00Z","interval":3.00e2}]'
METER = '[2,"m1","MeterValues",{"connectorId":1,"meterValue":[{"sampledValue":[{"value":"1.50"},{"value":"2"}]}]}]'


def playbook(text: str, intercept: str = "", **options) -> Playbook:
    made = Policy((script_of(tomllib.loads(text), "x.toml"),), chance=random.Random(3), **options)
    made.intercept(intercept)
    return Playbook(made)


def rule(body: str) -> str:
    return f"[[rule]]\nname = 'r'\n{body}\n"


# --- deeds ----------------------------------------------------------------------------------------------------------


def test_drop():
    book = playbook(rule("when = 'Heartbeat'\ndo = 'drop'")).play(
        received(STATION, BEAT), noted(STATION, "dropped"), received(STATION, BOOT), sent(CSMS, BOOT)
    )
    assert book.acts[1:] == ["the CALL Heartbeat, by the rule “r”"]


def test_a_dropped_call_does_not_keep_an_injected_one_waiting():
    book = playbook(rule("when = 'Heartbeat'\ndo = 'drop'")).play(received(STATION, BEAT), noted(STATION, "dropped"))
    book.order(Inject(3, CSMS, "Authorize", "{}"))
    assert [entry.act for entry in book.log] == ["injected"]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("answer = {status = 'Accepted', interval = 5}", '[3,"b1",{"status":"Accepted","interval":5}]'),
        ("answer = {}", '[3,"b1",{}]'),
        ("error = {code = 'NotSupported'}", '[4,"b1","NotSupported","",{}]'),
        (
            "error = {code = 'GenericError', description = 'no', details = {a = 1}}",
            '[4,"b1","GenericError","no",{"a":1}]',
        ),
    ],
)
def test_answer(answer, text):
    playbook(rule(f"do = 'answer'\n{answer}")).play(
        received(STATION, BOOT), noted(STATION, "dropped"), sent(STATION, text, "injected"),
        received(CSMS, BOOTED), sent(STATION, BOOTED),  # an answer cannot be answered
    )  # fmt: skip


def test_edit_leaves_the_rest_as_it_was_written():
    text = 'when = "action == BootNotification"\nside = "csms"\ndo = "edit"\nset = {"/status" = "Rejected"}'
    after = '[3,"b1",{"status":"Rejected","currentTime":"2026-11-22T10:00:00Z","interval":3.00e2}]'
    playbook(rule(text)).play(
        received(STATION, BOOT), sent(CSMS, BOOT), received(CSMS, BOOTED), sent(STATION, after, "edited")
    )


def test_edit_as_a_whole():
    playbook(rule("when='Heartbeat'\ndo='edit'\ntext='not even JSON é'")).play(
        received(STATION, BEAT), sent(CSMS, "not even JSON é", "edited")
    )
    playbook(rule("do='edit'\ntext='x'")).play(received(STATION, b"\xff"), sent(CSMS, b"x", "edited"))


def test_an_edit_that_does_not_fit_is_said_once():
    book = playbook(rule('when = "Heartbeat"\ndo = "edit"\nremove = ["/status"]')).play(
        received(STATION, BEAT), sent(CSMS, BEAT), told(Said), received(STATION, BEAT), sent(CSMS, BEAT)
    )
    (said,) = book.tidings
    assert "“r” changed nothing: there is no “status”" in said.text


def test_hold_asks_the_user():
    playbook(rule("when = 'Heartbeat'\ndo = 'hold'")).play(
        received(STATION, BEAT), noted(STATION, "held"), told(Held, held=1, text=BEAT),
        received(STATION, BOOT), sent(CSMS, BOOT), passed(26), sent(CSMS, BEAT, "expired"), told(Released),
    )  # fmt: skip


def test_a_message_that_keeps_its_place_keeps_the_later_ones_waiting():
    playbook(rule("when = 'Heartbeat'\ndo = 'hold'\novertake = false")).play(
        received(STATION, BEAT), noted(STATION, "held"), told(Held, held=1),
        received(STATION, BOOT), received(STATION, "x"),
        received(CSMS, "y"), sent(STATION, "y"),
        ordered(Forward(1)), sent(CSMS, BEAT, "forwarded"), sent(CSMS, BOOT), sent(CSMS, "x"), told(Released),
        received(STATION, "z"), sent(CSMS, "z"),
    )  # fmt: skip


def test_without_room_nothing_waits_behind():
    playbook(rule("when = 'Heartbeat'\ndo = 'hold'\novertake = false"), room=Room(count=1)).play(
        received(STATION, BEAT), noted(STATION, "held"), told(Held, held=1),
        received(STATION, BOOT), sent(CSMS, BEAT, "expired"), sent(CSMS, BOOT), told(Released, how="expired"),
    )  # fmt: skip


def test_delay():
    playbook(rule("when = 'Heartbeat'\ndo = 'delay'\nwait = '2s'")).play(
        received(STATION, BEAT), received(STATION, BOOT), sent(CSMS, BOOT), passed(1.9), passed(0.2),
        sent(CSMS, BEAT, "delayed"),
    )  # fmt: skip
    playbook(rule("when = 'Heartbeat'\ndo = 'delay'\nwait = '2s'\novertake = false")).play(
        received(STATION, BEAT), received(STATION, BOOT), passed(2.1), sent(CSMS, BEAT, "delayed"), sent(CSMS, BOOT)
    )


def test_duplicate():
    playbook(rule("when = 'Heartbeat'\ndo = 'duplicate'\ncopies = 3")).play(
        received(STATION, BEAT), sent(CSMS, BEAT), sent(CSMS, BEAT, "duplicated"), sent(CSMS, BEAT, "duplicated")
    )


def test_cut():
    playbook(rule("when = 'Heartbeat'\ndo = 'cut'")).play(
        received(STATION, BOOT), sent(CSMS, BOOT),
        received(STATION, BEAT), noted(STATION, "cut-off"), was_reset(STATION), was_reset(CSMS),
        received(STATION, BOOT),
    )  # fmt: skip
    playbook(rule("when = 'Heartbeat'\ndo = 'cut'\nhow = 'close'")).play(
        received(STATION, BEAT), noted(STATION, "cut-off"), closed(STATION, 1001), closed(CSMS, 1001),
        finished(STATION), finished(CSMS),
    )  # fmt: skip


def test_half_open():
    book = playbook(rule("when = 'Heartbeat'\ndo = 'half-open'\nlasts = '2m'")).play(
        received(STATION, BEAT), noted(STATION, "fault"), received(STATION, BOOT), received_raw(CSMS, b"x"),
        passed(119), passed(2), was_reset(STATION), was_reset(CSMS),
    )  # fmt: skip
    assert book.session.deadline is None


def test_forward_is_the_last_word():
    text = rule("when = 'h2'\ndo = 'forward'") + rule("when = 'Heartbeat'\ndo = 'drop'")
    other = BEAT.replace("h1", "h2")
    playbook(text, intercept="Heartbeat").play(
        received(STATION, other), sent(CSMS, other), received(STATION, BEAT), noted(STATION, "dropped")
    )


def test_an_edit_is_not_the_last_word():
    text = rule("when = 'Heartbeat'\ndo = 'edit'\nset = {'/x' = 1}") + rule(
        "when = 'payload.x == 1'\ndo = 'edit'\nset = {'/y' = 2}"
    )
    after = '[2,"h1","Heartbeat",{"x":1,"y":2}]'
    playbook(text).play(received(STATION, BEAT), sent(CSMS, after, "edited"))
    playbook(text, intercept="payload.y == 2").play(
        received(STATION, BEAT), noted(STATION, "held"), told(Held, text=after),
        ordered(Forward(1)), sent(CSMS, after, "edited"), told(Released, how="forwarded"),
    )  # fmt: skip


# --- when -----------------------------------------------------------------------------------------------------------


def test_side_after_and_times():
    book = playbook(rule("side = 'csms'\ndo = 'drop'\nafter = 1\ntimes = 2"))
    book.play(received(STATION, "a"), sent(CSMS, "a"), received(CSMS, "1"), sent(STATION, "1"))
    book.play(received(CSMS, "2"), noted(CSMS, "dropped"), received(CSMS, "3"), noted(CSMS, "dropped"))
    book.play(received(CSMS, "4"), sent(STATION, "4"))


def test_each_connection_counts_anew():
    policy = Policy((script_of(tomllib.loads(rule("do = 'drop'\ntimes = 1")), "x"),), chance=random.Random(3))
    for _ in range(2):
        Playbook(policy).play(
            received(STATION, "a"), noted(STATION, "dropped"), received(STATION, "b"), sent(CSMS, "b")
        )


def test_probability():
    def dropped(probability: float) -> int:
        book = playbook(rule(f"do = 'drop'\nprobability = {probability}"))
        for _ in range(200):
            book.say(STATION, "x")
        return sum(entry.act == "dropped" for entry in book.log)

    assert (dropped(0), dropped(1)) == (0, 200)
    assert 60 < dropped(0.5) < 140


# --- edits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "after"),
    [
        ([Change(("connectorId",), 2)], METER.replace('"connectorId":1', '"connectorId":2')),
        ([Change(("meterValue", "0", "sampledValue", "0", "value"), "9")], METER.replace("1.50", "9")),
        ([Change(("meterValue", "0", "sampledValue", "0"), remove=True)], METER.replace('{"value":"1.50"},', "")),
        ([Change(("meterValue", "0", "sampledValue", "-"), {})], METER.replace('{"value":"2"}', '{"value":"2"},{}')),
        ([Change((), {"a": None})], '[2,"m1","MeterValues",{"a":null}]'),
        ([Change(("a/b~", "c"), True)], METER.replace("]}]}]", ']}],"a/b~":{"c":true}}]')),
    ],
)
def test_changes(changes, after):
    assert changed(METER, Kind.CALL, changes) == after


@pytest.mark.parametrize(
    ("text", "kind", "path", "remove"),
    [
        (METER, Kind.CALL, "/meterValue/7", False),
        (METER, Kind.CALL, "/meterValue/x", False),
        (METER, Kind.CALL, "/meterValue/٣", False),
        (METER, Kind.CALL, "/meterValue/-", True),
        (METER, Kind.CALL, "/nothing", True),
        (METER, Kind.CALL, "/nothing/there", True),
        (METER, Kind.CALL, "/connectorId/x", False),
        (METER, Kind.CALL, "", True),
        ("nonsense", Kind.CALL, "/a", False),
        ('[2,"a","B"]', Kind.CALL, "/a", False),
        ("[" * 100_000, Kind.CALL, "/a", False),
        (METER, Kind.UNPARSED, "/a", False),
    ],
)
def test_what_cannot_be_changed(text, kind, path, remove):
    with pytest.raises(EditError) as error:
        changed(text, kind, [Change(steps(path), 1, remove)])
    assert str(error.value)


def test_depth_is_no_danger():
    deep = '[2,"a","B",{"a":' + '{"a":' * 50_000 + "1" + "}" * 50_001 + "]"
    with contextlib.suppress(EditError):
        assert changed(deep, Kind.CALL, [Change(steps("/b"), 1)])


@given(st.text(max_size=20), st.text(max_size=20), st.integers() | st.text(max_size=5) | st.none())
def test_pointers_reach_any_name(outer, inner, value):
    pointer = "/" + "/".join(name.replace("~", "~0").replace("/", "~1") for name in (outer, inner))
    after = json.loads(changed('[2,"a","B",{"keep":[1, 2]}]', Kind.CALL, [Change(steps(pointer), value)]))
    if outer != "keep":
        assert after[3] == {"keep": [1, 2], outer: {inner: value}}


@pytest.mark.parametrize("pointer", ["status", "/a~2", "/a" * 33, "/~"])
def test_what_is_no_pointer(pointer):
    with pytest.raises(EditError):
        steps(pointer)


def test_a_reply_is_JSON_or_an_error():  # noqa: N802
    with pytest.raises(EditError):
        Reply(payload=object()).text("1")


# --- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what", "hint"),
    [
        ("x = 1", "x.toml: “x” is not known here", "rule, faults"),
        ("rule = 1", "“rule” is no list", "[[rule]]"),
        ("[rule]\ndo='drop'", "“rule” is no list", ""),
        ("[[rule]]", "x.toml: rule 1: “do” is missing", ""),
        (rule("do = 'drop'") + "[[rule]]\ndo = 'fly'", "x.toml: rule 2: “do” cannot be “fly”", "half-open"),
        (rule("do = 3"), "rule 1 (“r”): “do” is no text", ""),
        (rule("do = 'drop'\nwen = 'x'"), "“wen” is not known here", "when"),
        (rule("do = 'drop'\ncopies = 2"), "“copies” is not known here", ""),
        (rule("do = 'drop'\nwhen = 'acton == 1'"), "rule 1 (“r”): The filter is wrong", ""),
        (rule("do = 'drop'\nwhen = 'finding'"), "not known of a message while it passes", ""),
        (rule("do = 'drop'\nwhen = 'row > 3'"), "not known of a message while it passes", ""),
        (rule("do = 'drop'\nwhen = 3"), "“when” is no text", ""),
        (rule("do = 'drop'\nside = 'server'"), "“side” cannot be “server”", "station, csms"),
        (rule("do = 'drop'\ntimes = 0"), "“times” is no whole number", ""),
        (rule("do = 'drop'\nafter = true"), "“after” is no whole number", ""),
        (rule("do = 'drop'\nprobability = 1.5"), "“probability”", ""),
        (rule("do = 'drop'\nprobability = nan"), "“probability”", ""),
        ("[[rule]]\nname = ''\ndo = 'drop'", "rule 1: “name”", ""),
        ('[[rule]]\nname = "\\u001b"\ndo = "drop"', "rule 1: “name”", ""),
        (rule("do = 'answer'"), "either “answer”", ""),
        (rule("do = 'answer'\nanswer = {}\nerror = {code='x'}"), "either “answer”", ""),
        (rule("do = 'answer'\nanswer = 3"), "“answer” is no table", ""),
        (rule("do = 'answer'\nerror = {}"), "error: “code” is missing", ""),
        (rule("do = 'answer'\nerror = {code = 'a b'}"), "no error code", "NotSupported"),
        (rule("do = 'answer'\nerror = {code = 'a', x = 1}"), "“x” is not known here", "code, description"),
        (rule("do = 'edit'"), "an edit needs", "set ="),
        (rule("do = 'edit'\nset = {'status' = 1}"), "no JSON pointer", ""),
        (rule("do = 'edit'\nremove = 'x'"), "“remove” is no list", ""),
        (rule("do = 'edit'\ntext = 'x'\nremove = ['/x']"), "nothing left", ""),
        (rule("do = 'delay'"), "“wait” is missing", ""),
        (rule("do = 'delay'\nwait = '2'"), "“wait” is no duration", "250ms"),
        (rule("do = 'delay'\nwait = '2h'"), "“wait” is no duration up to 600 s", ""),
        (rule("do = 'hold'\novertake = 1"), "“overtake” is neither", ""),
        (rule("do = 'duplicate'\ncopies = 1000"), "“copies” is no whole number", ""),
        (rule("do = 'cut'\nhow = 'gently'"), "“how” cannot be", "RST, FIN, close"),
        (rule("do = 'half-open'\nlasts = '2d'"), "“lasts” is no duration", ""),
        ("[faults]\nlag = '1s'", "faults: “lag” is not known here", "latency"),
        ("[faults]\nlatency = -1", "“latency” is no text", ""),
        ("[faults]\nbandwidth = 'much'", "“bandwidth” is no size", "4KiB"),
        ("[faults.csms]\ncut = {}", "csms: “cut” is not known", ""),
        ("[faults]\ncut = {}", "“after” or “after_bytes” is missing", ""),
        ("[faults]\ncut = {after = '1s', lasts = '1s'}", "“lasts” is not known", ""),
        ("[faults]\ncut = {after = '1s'}\nhalf_open = {after = '1s'}", "not both", ""),
        ("faults = 1", "“faults” is no table", ""),
    ],
)
def test_mistakes_are_said_with_their_place(text, what, hint):
    with pytest.raises(UsageError) as error:
        script_of(tomllib.loads(text), "x.toml")
    assert what in error.value.what
    assert hint in error.value.hint
    assert error.value.what.startswith("x.toml")


def test_too_many_rules():
    with pytest.raises(UsageError, match="rules"):
        script_of({"rule": [{"do": "drop"}] * (MAX_RULES + 1)}, "x")


@pytest.mark.parametrize(
    ("data", "what"), [(b"\xff", "UTF-8"), (b"x =", "x.toml"), (b"#" * (MAX_SCRIPT_BYTES + 1), "larger")]
)
def test_a_file_that_cannot_be_used(tmp_path, data, what):
    path = tmp_path / "x.toml"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=what):
        read_script(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_script(tmp_path / "none")


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = sorted({"name", "when", "side", "after", "times", "probability"} | {k for d in DEEDS.values() for k in d.keys})


@settings(max_examples=300)
@given(st.sampled_from(sorted(DEEDS)), st.dictionaries(st.sampled_from(KEYS), values, max_size=3))
def test_any_rule_is_understood_or_refused_with_a_sentence(deed, body):
    refusal = "x"
    try:
        script_of({"rule": [{"do": deed, **body}]}, "x")
    except UsageError as error:
        refusal = error.what
    assert refusal.startswith("x")


# --- faults ---------------------------------------------------------------------------------------------------------


def test_faults():
    text = """
        [faults]
        latency = "200ms"
        bandwidth = "2KiB"
        cut = {after = "30s", after_bytes = 1000, how = "FIN"}
        [faults.csms]
        jitter = "1s"
        latency = "0"
        [faults.station]
        slow_reader = true
    """
    assert script_of(tomllib.loads(text), "x").faults == Faults(
        Way(SECOND // 5, 0, 2048, True), Way(0, SECOND, 2048), End("FIN", 1000, 30 * SECOND)
    )
    half = script_of(tomllib.loads('[faults]\nhalf_open = {after = "1m", lasts = "5s"}'), "x").faults
    assert half == Faults(end=End("", None, 60 * SECOND, 5 * SECOND))
    assert script_of({}, "x").faults is None


# --- the manual -----------------------------------------------------------------------------------------------------

MANUAL = (Path(__file__).parents[2] / "docs" / "proxy-active.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", MANUAL, re.DOTALL)


def test_the_examples_of_the_manual():
    rules, more, network, silence = EXAMPLES
    tag, refused = '[2,"a","Authorize",{"idTag":"X"}]', '[3,"a",{"idTagInfo":{"status":"Invalid"}}]'
    book = playbook(rules).play(received(STATION, tag), noted(STATION, "dropped"), sent(STATION, refused, "injected"))
    rejected = BOOTED.replace("Accepted", "Rejected").replace("3.00e2", "10").replace(" ", "")
    for after in (BOOTED, rejected, rejected, BOOTED):
        book.play(
            received(STATION, BOOT),
            sent(CSMS, BOOT),
            received(CSMS, BOOTED),
            sent(STATION, after, "" if after == BOOTED else "edited"),
        )
    for _ in range(200):
        book.say(STATION, METER)
    assert 5 < sum(entry.act == "dropped" for entry in book.log) < 40

    fault = '[2,"f","StatusNotification",{"connectorId":1,"status":"Faulted","errorCode":"X","vendorErrorCode":"7"}]'
    fine = '[2,"f","StatusNotification",{"connectorId":1,"status":"Available","errorCode":"NoError"}]'
    start, beaten = '[2,"s","RemoteStartTransaction",{"idTag":"X"}]', '[3,"h1",{}]'
    playbook(more).play(
        received(STATION, fault), sent(CSMS, fine, "edited"),
        received(CSMS, start), noted(CSMS, "dropped"),
        sent(CSMS, '[4,"s","InternalError","out of order",{}]', "injected"),
        received(STATION, BEAT), sent(CSMS, BEAT), received(CSMS, beaten), passed(34.9), passed(0.2),
        sent(STATION, beaten, "delayed"),
        received(STATION, '[2,"t","StartTransaction",{}]'), noted(STATION, "cut-off"), was_reset(STATION),
        was_reset(CSMS),
    )  # fmt: skip

    both = Way(SECOND // 5, SECOND // 10, 2048)
    assert script_of(tomllib.loads(network), "x").faults == Faults(
        both, both._replace(latency_ns=2 * SECOND), End("RST", None, 600 * SECOND)
    )
    assert script_of(tomllib.loads(silence), "x").faults == Faults(
        Way(0, 0, 500, True), Way(), End("", 64 << 10, None, 300 * SECOND)
    )


def test_the_manual_names_every_deed():
    table = MANUAL.partition("| `do` |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE) == list(DEEDS)
