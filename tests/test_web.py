"""web/ in real Chromium: the camera and the photo button answer as the Core ML runtime does, and what can go wrong says
so in a sentence. The model is small work: a head on ImageNet's features, converted as the course's own."""
import contextlib
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import av
import coreml_runtime
import numpy as np
import pytest
from PIL import Image

from tools import demo
from utils import calibration, compression, photos
from utils.command_line import CourseError
from utils.paths import ROOT, TABLETOP
from utils.silence import quiet, silent_stderr

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = [name for name, path in {"Chromium (the system's package)": CHROMIUM, "Node.js": shutil.which("node"),
                                   "npm": shutil.which("npm")}.items() if not path]
in_chromium = pytest.mark.skipif(bool(MISSING), reason=f"left out: {', '.join(MISSING)} is not installed")

SIZE = 224
LABELS = ["floppy_drive", "piezo", "relay", "stepper_motor"]
WITHIN = 1e-2  # of the runtime's probabilities, where a video or a large photo comes between
NEVER = 0.0  # a threshold that turns nothing away
PATIENCE = 120_000  # milliseconds to wait for something to appear: the machine may be busy with other work


@pytest.fixture(scope="module")
def pictures():
    """One photograph a class, of the test split, and none of these."""
    table = photos.read_table(TABLETOP)
    table = table[table["split"] == "test"]
    return {label: TABLETOP / group["file"].iloc[3] for label, group in table.groupby("label")}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """An .mlpackage that knows the parts a little: logistic regression on the features of a few photographs."""
    quiet("coremltools")
    import coremltools as ct
    import torch
    from sklearn.linear_model import LogisticRegression

    from utils.backbone import PIXEL_MEAN, PIXEL_STD, scale_pixels, torch_backbone

    table = photos.read_table(TABLETOP)
    table = table[(table["split"] == "train") & (table["label"] != photos.OTHER)]
    table = table.groupby("session").head(1).groupby("label").head(14)
    scaled = scale_pixels(photos.read_photos(TABLETOP, table, (SIZE, SIZE)).astype(np.float32).transpose(0, 3, 1, 2))
    backbone = torch_backbone()
    with torch.inference_mode():
        features = torch.cat([backbone(batch) for batch in torch.from_numpy(scaled).split(16)]).numpy()
    fitted = LogisticRegression(C=0.05, max_iter=1000).fit(features, table["label"])
    assert fitted.classes_.tolist() == LABELS
    head = torch.nn.Linear(features.shape[1], len(LABELS))
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(fitted.coef_))
        head.bias.copy_(torch.from_numpy(fitted.intercept_))
    network = torch.nn.Sequential(backbone, head, torch.nn.Softmax(dim=1)).eval()
    bias = [-PIXEL_MEAN / PIXEL_STD] * 3
    image = ct.ImageType(name="image", shape=(1, 3, SIZE, SIZE), scale=1 / PIXEL_STD, bias=bias)
    with silent_stderr():
        program = torch.export.export(network, (torch.zeros(1, 3, SIZE, SIZE),)).run_decompositions({})
        model = ct.convert(program, inputs=[image],
                           classifier_config=ct.ClassifierConfig(LABELS), convert_to="mlprogram",
                           compute_precision=ct.precision.FLOAT32, minimum_deployment_target=ct.target.iOS15)
    path = tmp_path_factory.mktemp("model") / "Parts.mlpackage"
    model.user_defined_metadata["threshold"] = str(NEVER)
    model.save(str(path))
    return path


@pytest.fixture(scope="module")
def expected(package):
    """A function: photograph -> (label, probabilities in the order of LABELS) of the Core ML runtime."""
    model = coreml_runtime.load(package)

    def answer(path):
        answers = model.predict({"image": photos.read_photo(path, (SIZE, SIZE))})
        return answers["classLabel"], [answers["classLabel_probs"][label] for label in LABELS]

    return answer


@pytest.fixture(scope="module")
def site(package, tmp_path_factory):
    if MISSING:
        pytest.skip(f"left out: {', '.join(MISSING)} is not installed")
    return demo.build(package, tmp_path_factory.mktemp("web") / "dist")


