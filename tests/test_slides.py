"""Slides: what of a notebook is shown, and that a browser needs nothing but the file."""
import base64
import io
import re
import shutil

import nbformat
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from tools import slides
from tools.course import find_notebooks
from utils.paths import ROOT

NOTEBOOKS = find_notebooks(ROOT / "notebooks")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_chromium = pytest.mark.skipif(not CHROMIUM, reason="left out: Chromium (the system's package) is not installed")
LOADS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "video": "src", "audio": "src",
         "source": "src", "object": "data", "embed": "src"}
FITS = """() => { const slide = Reveal.getCurrentSlide();
    return slide.scrollHeight <= slide.clientHeight + 1 && slide.scrollWidth <= slide.clientWidth + 1; }"""
PICTURES = """() => [...Reveal.getCurrentSlide().querySelectorAll('img')].map(image =>
    [image.complete && image.naturalWidth, image.clientHeight])"""


def picture(size=(400, 300)):
    data = io.BytesIO()
    Image.new("RGB", size, "green").save(data, "JPEG")
    return nbformat.v4.new_output("display_data", {"image/jpeg": base64.b64encode(data.getvalue()).decode()})


def printed(text):
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def prose(source, slide_type=""):
    return nbformat.v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": slide_type}})


def code(source, *outputs, slide_type="-"):
    return nbformat.v4.new_code_cell(source, outputs=list(outputs), metadata={"slideshow": {"slide_type": slide_type}})


def deck(*cells):
    title = prose("# 07 A course\n\n**At the end you have** a file.")
    return slides.slides(nbformat.v4.new_notebook(cells=[title, *cells]))


def words(slide):
    """What is shown on a slide as text: prose, code, printed lines; <picture> for a picture."""
    found = [slide.heading]
    for cell in slide.cells:
        found.append(cell.source)
        for output in cell.get("outputs", []):
            found.append(output.get("text") or "<picture>")
    return " ".join(found)


LONG = "The first sentence is short. " + "Then come many more words, all of them for the speaker. " * 8


def test_a_heading_starts_a_slide_also_in_the_middle_of_a_cell_and_not_in_code():
    found = deck(prose("## One\n\nText.\n\n```\n# a comment\n```\n\n### Two\n\nMore."), prose("Still two."))
    assert [slide.heading for slide in found] == ["07 A course", "One", "Two"]
    assert "# a comment" in words(found[1]) and "Still two." in words(found[2])


def test_long_prose_is_cut_after_a_sentence_and_whole_in_the_notes():
    slide = deck(prose(f"## One\n\n{LONG}"))[1]
    assert words(slide).endswith("for the speaker.") and len(words(slide).split()) <= slides.PROSE_WORDS + 1
    assert "".join(slide.notes) == LONG.strip()


def test_lists_tables_and_quotations_are_shown_unless_they_are_long():
    short, long = "- a\n- b", "- a\n" * (slides.BLOCK_WORDS + 1)
    found = deck(prose(f"## One\n\n{short}\n\n> said\n\n{long}"))[1]
    assert [cell.source for cell in found.cells] == [short, "> said"]
    assert long.strip() in found.notes


def test_each_figure_or_table_has_a_slide_with_the_words_that_lead_to_it():
    table = nbformat.v4.new_output("execute_result", {"text/html": "<table><tr><td>1</td></tr></table>"})
    found = deck(prose("## One\n\nFirst."), code("a()", picture()), prose("Second."), code("b()", table))
    assert [words(slide) for slide in found[1:]] == ["One First.  <picture>", "One Second.  <picture>"]
    assert [slide.notes for slide in found[1:]] == [["First."], ["Second."]]


def test_code_is_shown_where_it_is_short_and_prints():
    found = deck(prose("## One\n\nText."), code("print(1)", printed("1\n")), code("x = 1"),
                 code("y = 2\n" * 9, printed("2\n")), code("plot()", picture()))
    shown = " ".join(map(words, found))
    assert "print(1)" in shown and "1\n" in shown and "2\n" in shown and "<picture>" in shown
    assert not any(source in shown for source in ("x = 1", "y = 2", "plot()"))


