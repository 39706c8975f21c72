"""The notebooks' exercises, each answered rightly and wrongly: conftest.py runs both in the notebook's kernel, after
its last cell."""
import re
import textwrap

import nbformat

# A typical wrong answer to each exercise, by the notebook's number: wrong whatever training came to.
WRONG = {
    "01": ["sessions, more = 2, 4", "ratio = 0.5", "gap = nearest_accuracy(by_session)"],
    "02": ["value = 128 / 255", "share = 1", "averaged = test_probabilities"],
    "03": ["prediction = set()", 'prediction = {"TorchScript", "dynamo"}', "ordinary = nn.MaxPool2d(2)"],
    "04": ["pixel = 0", "learnt = 1280 * len(names)", 'change = causes["both"]["valid"].mean()'],
    "05": ["scale_1, bias_1 = 1 / 127.5, -127.5", "n = 72", "written = 1 / 127"],
    "06": ["bits = 8", "strict = thresholds[-1]", "return answers[-1]"],
}
STATEMENT = re.compile(r"return |[\w, ]+ = ")


def exercises(notebook):
    """The source of each cell that waits for an answer: its `check` starts with `... if`."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code" and "check(... if " in cell.source]


def solutions(notebook):
    """The folded solutions, one a numbered line: the statements in it that stand in backquotes, a line each."""
    text = next(cell.source for cell in notebook.cells if "<summary>Solutions</summary>" in cell.source)
    text = text.split("<summary>Solutions</summary>")[1].split("</details>")[0]
    numbered = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    return ["\n".join(code for code in re.findall(r"`([^`]+)`", each) if STATEMENT.match(code)) for each in numbered]


def answered(source, answer):
    """An exercise with its first line that has `...` replaced."""
    lines = source.split("\n")
    at = next(i for i, line in enumerate(lines) if "..." in line)
    indent = lines[at][:len(lines[at]) - len(lines[at].lstrip())]
    return "\n".join([*lines[:at], textwrap.indent(answer, indent), *lines[at + 1:]])


def cells(path):
    """(name, cell) for each answer to each exercise of a notebook: a cell that prints what `check` begins with, and
    stores what that should be."""
    notebook = nbformat.read(path, as_version=4)
    for kind, answers, verdict in (("solution", solutions(notebook), "Right"),
                                   ("wrong answer", WRONG[path.name[:2]], "Not yet")):
        for number, (source, answer) in enumerate(zip(exercises(notebook), answers, strict=True), 1):
            code = ("import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as printed:\n"
                    + textwrap.indent(answered(source, answer), "    ") + "\nprint(printed.getvalue().split('.')[0])")
            output = nbformat.v4.new_output("stream", name="stdout", text=f"{verdict}\n")
            yield f"Exercise {number}, {kind}", nbformat.v4.new_code_cell(code, outputs=[output], execution_count=1)
