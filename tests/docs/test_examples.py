"""Every command in a console block of the pages does what the page says."""

from __future__ import annotations

import pytest
from support_examples import (
    DOCS,
    MORE,
    ROOT,
    UPDATE,
    Example,
    Place,
    examples,
    holds,
    printed,
    rewritten,
    same,
    told,
    wrong,
)

PAGES = [ROOT / "README.md", ROOT / "captures" / "README.md", *sorted(DOCS.rglob("*.md"))]
SHOWN = [page for page in PAGES if next(examples(page.read_text()), None)]


@pytest.mark.parametrize("page", SHOWN, ids=[str(page.relative_to(ROOT)) for page in SHOWN])
def test_page(page, tmp_path):
    place = Place(tmp_path)
    if UPDATE:
        page.write_text(updated(page.read_text(), place))
    else:
        assert list(wrong(page.read_text(), place)) == []


def updated(text: str, place: Place) -> str:
    """The page with what its commands print now; what is partly left out is compared as ever."""
    for example in examples(text):
        code, output = place.run(example.command)
        if MORE in example.expected:
            assert holds(example, code, output), told(example, code, output)
        else:
            text = rewritten(text, example, printed(output))
    return text


def test_some_pages_have_examples():
    assert {"tutorial.md", "start.md"} <= {page.name for page in SHOWN}


PAGE = """\
Text
```console
$ one \\
    more
first
…
last line that is…
$ two
```

```
$ three
```
"""


def test_commands_of_console_blocks():
    one, two = examples(PAGE)
    assert one == Example("one \\\n    more", ("first", "…", "last line that is…"))
    assert two == Example("two", ())


@pytest.mark.parametrize(
    ("lines", "agree"),
    [
        (["first", "last line that is cut"], True),
        (["first", "a", "b", "last line that is"], True),
        (["first", "a", "last line"], False),
        (["last line that is cut"], False),
        (["first", "last line that is cut", "more"], False),
        ([], False),
    ],
)
def test_what_stands_for_what_is_left_out(lines, agree):
    assert same(next(examples(PAGE)).expected, lines) is agree


def test_an_output_is_written_into_the_page():
    page = "```console\n$ a\nold\n$ b\n```\n"
    first, second = examples(page)
    assert rewritten(page, first, ["new", "x" * 200]) == f"```console\n$ a\nnew\n{'x' * 129}…\n$ b\n```\n"
    assert rewritten(page, second, ["c"]) == "```console\n$ a\nold\n$ b\nc\n```\n"
