"""The workflows and Dependabot's settings as far as they can be checked without GitHub: their form, their pins, and
that what they run and keep is there. Each rule is seen failing on a spoilt copy."""
import fnmatch
import re
import subprocess
import sys

import pytest
import yaml

from tools.course import find_notebooks
from utils import routes
from utils.paths import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
NIGHTLY, DEPENDABOT = GITHUB / "workflows" / "nightly.yml", GITHUB / "dependabot.yml"
MADE = [f"exported/{name}" for name in (*(f"notebooks/{path.name}" for path in find_notebooks(ROOT / "notebooks")),
                                        routes.FILE.name, "findings.json")]  # by make course


def fits_the_schema(path, schema="vendor.github-workflows"):
    """Whether a file has the form that check-jsonschema's own copy of a schema wants. Nothing is downloaded."""
    done = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
                          capture_output=True, text=True)
    return done.returncode == 0


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"].values()


def steps(path):
    return [step for job in jobs(path) for step in job["steps"]]


def kept(job):
    """The patterns of what a job uploads."""
    return [line for step in job["steps"] if "upload-artifact" in step.get("uses", "")
            for line in step["with"]["path"].split()]


def pins_its_actions(path):
    """Each action by the hash of a commit, which nobody can move, and in words for the reader."""
    uses = re.findall(r"uses: (.+)", path.read_text())
    return bool(uses) and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses)


def may_only_read(path):
    permissions = yaml.safe_load(path.read_text()).get("permissions")
    return permissions == {"contents": "read"} and not any("permissions" in job for job in jobs(path))


def ends_in_time(path):
    """A limit for each job, and no two runs of the same thing side by side."""
    concurrency = yaml.safe_load(path.read_text()).get("concurrency", {})
    return "group" in concurrency and all(job.get("timeout-minutes", 360) <= 90 for job in jobs(path))


def runs_what_is_there(path):
    """Make targets and scripts."""
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps(path) if "run" in step]
    made = {target for command in commands for target in re.findall(r"\bmake ([\w-]+)", command)}
    named = r"(?:[\w-]+/tests\b|tests/\S+?\.py|\.ci/\w+)"
    files = [name for command in commands for name in re.findall(named, command)]
    return bool(made or files) and made <= targets and all((ROOT / name).exists() for name in files)


def keeps_what_is_made(path):
    return all(fnmatch.filter(MADE, pattern) for job in jobs(path) for pattern in kept(job))


RULES = [fits_the_schema, pins_its_actions, may_only_read, ends_in_time, runs_what_is_there, keeps_what_is_made]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_keeps_the_rule(path, rule):
    assert rule(path)


def test_the_notebooks_run_every_night_on_linux_and_on_a_mac_and_are_kept():
    assert "schedule" in yaml.safe_load(NIGHTLY.read_text())[True]  # YAML 1.1 reads the key `on` as a truth value
    for job in jobs(NIGHTLY):
        assert any(step.get("run") == "make course" for step in job["steps"])
        assert job["steps"][-1]["if"] == "always()"
        assert {name for pattern in kept(job) for name in fnmatch.filter(MADE, pattern)} == set(MADE)
    assert {job["runs-on"].split("-")[0] for job in jobs(NIGHTLY)} == {"ubuntu", "macos"}


@pytest.mark.parametrize("rule, old, new", [
    (fits_the_schema, "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"),
    (pins_its_actions, "@ea165f8d65b6e75b540449e92b4886f43607fa02", "@v4"),
    (pins_its_actions, "@ea165f8d65b6e75b540449e92b4886f43607fa02", "@ea165f8"),
    (pins_its_actions, " # v4.6.2", ""),
    (may_only_read, "contents: read", "contents: write"),
    (may_only_read, "    timeout-minutes: 90", "    timeout-minutes: 90\n    permissions: write-all"),
    (ends_in_time, "    timeout-minutes: 90\n", ""),
    (ends_in_time, "timeout-minutes: 90", "timeout-minutes: 120"),
    (ends_in_time, "concurrency:\n  group: nightly\n  cancel-in-progress: false\n", ""),
    (runs_what_is_there, "make course", "make lessons"),
    (runs_what_is_there, "coreml-runtime/tests", "runtime/tests"),
    (keeps_what_is_made, "exported/routes.csv", "exported/roads.csv"),
    (keeps_what_is_made, "exported/notebooks/*.ipynb", "exported/notebooks/*.html"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_rule_fails_on_a_workflow_that_breaks_it_once(tmp_path, rule, old, new):
    text, spoilt = NIGHTLY.read_text(), tmp_path / "nightly.yml"
    assert old in text
    spoilt.write_text(text.replace(old, new, 1))
    assert not rule(spoilt)


def test_dependabot_understands_its_settings(tmp_path):
    settings, spoilt = DEPENDABOT.read_text(), tmp_path / "dependabot.yml"
    assert fits_the_schema(DEPENDABOT, "vendor.dependabot")
    spoilt.write_text(settings.replace("interval: weekly", "interval: sometimes", 1))
    assert not fits_the_schema(spoilt, "vendor.dependabot")


def raised(settings):
    """The requirements files whose pins Dependabot raises. It looks for them in subfolders, too."""
    excluded = next(update.get("exclude-paths", []) for update in yaml.safe_load(settings)["updates"]
                    if update["package-ecosystem"] == "pip")
    found = [ROOT / "requirements.txt", *ROOT.glob("environments/*.txt"), *ROOT.glob("studio/*.txt")]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if not any(fnmatch.fnmatch(name, pattern) for pattern in excluded)]


def test_dependabot_raises_the_pins_of_the_course_only():
    settings = DEPENDABOT.read_text()
    assert raised(settings) == ["requirements.txt"]
    assert raised(settings.replace("environments/*", "environment/*")) != ["requirements.txt"]
