"""What every committed notebook keeps to; each rule is seen failing on a spoilt notebook."""
import ast
import json
import re

import nbformat
import pytest

from tools.course import find_notebooks
from utils.paths import ROOT

NOTEBOOKS = find_notebooks(ROOT / "notebooks")
ABSOLUTE = re.compile(r"(?<![\w.~:/>-])/(?:home|Users|root|work|tmp|usr|opt|mnt|var|private|content)/|\b[A-Z]:\\+\w")


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def texts(cell):
    """What a reader sees of a cell as text: its source and its outputs, pictures left out."""
    yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        yield "\n".join(output.get("traceback", []))
        for kind, data in output.get("data", {}).items():
            if kind.startswith("text/"):
                yield data


def is_executed_in_order(notebook):
    return [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))


def has_no_stderr(notebook):
    return not any(output.get("name") == "stderr" for cell in code(notebook) for output in cell.outputs)


def has_no_error(notebook):
    # papermill stops at a stored error even where the tag raises-exception expects it: lesson.expect_failure shows one.
    return not any(output.output_type == "error" for cell in code(notebook) for output in cell.outputs)


def has_no_absolute_path(notebook):
    return not any(ABSOLUTE.search(text) for cell in notebook.cells for text in texts(cell))


def has_alt_text(notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    tags = re.findall(r"<img\b[^>]*>", prose)
    return not re.search(r"!\[\s*\]", prose) and all(re.search(r"""\balt=(["'])\s*\S.*?\1""", tag) for tag in tags)


def has_short_cells(notebook):
    return all(len(cell.source.splitlines()) <= 15 for cell in code(notebook))


def has_narrow_lines(notebook):
    return all(len(line) <= 88 for cell in code(notebook) for line in cell.source.splitlines())


def has_small_outputs(notebook):
    return all(len(json.dumps(cell.outputs)) < 300_000 for cell in code(notebook))


def has_its_kernel(notebook):
    """A notebook that imports turicreate names the kernel turi-create, each other one python3."""
    turi = any(re.search(r"^(?:import|from) turicreate\b", cell.source, re.MULTILINE) for cell in code(notebook))
    return notebook.metadata.get("kernelspec", {}).get("name") == ("turi-create" if turi else "python3")


def has_30_to_90_cells(notebook):
    return 30 <= len(notebook.cells) <= 90


def asserts(notebook):
    """The assert statements of all code cells, parsed; lines with IPython's % are left out."""
    for cell in code(notebook):
        tree = ast.parse("\n".join(line for line in cell.source.split("\n") if not line.startswith("%")))
        yield from (node for node in ast.walk(tree) if isinstance(node, ast.Assert))


def has_asserts_that_speak(notebook):
    """Each assert says what was expected and what came: `make course` prints nothing else when one fails."""
    return all(node.msg for node in asserts(notebook))


def has_no_assert_about_training(notebook):
    """What training came to is a finding (utils/findings.py), never a comparison with a number: it differs between
    computers."""
    words = {"accuracy", "lost", "speedup", "rejected", "share", "agreement", "unscaled", "unchanged"}

    def is_luck(test):
        parts = list(ast.walk(test))
        named = {part.id for part in parts if isinstance(part, ast.Name)}
        named |= {part.value for part in parts if isinstance(part, ast.Constant)}
        numbers = [part for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, (int, float))]
        return bool(numbers) and any(word in named for word in words)

    return not any(is_luck(node.test) for node in asserts(notebook))


RULES = [is_executed_in_order, has_no_stderr, has_no_error, has_no_absolute_path, has_alt_text, has_short_cells,
         has_narrow_lines, has_small_outputs, has_its_kernel, has_30_to_90_cells, has_asserts_that_speak,
         has_no_assert_about_training]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_committed_notebook_keeps_the_rule(path, rule):
    assert rule(nbformat.read(path, as_version=4)), f"{path.name}: not {rule.__name__}"


def test_there_are_notebooks():
    assert NOTEBOOKS


def good_notebook():
    v4 = nbformat.v4
    prose = "![a relay on a table](relay.jpg) and <img src='a.png' alt='a graph'>"
    cells = [v4.new_markdown_cell(prose) for _ in range(15)]
    for count in range(1, 16):
        output = v4.new_output("stream", name="stdout", text="../data/tabletop https://example.org/home/ 3/4")
        cells.append(v4.new_code_cell("print(1)", execution_count=count, outputs=[output]))
    return v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def output(kind, **content):
    return nbformat.v4.new_output(kind, **content)


def outputs_of_last(*outputs):
    return lambda notebook: notebook.cells[-1].update(outputs=list(outputs))


def source_of(index, source):
    return lambda notebook: notebook.cells[index].update(source=source)


SPOILT = [
    (is_executed_in_order, lambda notebook: notebook.cells[-1].update(execution_count=None)),
    (is_executed_in_order, lambda notebook: notebook.cells[-1].update(execution_count=17)),
    (is_executed_in_order, lambda notebook: notebook.cells.insert(20, notebook.cells.pop())),
    (has_no_stderr, outputs_of_last(output("stream", name="stderr", text="a warning"))),
    (has_no_error, outputs_of_last(output("error", ename="E", evalue="", traceback=[]))),
    (has_no_absolute_path, outputs_of_last(output("stream", name="stdout", text="saved to /home/me/a.png"))),
    (has_no_absolute_path, outputs_of_last(output("execute_result", data={"text/html": "<b>'/tmp/x/y'</b>"}))),
    (has_no_absolute_path, source_of(-1, "open('C:\\\\Users\\\\me')")),
    (has_no_absolute_path, source_of(0, "Put them into /Users/me/photos.")),
    (has_alt_text, source_of(0, "![](relay.jpg)")),
    (has_alt_text, source_of(0, "<img src='a.png'>")),
    (has_alt_text, source_of(0, "<img src='a.png' alt=''>")),
    (has_short_cells, source_of(-1, "x = 1\n" * 16)),
    (has_narrow_lines, source_of(-1, f"print({'1' * 82})")),
    (has_small_outputs, outputs_of_last(output("display_data", data={"image/png": "A" * 300_000}))),
    (has_its_kernel, lambda notebook: notebook.metadata.kernelspec.update(name="python3.11")),
    (has_its_kernel, lambda notebook: notebook.metadata.pop("kernelspec")),
    (has_its_kernel, lambda notebook: notebook.metadata.kernelspec.update(name="turi-create")),
    (has_its_kernel, source_of(-1, "import turicreate as tc")),
    (has_30_to_90_cells, lambda notebook: notebook.cells.pop(0)),
    (has_asserts_that_speak, source_of(-1, "assert 1 == 1")),
    (has_no_assert_about_training, source_of(-1, 'assert result["accuracy"] > 0.9, "too low"')),
    (has_no_assert_about_training, source_of(-1, 'assert lost <= 0.005, "one photograph may be luck"')),
]


@pytest.mark.parametrize("rule, spoil", SPOILT, ids=lambda value: getattr(value, "__name__", ""))
def test_a_rule_fails_on_a_spoilt_notebook_and_the_others_hold(rule, spoil):
    notebook = good_notebook()
    assert all(r(notebook) for r in RULES)
    spoil(notebook)
    assert not rule(notebook)
    assert all(r(notebook) for r in RULES if r is not rule)
