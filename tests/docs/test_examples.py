"""Every command in a console block of the pages does what the page says."""

from __future__ import annotations

import pytest
from support_examples import DOCS, MORE, ROOT, UPDATE, Example, Place, examples, printed, rewritten, same

PAGES = [ROOT / "README.md", ROOT / "captures" / "README.md", *sorted(DOCS.rglob("*.md"))]
SHOWN = [page for page in PAGES if next(examples(page.read_text()), None)]


@pytest.mark.parametrize("page", SHOWN, ids=[str(page.relative_to(ROOT)) for page in SHOWN])
def test_page(page, tmp_path):
    place = Place(tmp_path)
    text = page.read_text()
    wrong = []
    for example in examples(text):
        code, output = place.run(example.command)
        lines = printed(output)
        if UPDATE and MORE not in example.expected:
            text = rewritten(text, example, lines)
        elif code not in (0, 1) or (code and not example.expected) or not agrees(example, lines):
            wrong.append(f"$ {example.command}\n{output}(exit code {code})")
    if UPDATE:
        page.write_text(text)
    assert not wrong, "\n\n".join(wrong)


def agrees(example: Example, lines: list[str]) -> bool:
    return not example.expected or same(example.expected, lines)


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
