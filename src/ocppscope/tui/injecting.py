"""The form of a CALL of one's own: over which connection, to which side, what; and what was answered."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, TypeGuard

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from ocppscope.control import Link
from ocppscope.model import Side, Version
from ocppscope.ocpp import templates
from ocppscope.ocpp.versions import ACTIONS, version_of
from ocppscope.render import styled
from ocppscope.render.styled import Line, Span, Style
from ocppscope.render.wiretext import visible
from ocppscope.tui.drafts import Setting, compact, judge_payload, laid_out
from ocppscope.tui.filterbar import Below
from ocppscope.tui.prompt import OneLine
from ocppscope.tui.proxy_words import SECOND, Sent, answer_line, text_lines
from ocppscope.tui.screens import Lines, ListScreen, Title
from ocppscope.tui.virtual import VirtualList
from ocppscope.tui.writing import Choice, DraftArea, Pick, verdict_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from ocppscope.ocpp.templates import Option
    from ocppscope.tui.drafts import Verdict
    from ocppscope.tui.proxying import Proxying

LOOK_EVERY = 0.5
"""Seconds between two looks for an answer."""
SIDES = (
    Choice(Side.STATION, "station", "in the place of the CSMS"),
    Choice(Side.CSMS, "CSMS", "in that of the station"),
)
FIRST_ACTIONS = ("TriggerMessage", "Heartbeat")
"""What is offered first, to a station and to a CSMS: they do no harm."""


def link_choice(link: Link) -> Choice:
    """A connection as something to choose."""
    help_ = link.version or "no version agreed"
    if not link.active:
        help_ += f", passive: {link.why_passive}" if link.why_passive else ", passive"
    return Choice(link, visible(f"{link.station} #{link.number}", 60), visible(help_, 100))


def action_choices(version: Version, to: Side) -> list[Choice]:
    """What may be asked of a side."""
    table, names = ACTIONS.get(version, {}), templates.calls_to(version, to)
    first = [name for name in FIRST_ACTIONS if name in names]
    both = [name for name in names if len(table.get(name, ())) > 1]
    return [
        Choice(name, name, "either side sends it" if name in both else "")
        for name in (*first, *(one for one in names if one not in first))
    ]


def option_line(options: Sequence[Option]) -> Line:
    """What could be added to the template."""
    if not options:
        return ()
    named = [
        (Span(one.pointer[1:].replace("/", "."), Style.KEY), Span(f" {_type(one)}", Style.DIM)) for one in options
    ]
    return (Span("   could be added (Ctrl+O): ", Style.DIM), *styled.join(named, Span(", ", Style.DIM)))


def _type(option: Option) -> str:
    return "|".join(option.facts.enum[:4]) or option.facts.type or "anything"


class InjectScreen(ModalScreen[None]):
    """The form. It stays open for the answer."""

    DEFAULT_CSS = """
    InjectScreen { background: $background; }
    InjectScreen > Vertical { width: 100%; height: 100%; background: $background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "send", show=False),
        Binding("ctrl+o", "everything", show=False),
        Binding("ctrl+r", "sent", show=False),
        Binding("escape", "leave", show=False),
    ]

    def __init__(
        self,
        proxying: Proxying,
        *,
        number: int | None = None,
        to: Side = Side.STATION,
        call: tuple[str, str] | None = None,
    ) -> None:
        """`number` of the connection, side and CALL to begin with."""
        super().__init__()
        self._proxying = proxying
        links = proxying.steering.links() if proxying.steering is not None else ()
        self.link = Pick("over", [link_choice(one) for one in links])
        self.to = Pick("to the", SIDES)
        self.action = Pick("action", is_free=True)
        self.area = DraftArea()
        self.below, self.answer = Below(), OneLine()
        self._template = ""  # what was filled in by us, and may be replaced
        self._everything = False
        self._asked: tuple[str, str] | None = None
        self._sent: Sent | None = None
        self._begin(number, to, call)

    def _begin(self, number: int | None, to: Side, call: tuple[str, str] | None) -> None:
        at = [one.value.number == number for one in self.link.choices if _is_link(one.value)]
        active = [_is_link(one.value) and one.value.active for one in self.link.choices]
        best = at.index(True) if True in at else active.index(True) if True in active else 0
        self.link.chosen = self.link.choices[best] if self.link.choices else None
        self.to.chosen = SIDES[to]
        self._begin_with = call

    def compose(self) -> ComposeResult:
        """The parts."""
        with Vertical():
            yield Title("A CALL of your own", "Ctrl+S sends  Tab next  Ctrl+R sent before  Esc back")
            yield self.link
            yield self.to
            yield self.action
            yield self.area
            yield self.below
            yield self.answer

    def on_mount(self) -> None:
        """What to do is asked first."""
        self.set_interval(LOOK_EVERY, self.look)
        self._offer_actions()
        if self._begin_with is not None:
            self.fill(*self._begin_with)
        (self.area if self._begin_with is not None else self.action.input).focus()

    # --- what is chosen ---------------------------------------------------------------------------------------------

    @property
    def chosen_link(self) -> Link | None:
        """The connection."""
        chosen = self.link.chosen
        return chosen.value if chosen is not None and _is_link(chosen.value) else None

    @property
    def side(self) -> Side:
        """Who is asked."""
        return Side.CSMS if self.to.chosen is SIDES[Side.CSMS] else Side.STATION

    @property
    def version(self) -> Version:
        """The version of the connection."""
        link = self.chosen_link
        return version_of(link.version) if link is not None else Version.UNKNOWN

    @property
    def action_name(self) -> str:
        """What is asked."""
        return self.action.chosen.label if self.action.chosen is not None else ""

    def on_pick_chosen(self, event: Pick.Chosen) -> None:
        """Other actions, another template."""
        event.stop()
        self._asked = None
        if event.pick is not self.action:
            self._offer_actions()
        else:
            self._fill_template()
        self.judge()

    def _offer_actions(self) -> None:
        self.action.offer(action_choices(self.version, self.side))
        self._fill_template()

    def _fill_template(self) -> None:
        """The template of the action, unless something was written."""
        if self.area.text.strip() not in ("", self._template.strip()):
            return
        self._template = templates.text(self.version, self.action_name, time=self._now(), everything=self._everything)
        self.area.text = self._template

    def _now(self) -> str:
        return datetime.fromtimestamp(self._proxying.clock() // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def fill(self, action: str, payload: str) -> None:
        """Another action and payload, over the same connection."""
        known = next((one for one in self.action.choices if one.label == action), None)
        self.action.offer(self.action.choices, known or Choice(action, visible(action, 60), "as it was"))
        self._template = ""
        self.area.text = laid_out(payload)
        self.judge()

    # --- what is wrong ----------------------------------------------------------------------------------------------

    def on_draft_area_rested(self, event: DraftArea.Rested) -> None:
        """Judged once nothing more is typed."""
        event.stop()
        self.judge()

    def judge(self) -> Verdict:
        """What is wrong with the payload?"""
        setting = Setting(self.version, self.side.other)
        found = judge_payload(self.area.text, self.action_name, setting)
        version = self.version
        known = f"valid in OCPP {version}" if version is not Version.UNKNOWN else "JSON; no version is known"
        lines = verdict_lines(found, known)
        more = option_line(templates.options(version, self.action_name))
        self.below.tell([*lines, more] if more and not self._everything else lines)
        return found

    def _say(self, sentence: str) -> None:
        self.answer.say((styled.wire(f" {sentence}", Style.WARNING, 400),))

    # --- what comes of it -------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Is there an answer?"""
        self._proxying.look()
        if self._sent is not None:
            self.answer.say(answer_line(self._sent))

    def action_send(self) -> None:
        """Sends it; what is wrong only when asked a second time."""
        for pick in (self.link, self.to, self.action):
            pick.take()
        link, text, name = self.chosen_link, self.area.text, self.action_name
        if link is None:
            self._say("There is no connection any more.")
            return
        if not link.active:
            self._say(
                f"Over this connection nothing can be sent: {link.why_passive or 'the proxy is passive there'}."
            )
            return
        found = self.judge()
        if found.objections and self._asked != (name, text):
            self._asked = name, text
            what = "The payload is no JSON" if not found.is_json else f"There are problems ({len(found.objections)})"
            self._sent = None
            self._say(f"{what}. Ctrl+S again sends it all the same.")
            return
        self._sent = self._proxying.inject(link, self.side, name, compact(text))
        self.look()

    def action_everything(self) -> None:
        """A template with all elements, or only with those that have to be there."""
        self._everything = not self._everything
        self._fill_template()
        if self.area.text != self._template:
            self._say("The template is left alone, since something was written.")
        self.judge()

    def action_sent(self) -> None:
        """What was sent before."""
        if not self._proxying.sent:
            self._say("Nothing was sent yet.")
            return
        self.app.push_screen(SentScreen(list(self._proxying.sent)[::-1]), self._again)

    def _again(self, sent: object) -> None:
        if not isinstance(sent, Sent):
            return
        order = sent.order
        known = next(
            (one for one in self.link.choices if _is_link(one.value) and one.value.number == order.connection), None
        )
        self.link.offer(self.link.choices, known or self.link.chosen)
        self.to.offer(SIDES, SIDES[order.to])
        self.action.offer(action_choices(self.version, self.side))
        self.fill(order.action, order.payload)

    def action_leave(self) -> None:
        """Back."""
        self.dismiss(None)


def _is_link(value: object) -> TypeGuard[Link]:
    return isinstance(value, Link)


class SentList(VirtualList):
    """What was sent, the newest first."""

    def __init__(self, sent: Sequence[Sent]) -> None:
        super().__init__()
        self.sent = sent
        self.count = len(sent)

    def line(self, index: int, width: int) -> Line:
        """One of them."""
        del width
        one = self.sent[index]
        station = styled.fit((styled.wire(one.station, Style.STATION, 60),), 20)
        return (Span(" "), *station, *answer_line(one))


class SentScreen(ListScreen):
    """The injected CALLs of this session, to be sent again. Gives a `Sent`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", show=False),
        Binding("v", "view", show=False),
    ]

    def __init__(self, sent: Sequence[Sent]) -> None:
        self.list = SentList(sent)
        super().__init__("Sent before", "Enter into the form  v the whole answer  Esc back", self.list)

    def action_take(self) -> None:
        """This one again."""
        self.dismiss(self.list.sent[self.list.cursor])

    def action_view(self) -> None:
        """All of what was sent, and of the answer."""
        one = self.list.sent[self.list.cursor]
        answer = one.answer.text or one.answer.trouble if one.answer is not None else "no answer yet"
        lines: list[Line] = [(Span(" sent", Style.DIM),), *text_lines(one.order.payload), ()]
        lines += [(Span(" answered", Style.DIM),), *text_lines(answer)]
        self.app.push_screen(ListScreen(visible(one.order.action, 60), "Esc closes, j and k scroll", Lines(lines)))