class Served:
    """A folder served as make demo does, until stopped. Attribute: url."""

    def __init__(self, folder):
        self._server = demo.server(folder, 0)
        self.url = f"http://localhost:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def url(site):
    served = Served(site)
    yield served.url
    served.stop()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield functools.partial(playwright.chromium.launch, executable_path=CHROMIUM)


@pytest.fixture(scope="module")
def plain_browser(chromium):
    browser = chromium()
    yield browser
    browser.close()


@pytest.fixture
def launch(chromium):
    """A function: further arguments of Chromium -> a browser, which is closed after the test: a live camera is work."""
    with contextlib.ExitStack() as browsers:
        yield lambda *arguments: browsers.enter_context(contextlib.closing(chromium(args=list(arguments))))


def open_page(browser, **options):
    """A page of a fresh profile: no cache, no service worker, no permissions but those in the options."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE)
    return context.new_page()


@pytest.fixture
def page(plain_browser):
    page = open_page(plain_browser)
    yield page
    page.context.close()


def film(photo, path, frames=10):
    """Writes a photograph as a film (YUV4MPEG), which Chromium's fake camera plays; returns the frame as a file.

    Chromium plays Motion JPEG, too, but stretches its contrast by 255/219, as no camera does.
    """
    frame = path.with_suffix(".png")
    photos.read_photo(photo).resize((640, 480)).save(frame)
    with av.open(path, "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("wrapped_avframe", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuv420p"
        for _ in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_image(Image.open(frame))))
        container.mux(stream.encode())
    return frame


def with_camera(launch, film_path):
    """A page of a browser whose camera plays the film, which the user has allowed."""
    browser = launch("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film_path}")
    return open_page(browser, permissions=["camera"])


def shown(page):
    """What the page shows: label, probabilities in the order of LABELS."""
    bars = page.locator("[role=meter]")
    names = bars.evaluate_all("bars => bars.map(bar => bar.getAttribute('aria-label'))")
    assert names == [label.replace("_", " ") for label in LABELS]
    values = bars.evaluate_all("bars => bars.map(bar => Number(bar.getAttribute('aria-valuenow')))")
    return page.locator("#label").inner_text().replace(" ", "_"), values


def choose(page, path):
    """Chooses a photograph as if it were just taken, and waits for its answer."""
    page.wait_for_selector("#photo:enabled")
    page.evaluate("document.getElementById('answer').hidden = true")
    page.set_input_files("#photo", path)
    page.wait_for_selector("#answer:visible")
    return shown(page)


def sentence(page, contains):
    message = page.locator("#message", has_text=contains)
    message.wait_for()
    text = message.inner_text()
    assert text.endswith(".") and "Error:" not in text
    assert page.locator("#message").get_attribute("role") == "alert"
    return text


@in_chromium
@pytest.mark.parametrize("label", ["relay", "stepper_motor"])
def test_the_live_camera_answers_as_the_runtime(label, launch, url, pictures, expected, tmp_path, capsys):
    frame = film(pictures[label], tmp_path / "film.y4m")
    page = with_camera(launch, tmp_path / "film.y4m")
    started = time.monotonic()
    page.goto(url)
    page.wait_for_selector("#answer:visible")
    seconds = time.monotonic() - started
    page.wait_for_timeout(4000)
    answer, probabilities = shown(page)
    speed = page.locator("#speed").inner_text()
    with capsys.disabled():  # not held to a limit, since this machine may be busy with other work
        print(f"\nfirst answer {seconds:.1f} s after the page was opened, then {speed}")
    assert answer == expected(frame)[0]
    assert probabilities == pytest.approx(expected(frame)[1], abs=WITHIN)
    assert re.fullmatch(r"\d+ ms a frame, \d+ frames a second", speed)


@in_chromium
def test_the_photo_button_answers_as_the_runtime(page, url, pictures, expected):
    page.goto(url)
    for path in pictures.values():
        answer, probabilities = choose(page, path)
        assert answer == expected(path)[0]
        assert probabilities == pytest.approx(expected(path)[1], abs=1e-3)  # the same pixels, to the bit


@in_chromium
def test_large_odd_rotated_and_transparent_photos_answer_as_the_runtime(page, url, pictures, expected, tmp_path):
    picture = photos.read_photo(pictures["relay"])
    wide = picture.resize((1601, 1200), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6  # the phone was held upright
    wide.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "rotated.jpg", exif=exif, quality=95)
    wide.resize((4000, 3000)).save(tmp_path / "large.jpg", quality=95)
    picture.resize((150, 211)).save(tmp_path / "small.png")
    clear = picture.copy()
    clear.putalpha(Image.linear_gradient("L").resize(picture.size))
    clear.save(tmp_path / "transparent.png")
    page.goto(url)
    for name in ("rotated.jpg", "large.jpg", "small.png", "transparent.png"):
        assert choose(page, tmp_path / name)[1] == pytest.approx(expected(tmp_path / name)[1], abs=WITHIN), name


@in_chromium
def test_no_request_leaves_localhost(launch, url, pictures, tmp_path):
    film(pictures["relay"], tmp_path / "film.y4m")
    page = with_camera(launch, tmp_path / "film.y4m")
    hosts = set()
    page.context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.goto(url)
    page.wait_for_selector("#answer:visible")
    choose(page, pictures["piezo"])
    page.locator("#offline", has_text="offline").wait_for()
    assert hosts <= {"localhost", None, ""}, hosts  # blob: addresses have no host
    blocked = page.evaluate("fetch('http://127.0.0.1:9/').then(() => '', error => error.message)")
    assert "Failed to fetch" in blocked or "Content Security Policy" in blocked


@in_chromium
def test_the_page_works_offline_once_loaded(plain_browser, site, pictures, expected):
    served = Served(site)
    page = open_page(plain_browser)
    page.goto(served.url)
    page.locator("#offline", has_text="offline").wait_for()
    served.stop()
    page.reload()
    assert choose(page, pictures["relay"])[0] == expected(pictures["relay"])[0]
    page.context.close()


@in_chromium
def test_a_denied_camera_is_told_in_a_sentence(launch, url, pictures):
    page = open_page(launch("--use-fake-device-for-media-stream"))
    page.context.grant_permissions([])  # the user says no to everything
    page.goto(url)
    page.locator("#camera:enabled").click()
    sentence(page, "may not use the camera")
    assert choose(page, pictures["relay"])  # the photo button still works


@in_chromium
def test_a_missing_camera_is_told_in_a_sentence(plain_browser, url):
    page = open_page(plain_browser, permissions=["camera"])
    page.goto(url)
    sentence(page, "No camera was found")
    page.context.close()


def variant(site, folder, **changes):
    """A copy of the built page with other values in model.json."""
    shutil.copytree(site, folder)
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(about | changes))
    return Served(folder)


@in_chromium
@pytest.mark.parametrize("name, content", [("model.onnx", b"not a model"), ("model.onnx", None), ("model.json", b"{")])
def test_a_broken_model_file_is_told_in_a_sentence(page, site, tmp_path, name, content):
    served = variant(site, tmp_path / "dist")
    (tmp_path / "dist" / name).unlink()
    if content:
        (tmp_path / "dist" / name).write_bytes(content)
    page.goto(served.url)
    assert "make demo" in sentence(page, "The model file cannot be used")
    assert page.locator("#photo").is_disabled() and page.locator("#camera").is_disabled()
    served.stop()


@in_chromium
def test_a_file_that_is_no_picture_is_told_in_a_sentence(page, url, pictures, expected, tmp_path):
    (tmp_path / "note.jpg").write_text("not a picture")
    page.goto(url)
    page.set_input_files("#photo:enabled", tmp_path / "note.jpg")
    assert "note.jpg" in sentence(page, "is no picture")
    assert not page.locator("#answer").is_visible()
    assert choose(page, pictures["piezo"])[0] == expected(pictures["piezo"])[0]


@in_chromium
def test_a_browser_without_simd_is_told_in_a_sentence(page, url):
    page.add_init_script("WebAssembly.validate = () => false")
    page.goto(url)
    sentence(page, "cannot run WebAssembly with SIMD")


@in_chromium
def test_a_small_probability_is_none_of_these(page, site, pictures, tmp_path):
    served = variant(site, tmp_path / "dist", threshold=0.9999)
    page.goto(served.url)
    assert choose(page, pictures["relay"])[0] == "none_of_these"
    assert page.locator("#announcement").inner_text() == "none of these"
    served.stop()


@in_chromium
def test_the_temperature_of_the_metadata_is_applied(page, site, pictures, expected, tmp_path):
    served = variant(site, tmp_path / "dist", temperature=2.5)
    page.goto(served.url)
    probabilities = calibration.with_temperature(np.array([expected(pictures["relay"])[1]]), 2.5)[0]
    assert choose(page, pictures["relay"])[1] == pytest.approx(probabilities, abs=WITHIN)
    served.stop()


@in_chromium
def test_on_plain_http_the_photo_button_is_offered_instead_of_the_camera(launch, site, pictures, expected):
    served = Served(site)
    # To Chromium, tabletop.test is another machine: the page is no secure context there.
    page = open_page(launch("--host-resolver-rules=MAP tabletop.test 127.0.0.1"))
    page.goto(served.url.replace("localhost", "tabletop.test"))
    sentence(page, "needs https or localhost")
    assert not page.locator("#camera").is_visible()
    assert choose(page, pictures["relay"])[0] == expected(pictures["relay"])[0]
    served.stop()


@in_chromium
def test_the_keyboard_reaches_everything_and_a_screen_reader_hears_the_answer(page, url, pictures, expected):
    page.on("filechooser", lambda chooser: chooser.set_files(pictures["relay"]))
    page.goto(url)
    page.wait_for_selector("#photo:enabled")
    reached = []
    for _ in range(2):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert reached == ["camera", "photo"]
    page.keyboard.press("Enter")
    label, probabilities = expected(pictures["relay"])
    heard = f"{label.replace('_', ' ')}, {100 * max(probabilities):.0f} percent"
    page.locator("#announcement", has_text=heard).wait_for()
    assert page.locator("#announcement").get_attribute("aria-live") == "polite"
    unnamed = page.evaluate("""[...document.querySelectorAll('button, input, [role=meter], video, img')]
        .filter(e => !(e.ariaLabel || e.alt || e.textContent.trim() || e.labels?.length)).map(e => e.outerHTML)""")
    assert unnamed == []


@in_chromium
@pytest.mark.parametrize("width, height", [(390, 844), (844, 390), (1280, 800)])
def test_nothing_is_cut_off_sideways(page, url, pictures, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(url)
    choose(page, pictures["stepper_motor"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_exported_network_computes_what_the_runtime_computes(package, pictures, expected, tmp_path):
    import onnxruntime

    demo.export_onnx(demo.load(package), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for path in pictures.values():
        pixels = np.asarray(photos.read_photo(path, (SIZE, SIZE)), np.float32).transpose(2, 0, 1)[None]
        assert session.run(None, {"image": pixels})[0][0] == pytest.approx(expected(path)[1], abs=1e-4)


@pytest.fixture(scope="module")
def compressed(tmp_path_factory):
    """A small .mlpackage compressed as the course's final model: float16, palettes and linearly quantized weights."""
    quiet("coremltools")
    import coremltools as ct
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 256, 3, stride=2), nn.Conv2d(256, 256, 3, groups=256), nn.ReLU6(), nn.Conv2d(256, 64, 1),
        nn.Conv2d(64, 256, 1), nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(256, 3), nn.Softmax(dim=1))
    with torch.no_grad():
        network[-2].weight *= 20  # so that pictures differ in their answers
    with silent_stderr():
        model = ct.convert(torch.jit.trace(network.eval(), torch.zeros(1, 3, 16, 16)), convert_to="mlprogram",
                           inputs=[ct.ImageType(name="image", shape=(1, 3, 16, 16), scale=1 / 64)],
                           classifier_config=ct.ClassifierConfig(["a", "b", "c"]),
                           minimum_deployment_target=ct.target.iOS15)
        model = compression.mixed_precision(model, widening=1)
    main = model.get_spec().mlProgram.functions["main"]
    kinds = {operation.type for block in main.block_specializations.values() for operation in block.operations}
    assert {"constexpr_lut_to_dense", "constexpr_affine_dequantize"} <= kinds
    path = tmp_path_factory.mktemp("compressed") / "Small.mlpackage"
    compression.save(model, path)
    return path


