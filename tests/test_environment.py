"""The pins: one list for pip and conda, each explained, the ones that are installed; and no registry named anywhere."""
import re
import subprocess
from importlib.metadata import version

import pytest
import yaml
from packaging.requirements import Requirement

from utils.paths import ROOT

FILES = ["requirements.txt", "requirements-studio.txt"]


def pins(name):
    """[(requirement, comment)] of a requirements file."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(Requirement(line.split(" #")[0].strip()), line.partition(" #")[2].strip()) for line in lines]


@pytest.mark.parametrize("name", FILES)
def test_every_requirement_is_pinned_exactly_and_says_which_notebook_needs_it(name):
    for requirement, comment in pins(name):
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement
        assert re.match(r"every notebook\b|0[1-6](, 0[1-6])*\b", comment), f"{requirement} names no notebook"


def test_conda_installs_the_same_pins_on_the_same_python():
    assert yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"] == [
        "python=3.11", "pip", {"pip": ["-r requirements.txt"]}]


def test_a_mac_gets_tensorflow_and_other_systems_the_cpu_package():
    markers = {r.name: r.marker for r, _ in pins("requirements.txt") if r.name.startswith("tensorflow")}
    for system, name in ("darwin", "tensorflow"), ("linux", "tensorflow-cpu"):
        assert [n for n, marker in markers.items() if marker.evaluate({"sys_platform": system})] == [name]


def test_the_tests_run_in_the_pinned_environment():
    for requirement, _ in pins("requirements.txt"):
        if requirement.marker is None or requirement.marker.evaluate():
            assert requirement.specifier.contains(version(requirement.name)), requirement


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
