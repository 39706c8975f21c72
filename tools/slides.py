"""Slides from the notebooks; behind `make slides`.

`python -m tools.slides [NOTEBOOK ...]` turns notebooks/[0-9][0-9]_*.ipynb, or those named, into
exported/slides/NAME.html: one file each, with reveal.js, the figures and the formulas inside, which a browser opens
without a network. Nothing is executed: the outputs are those that are stored in the notebook.

What becomes a slide follows from the notebook itself:
- A heading starts a slide, and so does each further figure or table beneath it.
- Of prose, the first sentences are shown, with lists, tables and quotations unless they are long. All of it is in the
  speaker notes (key S), and so is the note for the instructor, on the title slide.
- Figures, tables and printed lines are shown; code only where it is short and prints a few lines.
- Left out are the check of the environment, and the code and the solutions of the exercises.

A cell's slide type, which Jupyter Lab edits in its sidebar, says otherwise: Slide or Sub-Slide (a slide of its own, on
which all of the cell is shown), Fragment (all of it, at the next press of a key), Notes (only in the speaker notes),
Skip (nowhere).

nbconvert's own slides show all prose of a notebook or none, and fetch reveal.js and MathJax from the network; so the
cells are laid out here, and nbconvert renders them with a template that holds everything.
"""
import argparse
import re
import sys
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from tools.course import find_notebooks, shown
from utils.command_line import CourseError, command
from utils.files import written_whole
from utils.paths import EXPORTED, ROOT

TEMPLATE = Path(__file__).with_suffix(".html.j2")
REVEAL = resources.files("pyreveal") / "revealjs" / "dist"  # of the package, only its copy of reveal.js is used
UNSEEN = "Is everything here?"  # the section that is left out
EXERCISES = "Exercises"  # the section whose prose is shown whole, and whose code is not
PROSE_WORDS = 40  # of prose before an output: more is read instead of listened to
BLOCK_WORDS = 150  # of a list, a table or a quotation
CODE_LINES = 6
PRINTED_LINES = 12  # more count as a figure
FULL = 680  # pixels of height, as `height` estimates it: a quarter over, which the page makes up with smaller letters

FENCED = re.compile(r"(^```.*?^```[^\n]*$)", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)
BLOCK = re.compile(r"[-*] |[>|]|\d+\. |```")  # how a list, a quotation, a table or code begins
SENTENCE = re.compile(r".+?(?:(?<!\d)[.!?…][*_)\"”]*(?=\s|$)|:$)", re.DOTALL)
INSTRUCTOR = re.compile(r"<details>\s*<summary>For the instructor</summary>(.*?)</details>", re.DOTALL)


class SlidesError(CourseError):
    """Why a notebook gives no slides, in one sentence."""


@dataclass
class Slide:
    """heading: Markdown, without the #; cells: what is shown, as cells of a notebook; notes: the speaker's Markdown."""

    heading: str
    cells: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    words: int = 0  # of prose since the last output
    height: int = 0  # of what is shown, as `height` estimates it
    is_taken: bool = False  # by a figure or a table


# ---- from Markdown to what is shown of it ----------------------------------------------------------------------------

def sections(source):
    """[(heading or None, text beneath it)] of Markdown. A # in fenced code is no heading."""
    found = [(None, "")]
    for part in FENCED.split(source):
        before, *rest = [part] if part.startswith("```") else HEADING.split(part)
        found[-1] = (found[-1][0], found[-1][1] + before)
        found += zip(rest[1::3], rest[2::3])
    return [(heading, text.strip()) for heading, text in found if heading or text.strip()]


def blocks(text):
    """Paragraphs, lists, tables and fenced code of Markdown, in order."""
    return [block.strip() for part in FENCED.split(text)
            for block in ([part] if part.startswith("```") else re.split(r"\n\s*\n", part)) if block.strip()]


def first_sentences(paragraph, words):
    """As many whole sentences from the start as have at most so many words together, or "" where the first has more."""
    kept = ""
    for sentence in SENTENCE.findall(paragraph):
        if len((kept + sentence).split()) > words:
            break
        kept += sentence
    return kept.strip()


def is_large(output):
    """Does an output fill a slide: a picture, a table, or many printed lines?"""
    data = output.get("data", {})
    if "text/html" in data:
        return "<table" in data["text/html"]
    text = output.get("text", data.get("text/plain", ""))
    return any(kind.startswith("image/") for kind in data) or text.count("\n") > PRINTED_LINES


