"""The registry of forms: every form has its module, and everybody names the same forms."""

from __future__ import annotations

import inspect

import pytest
from support_export import Given, hostile, written

from ocppscope.errors import UsageError
from ocppscope.export.registry import BY_SUFFIX, FORMS, form_of, module_of


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_has_a_module_that_writes(form):
    module = module_of(form)
    assert list(inspect.signature(module.write).parameters) == ["evidence", "out", "job"]
    assert callable(getattr(module, "texts", None)) == form.is_binary
    assert module.__doc__


def test_names_and_suffixes_are_unique():
    suffixes = [suffix for form in FORMS for suffix in form.suffixes]
    assert len(set(suffixes)) == len(suffixes) == len(BY_SUFFIX)
    assert len({form.name for form in FORMS}) == len(FORMS)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_the_command_offers_the_same_forms():
    from ocppscope.cli.export import FORMS as OFFERED

    assert tuple(OFFERED) == tuple(form.name for form in FORMS)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_the_suffix_says_which(form):
    for suffix in form.suffixes:
        assert form_of(f"a.b{suffix}") is form_of(f"A{suffix.upper()}") is form


@pytest.mark.parametrize("name", ["a", "a.pdf", ""])
def test_what_is_not_known(name):
    with pytest.raises(UsageError):
        form_of(name)


OWN = [form.name for form in FORMS if form.name not in ("html", "svg", "pcapng")]


@pytest.mark.parametrize("name", OWN)
def test_the_same_evidence_gives_the_same_bytes(name):
    assert written(name, hostile()) == written(name, hostile())


@pytest.mark.parametrize("name", OWN)
def test_nothing_can_be_exported(name):
    assert written(name, Given([])) == written(name, Given([]))


@pytest.mark.parametrize("name", [name for name in OWN if name != "parquet"])
def test_every_text_is_utf_8_without_controls(name):
    text = written(name, hostile()).decode("utf-8")
    assert all(char.isprintable() or char in "\r\n" for char in text)