def test_a_full_slide_continues_on_the_next_under_the_same_heading():
    found = deck(prose("## One"), *[code("print(1)", printed("1\n" * 8)) for _ in range(6)])
    assert len(found) > 2 and {slide.heading for slide in found[1:]} == {"One"}
    assert " ".join(map(words, found)).count("print(1)") == 6


def test_the_environment_exercises_code_and_solutions_are_left_out():
    found = deck(prose("## Is everything here?\n\nEach line."), code("check()", printed("[OK] numpy\n")),
                 prose("## One\n\nText."), prose("## Exercises\n\n**1.** How many?"),
                 code("n = ...", printed("Not tried yet\n")),
                 prose("<details><summary>Solutions</summary>\n\n1. `n = 73`\n</details>\n\n[the course](../x.md)"))
    shown = " ".join(words(slide) + " ".join(slide.notes) for slide in found)
    assert [slide.heading for slide in found] == ["07 A course", "One", "Exercises"] and "**1.** How many?" in shown
    assert not any(word in shown for word in ("[OK]", "check()", "n = ", "73", "Not tried", "the course"))


def test_the_note_for_the_instructor_is_in_the_speakers_notes_of_the_title():
    found = deck(prose("## One\n\nText.\n\n<details><summary>For the instructor</summary>\n\n*Show* it.\n</details>"))
    assert "*Show* it." in found[0].notes[-1] and "Show" not in " ".join(map(words, found))


@pytest.mark.parametrize("slide_type, is_shown, is_noted, is_alone", [
    ("slide", True, True, True), ("subslide", True, True, True), ("fragment", True, True, False),
    ("notes", False, True, False), ("skip", False, False, False)])
def test_the_slide_type_says_whether_a_cell_is_shown(slide_type, is_shown, is_noted, is_alone):
    long_code = code("long = 1\n" * 9, picture(), slide_type=slide_type)
    found = deck(prose("## One\n\nText."), prose(LONG, slide_type), long_code)
    assert (LONG.strip() in " ".join(map(words, found))) is is_shown
    assert ("long = 1" in " ".join(map(words, found))) is is_shown
    assert any(LONG.strip() in slide.notes for slide in found) is is_noted
    assert len(found) == (4 if is_alone else 2)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """{notebook: its page}, made as `make slides` does."""
    folder = tmp_path_factory.mktemp("slides")
    return {path.stem: slides.make_slides(path, folder)[0] for path in NOTEBOOKS}


def loaded(page):
    """What a page would fetch: the values of attributes and of url() that are no data."""
    soup = BeautifulSoup(page, "html.parser")
    for tag, attribute in LOADS.items():
        values = [each.get(attribute, "data:") for each in soup.find_all(tag)]
        yield from (value for value in values if not value.startswith("data:"))
    for style in soup.find_all("style"):
        yield from re.findall(r"@import[^;]+|url\(\s*['\"]?(?!data:)[^)]*\)", style.text)


@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_the_page_of_a_notebook_fetches_nothing_and_describes_its_pictures(pages, name):
    page = pages[name].read_text(encoding="utf-8")
    assert list(loaded(page)) == []
    soup = BeautifulSoup(page, "html.parser")
    assert soup.select("section img") and all(len(image["alt"]) > 10 for image in soup.select("section img"))
    assert 12 <= len(soup.select(".slides > section")) <= 26
    assert "For the instructor" in soup.select_one("section aside.notes").text
    assert not re.search(r"\\frac|\\lfloor|\\mathrm", soup.select_one(".slides").text)


@pytest.mark.parametrize("spoilt", ['<script src="https://example.org/reveal.js"></script>', '<img src="relay.jpg">',
                                    '<link rel="stylesheet" href="white.css">', "<style>@import 'white.css';</style>",
                                    "<style>@font-face { src: url(https://example.org/a.woff) }</style>"])
def test_a_page_that_fetches_something_is_found(spoilt):
    assert not list(loaded("<p><a href='https://example.org'>far</a> <img src='data:,'></p>")) and list(loaded(spoilt))


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


