"""The pins: one list for pip and conda, each explained, the ones that are installed; and no registry named anywhere."""
import json
import re
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

import pytest
import yaml
from jupyter_client.kernelspec import KernelSpecManager
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import course
from utils.paths import ROOT

FILES = ["requirements.txt", "studio/requirements.txt", "environments/tf-coreml.txt", "environments/turi-create.txt"]


def pins(name):
    """[(requirement, comment)] of a requirements file, without the course's own runtime."""
    lines = (ROOT / name).read_text().splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith(("#", "-"))]
    return [(Requirement(line.split(" #")[0].strip()), line.partition(" #")[2].strip()) for line in lines]


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_exactly_and_says_which_notebook_needs_it(name):
    for requirement, comment in pins(name):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert re.match(r"every notebook\b|0[1-6](, 0[1-6])*\b", comment), f"{requirement} names no notebook"


def test_conda_installs_the_same_pins_on_the_same_python():
    assert yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"] == [
        "python=3.11", "pip", {"pip": ["-r requirements.txt"]}]
    assert yaml.safe_load((ROOT / "environments" / "turi-create.yml").read_text())["dependencies"] == [
        "python=3.8", "pip", {"pip": ["-r turi-create.txt"]}]


def test_a_mac_gets_tensorflow_and_other_systems_the_cpu_package():
    markers = {r.name: r.marker for r, _ in pins("requirements.txt") if r.name.startswith("tensorflow")}
    for system, name in ("darwin", "tensorflow"), ("linux", "tensorflow-cpu"):
        assert [n for n, marker in markers.items() if marker.evaluate({"sys_platform": system})] == [name]


def test_the_tests_run_in_the_pinned_environment():
    for requirement, _ in pins("requirements.txt") + pins("environments/tf-coreml.txt"):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(requirement.name)), requirement


def test_what_the_pins_bring_along_is_pinned_too():
    listed = ("requirements.txt", "environments/tf-coreml.txt", "constraints.txt")
    pinned = {canonicalize_name(requirement.name): requirement for name in listed for requirement, _ in pins(name)}
    ours = {"coreml-runtime", "pip", "setuptools", "wheel"}
    for each in distributions():
        name = canonicalize_name(each.metadata["Name"])
        assert name in ours or pinned[name].specifier.contains(each.version), f"{name} {each.version}"


def test_the_kernel_turi_create_holds_what_is_pinned_for_it_and_runs_what_the_notebook_imports():
    if course.why_left_out(ROOT / "notebooks" / "04_turi_create.ipynb"):
        pytest.skip("there is no kernel turi-create on this computer")
    spec = KernelSpecManager().get_kernel_spec("turi-create")
    assert Path(spec.env["COURSE_PYTHON"]).exists() and Path(spec.argv[0]).parent.parent == ROOT / ".venv-turi"
    code = ("import sys, json, importlib.metadata as m\n"
            "from utils import backbone, intervals, lesson, paths, photos, plots\n"
            "versions = {d.metadata['Name'].lower(): d.version for d in m.distributions()}\n"
            "print(json.dumps([sys.version_info[:2], versions]))")
    answer = subprocess.run([spec.argv[0], "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    python, installed = json.loads(answer.stdout)
    assert python == [3, 8]
    for requirement, _ in pins("environments/turi-create.txt"):
        assert requirement.specifier.contains(installed[requirement.name]), requirement


def test_no_file_names_a_package_registry():
    # A class room may use a mirror; which one is for pip's own settings to say. Split, so that this file passes.
    hosts = ("py" r"pi\.org|python" r"hosted\.org|npm" r"js\.org|ana" r"conda\.org|deb" r"ian\.org"
             "|--(extra-)?ind" "ex-url")
    named = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                           capture_output=True, text=True)
    if named.returncode:
        pytest.skip("not a git checkout: the list of files is not known")
    for name in filter(None, named.stdout.split("\0")):
        text = (ROOT / name).read_bytes().decode("utf-8", "ignore") if (ROOT / name).is_file() else ""
        assert not re.search(hosts, text), f"{name} names a registry"
