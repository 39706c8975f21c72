"""The documents, and the prose of the notebooks, as texts: what they link to and name is there. Each check is seen
failing on a spoilt document. Nothing is run here, and no framework imported."""
import json
import re
from urllib.parse import unquote

import pytest
import yaml

from tools.course import find_notebooks
from utils.paths import ROOT

NOTEBOOKS = find_notebooks(ROOT / "notebooks")
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGES.md", "data/README.md", "web/README.md",
                                      "exported/README.md", "coreml-runtime/README.md", "studio/README.md")]
DOCUMENTS += [*sorted((ROOT / "notebooks").glob("*.md")), *sorted((ROOT / "ios").rglob("README.md")), *NOTEBOOKS]
GLOSSARY = ROOT / "notebooks" / "glossary.md"
FORM = ROOT / ".github" / "ISSUE_TEMPLATE" / "problem.yml"

FENCE = re.compile(r"^```.*?^```[^\n]*$", re.MULTILINE | re.DOTALL)
CODE_SPAN = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)
LINK = re.compile(r"""\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s+(\S+)|<(?:a|img)\b[^>]*?\b(?:href|src)=["']([^"']+)""",
                  re.MULTILINE)
# Nothing in them is made or downloaded.
SOURCES = ("utils", "tests", "tools", "studio", "coreml-runtime", "environments", "ios", ".ci", ".github")


def prose(path):
    """The Markdown of a document; of a notebook, that of its cells, those for readers only."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def links(path):
    """The targets of links and pictures, those in code left out."""
    text = CODE_SPAN.sub("", FENCE.sub("", prose(path)))
    return ["".join(found) for found in LINK.findall(text)]


def headings(path):
    """Headings without their Markdown: of links the text, of code the code."""
    lines = re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", prose(path)), re.MULTILINE)
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", line) for line in lines]


def anchors(path):
    """The anchors that headings get: on GitHub, and of a notebook in Jupyter."""
    if path.suffix == ".ipynb":
        return {heading.replace(" ", "-") for heading in headings(path)}
    found = set()
    for heading in headings(path):
        anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(next(name for name in [anchor, *(f"{anchor}-{i}" for i in range(1, 99))] if name not in found))
    return found


def broken_links(path, root=ROOT):
    """Relative links of a document that lead to no file of the course, or to no heading of it."""
    for target in links(path):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):  # https:, mailto:
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or not file.is_relative_to(root):
            yield target
        elif anchor and (file.suffix not in (".md", ".ipynb") or anchor not in anchors(file)):
            yield target


def commands(path):
    """Lines of shell in fenced blocks, without comments, and all code in prose."""
    text = prose(path)
    blocks = "\n".join(FENCE.findall(text)).replace("\\\n", " ")
    return [*(line.partition("#")[0] for line in blocks.splitlines()),
            *(" ".join(code.split()) for _, code in CODE_SPAN.findall(FENCE.sub("", text)))]


def make_targets(makefile=ROOT / "Makefile"):
    return set(re.findall(r"^([a-z][\w-]*):", makefile.read_text(), re.MULTILINE))


def unknown_make_targets(path):
    for command in commands(path):
        for words in re.findall(r"(?:^|&&|;)\s*(?:\w+=\S+ +)*make((?: +[a-z][\w-]*(?![\w=-]))+)", command):
            yield from set(words.split()) - make_targets()


def unknown_modules(path):
    """What follows `python -m`, of this course: a module that is missing or does nothing, an option that it lacks."""
    for command in commands(path):
        for module, rest in re.findall(r"-m ((?:utils|tools|studio|coreml_runtime)(?:\.\w+)*)([^|;&]*)", command):
            base = (ROOT / "coreml-runtime/src" if module == "coreml_runtime" else ROOT).joinpath(*module.split("."))
            file = base / "__main__.py" if base.is_dir() else base.with_suffix(".py")
            source = file.read_text(encoding="utf-8") if file.is_file() else ""
            if not source or not (base.is_dir() or "__main__" in source):
                yield module
            yield from (f"{module} {option}" for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", rest)
                        if f'"{option}"' not in source)


def unknown_files(path):
    """Files and folders named in code that would be the course's own, and are not there."""
    for command in commands(path):
        for name in re.findall(rf"(?<![\w./-])(?:{'|'.join(map(re.escape, SOURCES))})/[\w./-]*\w", command):
            if not (ROOT / name).exists():
                yield name