def height(text, characters=82, line=38, gap=14):
    """Pixels that a text takes on a page 1280 wide, estimated from its lines. characters, line: of its letters."""
    return gap + line * sum(1 + len(each) // characters for each in text.splitlines())


def output_height(output):
    """The same for an output."""
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        return 400
    if "text/html" in data:
        return 44 * data["text/html"].count("<tr")
    return height(output.get("text", data.get("text/plain", "")), characters=115, line=27, gap=24)


# ---- from cells to slides --------------------------------------------------------------------------------------------

class Deck:
    """Takes the cells of a notebook one by one, and lays them out on slides."""

    def __init__(self):
        self.slides = []
        self.section = ""
        self.lead = None  # the last slide's cells and notes before the prose that leads to the next output, counted

    def turn(self, heading):
        """Starts a slide, in place of one on which nothing is shown."""
        notes = []
        if self.slides and not self.slides[-1].cells:
            notes = self.slides.pop().notes
        self.slides.append(Slide(heading, notes=notes))

    def make_room(self, needed, is_large=False):
        """Turns to another slide, and takes the prose that leads to it along, where `needed` pixels do not fit on this
        one, or for a figure or a table where it has one."""
        last = self.slides[-1]
        cells, notes = self.lead or (len(last.cells), len(last.notes))
        if cells and (last.height + needed > FULL or is_large and last.is_taken):
            self.turn(self.section)
            new = self.slides[-1]
            new.cells, last.cells = last.cells[cells:], last.cells[:cells]
            new.notes, last.notes = last.notes[notes:], last.notes[:notes]
            new.height = sum(height(cell.source) for cell in new.cells)
            self.lead = 0, 0
        self.slides[-1].height += needed
        self.slides[-1].is_taken |= is_large

    def show(self, cell, slide_type=""):
        cell.metadata["slideshow"] = {"slide_type": "fragment" if slide_type == "fragment" else "-"}
        cell.metadata["transient"] = {"remove_source": not cell.source}
        self.slides[-1].cells.append(cell)

    def show_prose(self, text, slide_type=""):
        from nbformat.v4 import new_markdown_cell

        self.show(new_markdown_cell(text), slide_type)

    def add(self, cell):
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type", "").strip("-").removeprefix("sub")
        if cell.cell_type == "markdown":
            for heading, text in sections(cell.source):
                self.add_prose(heading, text, slide_type)
        elif cell.cell_type == "code" and slide_type not in ("skip", "notes"):
            self.add_code(cell, slide_type)

    def add_prose(self, heading, text, slide_type):
        if heading:
            self.section = heading
        for note in INSTRUCTOR.findall(text):
            self.slides[0].notes.append(f"**For the instructor**\n\n{note.strip()}")
        if slide_type == "skip" or self.section == UNSEEN:
            return
        if slide_type == "slide" or heading or not self.slides:
            self.turn(self.section)
        self.lead = len(self.slides[-1].cells), len(self.slides[-1].notes)
        text = re.sub(r"<details>.*", "", text, flags=re.DOTALL)  # after the solutions there are only links
        told = [block for block in blocks(text) if not block.startswith("[the course](")]
        if not slide_type:
            for block in told:
                self.add_block(block)
        elif told and slide_type != "notes":
            self.show_prose("\n\n".join(told), slide_type)
        self.slides[-1].notes += told

    def add_block(self, block):
        """Shows of a paragraph, list, table, quotation or code what fits beside the rest of the slide."""
        is_title = len(self.slides) == 1
        if BLOCK.match(block):
            if len(block.split()) > BLOCK_WORDS:
                return
            if is_title:
                self.turn("What is covered")
            self.make_room(height(block))
            self.show_prose(block)
        elif self.section == EXERCISES:
            self.show_prose(block)
        elif is_title:
            if block.startswith("**At the end you have**"):
                self.show_prose(re.split(r"\n(?=\*\*)", block)[0])
        elif prose := first_sentences(block, PROSE_WORDS - self.slides[-1].words):
            self.slides[-1].words += len(prose.split())
            self.slides[-1].height += height(prose)
            self.show_prose(prose)

    def add_code(self, cell, slide_type):
        from nbformat.v4 import new_code_cell

        if slide_type:
            if slide_type == "slide":
                self.turn(self.section)
            self.show(new_code_cell(cell.source, outputs=cell.outputs), slide_type)
        elif self.section not in (UNSEEN, EXERCISES) and self.slides:
            outputs = [output for output in cell.outputs if output.output_type != "error"]
            if outputs and len(cell.source.splitlines()) <= CODE_LINES and not any(map(is_large, outputs)):
                self.make_room(height(cell.source, characters=115, line=27) + sum(map(output_height, outputs)))
                self.show(new_code_cell(cell.source, outputs=outputs))
                outputs = []
            for output in outputs:
                self.make_room(output_height(output), is_large(output))
                self.show(new_code_cell(outputs=[output]))
                self.lead = None
            self.slides[-1].words, self.lead = 0, None


def slides(notebook):
    """The slides of a notebook (nbformat 4): a list of Slide, the title first."""
    deck = Deck()
    for cell in notebook.cells:
        deck.add(cell)
    return [slide for slide in deck.slides if slide.cells]


def plain(markdown):
    """Markdown without its marks, on one line."""
    return " ".join(re.sub(r"[*`#$]|\[([^\]]*)\]\([^)]*\)", r"\1", markdown).split())


def as_notebook(deck):
    """The notebook that nbconvert's SlidesExporter takes: a cell `slide` with the heading, a cell `notes`, and what is
    shown."""
    from nbformat.v4 import new_markdown_cell, new_notebook

    cells = []
    for number, slide in enumerate(deck):
        heading = f"{'##' if number else '#'} {slide.heading}"
        cells.append(new_markdown_cell(heading, metadata={"slideshow": {"slide_type": "slide"}}))
        if slide.notes:  # before what is shown: after it, they would belong to a fragment
            cells.append(new_markdown_cell("\n\n".join(slide.notes), metadata={"slideshow": {"slide_type": "notes"}}))
        said = slide.heading
        for cell in slide.cells:
            said = cell.source if cell.cell_type == "markdown" else said
            cell.metadata["alt"] = plain(said)  # of the cell's pictures: what leads to them
            cells.append(cell)
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}})


