"""ios/TabletopAR as far as it can be checked without Xcode: the Swift code parses, the property lists are whole, and
the project names the files that are there. Nothing is compiled here. And whoever takes the final model, the app or
another, takes the file that notebook 06 writes."""
import json
import plistlib
import re

import pytest
import tree_sitter
import tree_sitter_swift
from openstep_parser import OpenStepDecoder

from tools import demo
from utils.paths import EXPORTED, ROOT

APP = ROOT / "ios" / "TabletopAR"
SWIFT = sorted(APP.rglob("*.swift"))
PROJECT = (APP / "TabletopAR.xcodeproj" / "project.pbxproj").read_text()
IDENTIFIER = re.compile(r"[0-9A-F]{24}")


def syntax_errors(source):
    """[(line, what the parser could not read)] of Swift code; empty when it parses."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_swift.language()))
    nodes, errors = [parser.parse(source.encode()).root_node], []
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            errors.append((node.start_point[0] + 1, node.text.decode()[:60] or f"missing {node.type}"))
        nodes += node.children
    return sorted(errors)


@pytest.mark.parametrize("path", SWIFT, ids=lambda path: path.name)
def test_swift_code_parses(path):
    assert syntax_errors(path.read_text()) == []


@pytest.mark.parametrize("path", SWIFT, ids=lambda path: path.name)
@pytest.mark.parametrize("spoil", [
    lambda code: code[:code.rindex("}")],
    lambda code: code.replace("{", "(", 1),
    lambda code: code + "\nfunc f( {}\n",
], ids=["brace lost", "wrong bracket", "parameters cut off"])
def test_spoilt_swift_code_does_not_parse(path, spoil):
    assert syntax_errors(spoil(path.read_text()))


def project():
    """(objects, identifier of the root) of the Xcode project."""
    parsed = OpenStepDecoder.ParseFromString(PROJECT)
    return parsed["objects"], parsed["rootObject"]


def referenced(value):
    """Every identifier in a value of the project."""
    if isinstance(value, dict):
        return {found for each in value.values() for found in referenced(each)}
    if isinstance(value, list):
        return {found for each in value for found in referenced(each)}
    return {value} if IDENTIFIER.fullmatch(value) else set()


def test_every_object_of_the_project_is_defined_and_used():
    objects, root = project()
    used = {root} | {found for each in objects.values() for found in referenced(each)}
    assert used == set(objects)
    defined = re.findall(r"^\t\t([0-9A-F]{24}) .*= \{", PROJECT, re.MULTILINE)
    assert len(defined) == len(objects), "an identifier is taken twice"


def source_files(objects):
    """{path of a file of the app, relative to its folder: the identifier of its reference}, following the groups."""
    found = {}

    def walk(identifier, folder):
        each = objects[identifier]
        if each["isa"] == "PBXGroup":
            for child in each["children"]:
                walk(child, folder / each["path"] if "path" in each else folder)
        elif each["sourceTree"] == "<group>":
            found[str((folder / each["path"]).relative_to(APP))] = identifier

    walk(next(each for each in objects.values() if each["isa"] == "PBXProject")["mainGroup"], APP)
    return found


def test_the_project_names_exactly_the_files_that_are_there():
    on_disk = {str(path.relative_to(APP)) for path in (APP / "TabletopAR").rglob("*") if path.name != ".DS_Store"}
    assert set(source_files(project()[0])) == on_disk


def test_every_swift_file_is_compiled():
    objects, _ = project()
    phase = next(each for each in objects.values() if each["isa"] == "PBXSourcesBuildPhase")
    compiled = {objects[file]["fileRef"] for file in phase["files"]}
    swift = {reference for name, reference in source_files(objects).items() if name.endswith(".swift")}
    model = {i for i, each in objects.items() if each.get("lastKnownFileType") == "folder.mlpackage"}
    assert len(model) == 1 and compiled == swift | model


def test_the_information_property_list_asks_for_the_camera():
    with open(APP / "TabletopAR" / "Info.plist", "rb") as file:
        info = plistlib.load(file)
    assert len(info["NSCameraUsageDescription"].split()) >= 5
    assert info["UIRequiredDeviceCapabilities"] == ["arkit"]
    settings = [each["buildSettings"] for each in project()[0].values() if each["isa"] == "XCBuildConfiguration"]
    named = {each["INFOPLIST_FILE"] for each in settings if "INFOPLIST_FILE" in each}
    assert named == {"TabletopAR/Info.plist"} and (APP / "TabletopAR/Info.plist").is_file()


def test_the_same_files_and_versions_as_the_readme_says():
    readme = (ROOT / "ios" / "README.md").read_text()
    targets = set(re.findall(r"IPHONEOS_DEPLOYMENT_TARGET = ([\d.]+);", PROJECT))
    assert len(targets) == 1 and f"iOS {targets.pop().removesuffix('.0')}" in readme
    for path in SWIFT:
        assert path.name in readme


# ---- the final model -------------------------------------------------------------------------------------------------

PACKAGE = re.compile(r"TabletopClassifier\w*\.mlpackage")


def code(notebook):
    cells = json.loads((ROOT / "notebooks" / notebook).read_text(encoding="utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


def final_model():
    """The name under which notebook 06 saves the final model in exported/."""
    name, = re.findall(r'^FINAL = exported\("([^"]+)"\)', code("06_on_the_phone.ipynb"), re.MULTILINE)
    return name


def test_only_notebook_06_writes_the_final_model():
    assert f'exported("{final_model()}")' not in code("05_tensorflow_to_coreml.ipynb")


def test_the_app_takes_the_final_model():
    reference = next(each for each in project()[0].values() if each.get("lastKnownFileType") == "folder.mlpackage")
    assert reference["sourceTree"] == "SOURCE_ROOT"
    assert (APP / reference["path"]).resolve() == ROOT / "exported" / final_model()
    swift = (APP / "TabletopAR" / "PartClassifier.swift").read_text()
    assert re.findall(r'forResource: "(\w+)"', swift) == [final_model().removesuffix(".mlpackage")]
    assert set(PACKAGE.findall(PROJECT + swift)) == {final_model()}


def test_the_page_takes_the_final_model():
    assert demo.PACKAGE == EXPORTED / final_model()


@pytest.mark.parametrize("page", ["ios/README.md", "web/README.md"])
def test_the_readmes_of_app_and_page_name_the_final_model(page):
    assert set(PACKAGE.findall((ROOT / page).read_text())) == {final_model()}


def listed():
    """{file in exported/: the notebook that writes it}, as exported/README.md has it."""
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|", (ROOT / "exported" / "README.md").read_text(), re.MULTILINE)
    return {file: notebook for files, notebook in rows for file in re.findall(r"`([^`]+)`", files)}


def test_the_list_of_what_is_exported_says_that_06_writes_the_final_model():
    assert listed()[final_model()] == "06"


@pytest.mark.parametrize("page", ["README.md", "notebooks/TEACHING.md", "coreml-runtime/README.md"])
def test_every_package_that_a_document_names_is_in_the_list_of_what_is_exported(page):
    assert set(PACKAGE.findall((ROOT / page).read_text())) <= set(listed())
