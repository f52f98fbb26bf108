"""RFC 6455 §9.1 (grammar) and RFC 7692 §7.1 (permessage-deflate parameters), as tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocppscope.model import Deflate
from ocppscope.problems import PROBLEMS
from ocppscope.wire.extensions import MAX_EXTENSIONS, agree, judge_offers, parse_extensions

D = "permessage-deflate"


class TestGrammar:
    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (["a"], [("a", ())]),
            (["a, b;c"], [("a", ()), ("b", (("c", None),))]),
            (["a", " b ; c = 1 "], [("a", ()), ("b", (("c", "1"),))]),
            (['a; b="x, y; z", c'], [("a", (("b", "x, y; z"),)), ("c", ())]),
            ([r'a; b="q\"q"'], [("a", (("b", 'q"q'),))]),
            (["", ",,", " "], []),
            (['a; b="open'], [("a", (("b", '"open'),))]),
            (["a;;b"], [("a", (("b", None),))]),
        ],
    )
    def test_elements(self, values: list[str], expected: list[tuple[str, object]]) -> None:
        assert [(e.name, e.parameters) for e in parse_extensions(values)] == expected

    @pytest.mark.parametrize("value", ["a b", "a; =1", 'a; b="x y"', "a;;b", 'a; b="open', "é"])
    def test_malformed(self, value: str) -> None:
        assert [p.code for p in judge_offers(parse_extensions([value]))] == ["http.extension-malformed"]

    def test_bounded(self) -> None:
        assert len(parse_extensions(["a," * 500])) == MAX_EXTENSIONS

    @given(st.lists(st.text(st.characters(max_codepoint=255)), max_size=3), st.text(st.characters(max_codepoint=255)))
    def test_never_raises(self, offers: list[str], chosen: str) -> None:
        offered, choice = parse_extensions(offers), parse_extensions([chosen, f"{D};{chosen}"])
        _, problems = agree(offered, choice)
        assert {p.code for p in [*problems, *judge_offers(offered)]} <= set(PROBLEMS)


class TestParameters:
    """RFC 7692 §7.1: what may stand in an offer and in its answer."""

    @pytest.mark.parametrize(
        ("parameter", "in_offer", "in_answer"),
        [
            ("server_no_context_takeover", True, True),
            ("client_no_context_takeover", True, True),
            ("server_no_context_takeover=1", False, False),
            ("server_max_window_bits=8", True, True),
            ("server_max_window_bits=15", True, True),
            ("server_max_window_bits", False, False),
            ("client_max_window_bits", True, False),
            ("client_max_window_bits=10", True, True),
            ('client_max_window_bits="10"', True, True),
            ("client_max_window_bits=7", False, False),
            ("client_max_window_bits=16", False, False),
            ("client_max_window_bits=09", False, False),
            ("client_max_window_bits=x", False, False),
            ("unheard_of", False, False),
            ("client_no_context_takeover; client_no_context_takeover", False, False),
        ],
    )
    def test_legality(self, parameter: str, in_offer: bool, in_answer: bool) -> None:
        (said,) = parse_extensions([f"{D}; {parameter}"])
        offer = parse_extensions([f"{D}; client_max_window_bits"])
        assert (not judge_offers([said])) == in_offer
        assert (not agree(offer, [said])[1]) == in_answer


class TestAgreement:
    @pytest.mark.parametrize(
        ("offer", "answer", "fits"),
        [
            (D, D, True),
            (D, f"{D}; server_no_context_takeover; client_no_context_takeover", True),
            (D, f"{D}; server_max_window_bits=10", True),
            (D, f"{D}; client_max_window_bits=10", False),
            (f"{D}; client_max_window_bits", D, True),
            (f"{D}; client_max_window_bits=10", f"{D}; client_max_window_bits=12", True),
            (f"{D}; server_no_context_takeover", D, False),
            (f"{D}; server_max_window_bits=10", D, False),
            (f"{D}; server_max_window_bits=10", f"{D}; server_max_window_bits=11", False),
            (f"{D}; server_max_window_bits=10", f"{D}; server_max_window_bits=9", True),
            (f"{D}; server_max_window_bits=10, {D}", D, True),
        ],
    )
    def test_answer_fits_an_offer(self, offer: str, answer: str, fits: bool) -> None:
        _, problems = agree(parse_extensions([offer]), parse_extensions([answer]))
        assert [p.code for p in problems] == ([] if fits else ["http.deflate-not-offered"])

    @pytest.mark.parametrize(
        ("answer", "deflate"),
        [
            ("x-other", None),
            (D, Deflate()),
            (f"{D}; client_no_context_takeover", Deflate(station_no_context_takeover=True)),
            (f"{D}; server_no_context_takeover", Deflate(csms_no_context_takeover=True)),
            (f"{D}; client_max_window_bits=9", Deflate(station_window_bits=9)),
            (f"{D}; server_max_window_bits=8", Deflate(csms_window_bits=8)),
            (f"{D}; server_max_window_bits=99", Deflate()),
        ],
    )
    def test_client_is_the_station(self, answer: str, deflate: Deflate | None) -> None:
        assert agree(None, parse_extensions([answer]))[0] == deflate

    def test_not_offered_and_chosen_twice(self) -> None:
        _, problems = agree((), parse_extensions([f"{D}, {D}"]))
        assert [p.code for p in problems] == ["http.extension-not-offered", "http.deflate-parameter"]