CHECKS = [broken_links, unknown_make_targets, unknown_modules, unknown_files]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_links_to_and_names_is_there(path, check):
    assert list(check(path)) == []


GOOD = """# A page

## The table: `routes.csv`, *again*
## The table: `routes.csv`, *again*
[there](#a-page) [file](page.md#the-table-routescsv-again-1) ![a picture](<page.md>) <a href="page.md">x</a>
[far](https://example.org/x)
[in a notebook](note.ipynb#What-is-it?) [encoded](note.ipynb#What-is-it%3F) [reference]

`make setup`, `make course PHOTOS=DIR`, `[not](a_link.md)`, `tools/course.py`; make it so.

```
PHOTOS=a make lab      # what they make is in exported/
.venv/bin/python -m utils.evaluate MODEL DIR --split test
.venv/bin/python -m coreml_runtime MODEL PHOTO
make demo && make test ARGS=tests/test_photos.py
```

[reference]: page.md
"""
SPOILT = [
    (broken_links, "[there](#a-pages)"),
    (broken_links, "[file](pages.md)"),
    (broken_links, "![a picture](<picture.png>)"),
    (broken_links, "[file](page.md#the-table-routescsv-again-2)"),
    (broken_links, "[notebook](note.ipynb#what-is-it?)"),
    (broken_links, "[outside](../elsewhere.md)"),
    (broken_links, "<img alt='a' src='none.png'>"),
    (broken_links, "[again]: none.md"),
    (unknown_make_targets, "`make coffee`"),
    (unknown_make_targets, "```\nmake setup && PHOTOS=a make coffee\n```"),
    (unknown_make_targets, "`make setup coffee`"),
    (unknown_modules, "`python -m utils.coffee`"),
    (unknown_modules, "```\npython -m utils.paths\n```"),
    (unknown_modules, "`python -m studio.parts`"),
    (unknown_modules, "`python -m\nutils.coffee`"),
    (unknown_modules, "`python -m utils.evaluate MODEL DIR --splits test`"),
    (unknown_files, "`utils/coffee.py`"),
    (unknown_files, "`make test ARGS=tests/test_coffee.py`"),
]


@pytest.mark.parametrize("check, words", SPOILT, ids=lambda value: getattr(value, "__name__", None))
def test_a_check_fails_on_a_spoilt_document_and_the_others_hold(tmp_path, check, words):
    folder = tmp_path / "course"
    folder.mkdir()
    (tmp_path / "elsewhere.md").touch()
    cells = [{"cell_type": "markdown", "source": ["# What is it?\n", "\n"]}]
    (folder / "note.ipynb").write_text(json.dumps({"cells": cells}))
    page = folder / "page.md"
    page.write_text(GOOD)
    checks = [lambda path: broken_links(path, folder), *CHECKS[1:]]
    assert [list(each(page)) for each in checks] == [[]] * 4
    page.write_text(f"{GOOD}\n{words}\n")
    assert [bool(list(each(page))) for each in checks] == [each is check for each in CHECKS]


# ---- the README's troubleshooting ------------------------------------------------------------------------------------

def printed():
    """The source of all that prints messages; literals that follow each other as one."""
    files = [ROOT / "Makefile", *sorted((ROOT / "utils").rglob("*.py")), *sorted((ROOT / "tools").iterdir())]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    return re.sub(r'"\s*\n\s*f?"', "", text)


def messages(path):
    """The messages of the table of troubleshooting, each as its pieces between the … for names and numbers."""
    section = prose(path).partition("## Troubleshooting")[2].partition("\n## ")[0]
    cells = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    return [[piece.strip() for piece in message.split("…") if piece.strip()]
            for cell in cells for _, message in CODE_SPAN.findall(cell)]


def messages_that_nothing_prints(path):
    source = printed()
    return [pieces for pieces in messages(path) if not pieces or any(piece not in source for piece in pieces)]


def test_each_message_of_troubleshooting_is_one_that_the_course_prints():
    assert len(messages(ROOT / "README.md")) > 20
    assert messages_that_nothing_prints(ROOT / "README.md") == []