def opened(browser, path):
    """A page without a network, its address and the list of what goes wrong in it."""
    page, wrong = browser.new_context(viewport={"width": 1280, "height": 720}, offline=True).new_page(), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.append(request.url)
            if not request.url.startswith(("data:", path.as_uri())) else None)
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    return page, wrong


@in_chromium
@pytest.mark.parametrize("name", [path.stem for path in NOTEBOOKS])
def test_in_chromium_without_a_network_every_slide_fits_and_every_figure_shows(browser, pages, name):
    page, wrong = opened(browser, pages[name])
    total = page.evaluate("Reveal.getTotalSlides()")
    for number in range(total):
        assert page.evaluate("Reveal.getIndices().h") == number
        assert page.evaluate(FITS), f"slide {number + 1} runs off"
        sizes = page.evaluate(PICTURES)
        assert all(width and height > 200 for width, height in sizes), f"slide {number + 1}: {sizes}"
        page.keyboard.press("ArrowRight")
    assert page.evaluate("Reveal.isLastSlide()") and wrong == []
    page.context.close()


@in_chromium
def test_a_slide_that_runs_off_is_found(browser, pages):
    page, _ = opened(browser, pages[NOTEBOOKS[0].stem])
    assert page.evaluate(FITS)
    page.evaluate("Reveal.getCurrentSlide().insertAdjacentHTML('beforeend', '<pre>' + 'x\\n'.repeat(99) + '</pre>')")
    assert not page.evaluate(FITS)
    page.context.close()


@in_chromium
def test_in_chromium_a_formula_is_drawn_a_fragment_waits_and_the_speakers_view_opens(browser, tmp_path):
    cells = [prose("# 07 A course\n\n**At the end you have** a file."),
             prose("## One\n\nOur $\\frac{1}{128} x - \\frac{127}{128}$ is one."), prose("Later.", "fragment")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "07.ipynb")
    page, wrong = opened(browser, slides.make_slides(tmp_path / "07.ipynb", tmp_path)[0])
    page.keyboard.press("ArrowRight")
    fraction, letter = (page.locator(f"{tag} >> visible=true").first.bounding_box() for tag in ("mfrac", "mi"))
    assert fraction["height"] > 1.2 * letter["height"] > 0  # one number above the other
    assert "Later." in page.locator(".fragment").text_content()
    assert page.evaluate("getComputedStyle(document.querySelector('.fragment')).opacity") == "0"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("getComputedStyle(document.querySelector('.fragment')).opacity == 1")
    with page.expect_popup() as popup:
        page.keyboard.press("s")
    popup.value.locator("text=is one.").first.wait_for(state="attached")
    assert wrong == []
    page.context.close()


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """A function: a path -> the one sentence that `python -m tools.slides PATH` says; it writes into tmp_path."""
    monkeypatch.setattr(slides, "EXPORTED", tmp_path)

    def run(path):
        assert slides.main([str(path)]) == 2
        error = capsys.readouterr().err
        assert len(error.strip().splitlines()) == 1, error
        return error

    return run


@pytest.mark.parametrize("content", [None, "", "no notebook", "[1, 2]", "{}", '{"nbformat": 4}', "\0\xff"])
def test_what_is_no_notebook_gets_one_sentence(tmp_path, refused, content):
    path = tmp_path / "07.ipynb"
    if content is not None:
        path.write_text(content)
    error = refused(path)
    assert "07.ipynb" in error
    assert ("No such file" in error) is (content is None)


def test_a_notebook_with_nothing_to_show_and_an_unwritable_folder_get_one_sentence(tmp_path, refused):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "07.ipynb")
    assert "nothing to show" in refused(tmp_path / "07.ipynb")
    (tmp_path / "slides").write_text("a file where the folder should be")
    assert "cannot be written" in refused(NOTEBOOKS[2])


def test_an_interrupted_write_leaves_the_older_slides(tmp_path, monkeypatch):
    out, _ = slides.make_slides(NOTEBOOKS[2], tmp_path)
    before = out.read_bytes()

    def full(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(out), "write_text", full)
    with pytest.raises(slides.SlidesError, match="No space left on device"):
        slides.make_slides(NOTEBOOKS[2], tmp_path)
    assert out.read_bytes() == before and [path.name for path in tmp_path.iterdir()] == [out.name]