# ---- from slides to one HTML file ------------------------------------------------------------------------------------

def markdown_to_html(source):
    """Markdown as nbconvert renders it, but formulas as MathML, which browsers draw themselves, and no links to files:
    they do not lie beside the slides."""
    from latex2mathml.converter import convert
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return convert(body)

        def block_math(self, body):
            return convert(body, display="block")

        def link(self, text, url, title=None):
            return super().link(text, url, title) if re.match(r"https?:", url) else text

    return MarkdownWithMath(renderer=Renderer(escape=False, exclude_anchor_links=True)).render(source)


def to_html(deck):
    """One HTML page with all that it needs, of a list of Slide: a string."""
    from nbconvert.exporters import SlidesExporter

    from utils.plots import PALETTE

    exporter = SlidesExporter(template_file=str(TEMPLATE), filters={"markdown2html": markdown_to_html},
                              exclude_input_prompt=True, exclude_output_prompt=True)
    read = {name.replace("/", "_").replace(".", "_"): (REVEAL / name).read_text(encoding="utf-8")
            for name in ("reveal.css", "reveal.js", "plugin/notes.js")}
    return exporter.from_notebook_node(as_notebook(deck), resources={"page": {
        "title": plain(deck[0].heading), "colour": PALETTE[0], "accent": PALETTE[2], **read}})[0]


def read_notebook(path):
    """A notebook as nbformat reads it. Raises SlidesError."""
    import nbformat

    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise SlidesError(f"{path}: {error.strerror}. Name a notebook, or none for all of them.") from None
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, AttributeError, KeyError, TypeError, ValueError):
        raise SlidesError(f"{path} is not a notebook; restore it, for example from git.") from None


def make_slides(notebook, folder):
    """Writes FOLDER/NAME.html of a notebook, whole or not at all. Returns its path and the number of slides. Raises
    SlidesError."""
    deck = slides(read_notebook(notebook))
    if not deck:
        raise SlidesError(f"{notebook} has nothing to show: no cell with a heading, prose or an output.")
    out = Path(folder) / f"{Path(notebook).stem}.html"
    page = to_html(deck)
    try:
        with written_whole(out) as unfinished:
            unfinished.write_text(page, encoding="utf-8")
    except OSError as error:
        raise SlidesError(f"{out} cannot be written: {error.strerror}.") from None
    return out, len(deck)


@command
def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tools.slides", description="Slides from the notebooks.")
    parser.add_argument("notebooks", nargs="*", type=Path, metavar="NOTEBOOK", help="default: all, in order")
    options = parser.parse_args(arguments)
    for notebook in options.notebooks or find_notebooks(ROOT / "notebooks"):
        out, count = make_slides(notebook, EXPORTED / "slides")
        print(f"{shown(out)}: {count} slides, {out.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    sys.exit(main())