@pytest.mark.parametrize("message", ["the disk is replete; free some space", "the disk has … GB right", "…"])
def test_a_message_that_nothing_prints_is_found(tmp_path, message):
    page = tmp_path / "page.md"
    page.write_text("## Troubleshooting\n| message | cure |\n| --- | --- |\n"
                    f"| `the disk has … GB left`, `{message}` | `x` |\n")
    assert messages_that_nothing_prints(page) == [[piece.strip() for piece in message.split("…") if piece.strip()]]


# ---- the glossary ----------------------------------------------------------------------------------------------------

def entries(path):
    """{term: its text} of a glossary, in the order of the page."""
    _, *parts = re.split(r"^## +(.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2]))


def words_of(text):
    """Lower case, and white space for whatever is no letter or digit."""
    return " ".join(re.findall(r"[^\W_]+", text.lower()))


def words_of_notebook(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return words_of(" ".join("".join(cell["source"]) for cell in cells))


def is_in_order(path):
    return list(entries(path)) == sorted(entries(path), key=str.casefold)


def terms_without_use(path):
    """Terms whose entry links to no notebook, or to one that does not use the term."""
    for term, text in entries(path).items():
        files = [path.parent / name for name in re.findall(r"\]\(([^)#]+\.ipynb)\)", text)]
        if not any(file.is_file() and words_of(term) in words_of_notebook(file) for file in files):
            yield term


def test_the_glossary_is_in_alphabetical_order_and_its_terms_are_the_notebooks():
    assert len(entries(GLOSSARY)) > 30
    assert is_in_order(GLOSSARY)
    assert list(terms_without_use(GLOSSARY)) == []


def test_a_spoilt_glossary_is_found(tmp_path):
    cells = [{"cell_type": "code", "source": ["fine_tune(", "Relays)"]}]
    (tmp_path / "note.ipynb").write_text(json.dumps({"cells": cells}))
    page = tmp_path / "glossary.md"
    page.write_text("# Glossary\n\n## fine-tune\nTo train. [n](note.ipynb)\n\n## Relay\nA switch. [n](note.ipynb)\n")
    assert is_in_order(page) and not list(terms_without_use(page))
    page.write_text(page.read_text() + "\n## bell\nRings. [n](note.ipynb)\n\n## fine\nNo link.\n")
    assert not is_in_order(page) and list(terms_without_use(page)) == ["bell", "fine"]


# ---- the issue form --------------------------------------------------------------------------------------------------

def faults_of_form(text):
    """What is wrong with an issue form, as GitHub would find it and as a maintainer would."""
    form = yaml.safe_load(text)
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    asked = {field["id"]: field for field in fields}
    if not (form.get("name") and form.get("description")):
        yield "no name or description"
    if not {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}:
        yield "a type that GitHub does not know"
    if len(asked) < len(fields) or len({field["attributes"]["label"] for field in fields}) < len(fields):
        yield "two fields of one id or label"
    for name in ("notebook", "cell", "environment", "expected", "happened"):
        if not asked.get(name, {}).get("validations", {}).get("required"):
            yield f"does not ask for: {name}"
    options = asked.get("notebook", {}).get("attributes", {}).get("options", [])
    if [option for option in options if re.match(r"\d", option)] != [path.stem for path in NOTEBOOKS]:
        yield "other notebooks than there are"


def test_the_issue_form_asks_for_notebook_cell_and_environment():
    text = FORM.read_text(encoding="utf-8")
    assert list(faults_of_form(text)) == [] and "check_environment" in text


@pytest.mark.parametrize("old, new, fault", [
    ("id: cell", "id: place", "does not ask for: cell"),
    ("      required: true", "      required: false", "does not ask for: notebook"),
    ("id: expected", "id: cell", "two fields of one id or label"),
    ("type: input", "type: text", "a type that GitHub does not know"),
    ("        - 06_on_the_phone\n", "", "other notebooks than there are"),
    ("description: Something", "details: Something", "no name or description"),
])
def test_a_spoilt_issue_form_is_found(old, new, fault):
    text = FORM.read_text(encoding="utf-8")
    assert old in text and fault in faults_of_form(text.replace(old, new))
