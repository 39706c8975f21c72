"""The workflows as far as they can be checked without GitHub: their form, their pins, and that what they run and keep
is there. Each rule is seen failing on a spoilt workflow."""
import re
import subprocess
import sys

import pytest
import yaml

from utils.paths import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
MADE = ("exported/notebooks/", "exported/routes.csv", "exported/findings.json")  # by make course


def fits_the_schema(path, schema="vendor.github-workflows"):
    """Whether a file has the form that check-jsonschema's own copy of a schema wants. Nothing is downloaded."""
    done = subprocess.run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
                          capture_output=True, text=True)
    return done.returncode == 0


def steps(path):
    return [step for job in yaml.safe_load(path.read_text())["jobs"].values() for step in job["steps"]]


def pins_its_actions(path):
    """Each action by the hash of a commit, which nobody can move, and in words for the reader."""
    uses = re.findall(r"uses: (.+)", path.read_text())
    return bool(uses) and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each) for each in uses)


def may_only_read(path):
    content = yaml.safe_load(path.read_text())
    return content.get("permissions") == {"contents": "read"} and not any(
        "permissions" in job for job in content["jobs"].values())


def ends_in_time(path):
    """A limit for each job, as of the project's own CI, and no two runs of the same thing side by side."""
    content = yaml.safe_load(path.read_text())
    return "group" in content.get("concurrency", {}) and all(
        job.get("timeout-minutes", 360) <= 90 for job in content["jobs"].values())


def runs_what_is_there(path):
    """Make targets and scripts."""
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [step["run"] for step in steps(path) if "run" in step]
    made = {target for command in commands for target in re.findall(r"\bmake ([\w-]+)", command)}
    files = [name for command in commands for name in re.findall(r"(?:tests/\S+?\.py|\.ci/\w+)", command)]
    return bool(made or files) and made <= targets and all((ROOT / name).is_file() for name in files)


def keeps_what_is_made(path):
    kept = [line for step in steps(path) if "upload-artifact" in step.get("uses", "")
            for line in step["with"]["path"].split()]
    return all(line.startswith(MADE) for line in kept)


RULES = [fits_the_schema, pins_its_actions, may_only_read, ends_in_time, runs_what_is_there, keeps_what_is_made]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_keeps_the_rule(path, rule):
    assert rule(path)


def test_the_notebooks_run_every_night_on_linux_and_on_a_mac():
    nightly = yaml.safe_load((GITHUB / "workflows" / "nightly.yml").read_text())
    assert "schedule" in nightly[True]  # YAML 1.1 reads the key `on` as a truth value
    for job in nightly["jobs"].values():
        assert any(step.get("run") == "make course" for step in job["steps"])
    assert {job["runs-on"].split("-")[0] for job in nightly["jobs"].values()} == {"ubuntu", "macos"}


@pytest.mark.parametrize("rule, old, new", [
    (fits_the_schema, "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"),
    (pins_its_actions, "@ea165f8d65b6e75b540449e92b4886f43607fa02", "@v4"),
    (may_only_read, "contents: read", "contents: write"),
    (ends_in_time, "    timeout-minutes: 90\n", ""),
    (ends_in_time, "concurrency:\n  group: nightly\n  cancel-in-progress: false\n", ""),
    (runs_what_is_there, "make course", "make lessons"),
    (runs_what_is_there, "tests/test_coreml_runtime.py", "tests/test_runtime.py"),
    (keeps_what_is_made, "exported/routes.csv", "exported/roads.csv"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_a_rule_fails_on_a_spoilt_workflow(tmp_path, rule, old, new):
    text = (GITHUB / "workflows" / "nightly.yml").read_text()
    assert old in text
    (tmp_path / "nightly.yml").write_text(text.replace(old, new))
    assert not rule(tmp_path / "nightly.yml")


def test_dependabot_reads_its_settings(tmp_path):
    settings = (GITHUB / "dependabot.yml").read_text()
    assert fits_the_schema(GITHUB / "dependabot.yml", "vendor.dependabot")
    (tmp_path / "dependabot.yml").write_text(settings.replace("interval: weekly", "interval: sometimes"))
    assert not fits_the_schema(tmp_path / "dependabot.yml", "vendor.dependabot")