def test_the_network_of_a_compressed_package_computes_what_the_runtime_computes(compressed, tmp_path):
    import onnxruntime

    model = coreml_runtime.load(compressed)
    demo.export_onnx(demo.load(compressed), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    answers = []
    for colour in ("red", "green", "blue", "white"):
        picture = Image.new("RGB", (16, 16), colour)
        expected = list(model.predict({"image": picture})["classLabel_probs"].values())
        pixels = np.asarray(picture, np.float32).transpose(2, 0, 1)[None]
        answers.append(session.run(None, {"image": pixels})[0][0])
        assert answers[-1] == pytest.approx(expected, abs=1e-4), colour
    assert np.ptp(answers, axis=0).max() > 0.2


def test_the_weights_of_a_compressed_package_are_stored_in_float16(compressed, tmp_path):
    import onnx

    demo.export_onnx(demo.load(compressed), tmp_path / "model.onnx")
    stored = onnx.load(tmp_path / "model.onnx").graph.initializer
    large = [tensor.data_type for tensor in stored if np.prod(tensor.dims) >= 1000]
    assert len(large) == 4 and set(large) == {onnx.TensorProto.FLOAT16}


def test_labels_threshold_and_temperature_come_from_the_metadata(package, tmp_path):
    import coremltools as ct

    about = {"labels": LABELS, "width": SIZE, "height": SIZE}
    assert demo.describe(demo.load(package)) == about | {"threshold": NEVER, "temperature": 1}
    model = ct.models.MLModel(str(package), skip_model_load=True)
    model.user_defined_metadata.update(threshold="0.7", temperature="1.6")
    model.save(str(tmp_path / "calibrated.mlpackage"))
    calibrated = demo.load(tmp_path / "calibrated.mlpackage")
    assert demo.describe(calibrated) == about | {"threshold": 0.7, "temperature": 1.6}


def refused(arguments, **environment):
    done = subprocess.run([sys.executable, "-m", "tools.demo", *map(str, arguments)], cwd=ROOT, capture_output=True,
                          text=True, env=os.environ | {"PYTHONPATH": str(ROOT), **environment})
    assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def test_without_a_model_the_demo_says_what_to_run(tmp_path):
    assert "Run make course first" in refused(["--model", tmp_path / "missing.mlpackage"])


def test_without_node_the_demo_says_what_to_install(package, tmp_path, monkeypatch):
    monkeypatch.setattr(demo, "WEB", tmp_path)
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError, match="node is not installed"):
        demo.build(package, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


def test_a_port_in_use_is_told_in_a_sentence():
    with demo.server(ROOT / "web", 0) as running:
        with pytest.raises(CourseError, match="Choose another: make demo PORT="):
            demo.server(ROOT / "web", running.server_address[1])


def test_the_demo_prints_its_address_and_serves_the_page(site, monkeypatch, capsys):
    monkeypatch.setattr(demo, "build", lambda model: site)

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo.Server, "serve_forever", interrupted)
    assert demo.main(["--port", "0"]) == 0
    assert re.search(r"http://localhost:\d+/", capsys.readouterr().out)


def test_the_lock_file_names_no_host_and_pins_what_package_json_asks_for():
    lock = json.loads((ROOT / "web" / "package-lock.json").read_text())
    wanted = json.loads((ROOT / "web" / "package.json").read_text())
    assert not any("resolved" in each for each in lock["packages"].values())
    for name, version in {**wanted["dependencies"], **wanted["devDependencies"]}.items():
        assert lock["packages"][f"node_modules/{name}"]["version"] == version
