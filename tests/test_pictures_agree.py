"""One rule for every reader: whatever a picture's mode, the course, the runtime's command, the importer and the web
page see the same pixels."""
import json
import shutil
import struct
import threading
import zlib

import coreml_runtime.__main__ as runtime
import numpy as np
import pytest
from coreml_runtime.model import ImageInput
from PIL import Image

from tools import demo
from utils import photos
from utils.capture import import_photos
from utils.paths import ROOT

WIDTH, HEIGHT = 48, 36
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def smooth(channels, seed=0):
    """Smooth noise: uint8 of shape (HEIGHT, WIDTH, channels)."""
    coarse = np.random.default_rng(seed).integers(0, 255, (3, 4, channels), dtype=np.uint8)
    planes = (Image.fromarray(coarse[..., i]).resize((WIDTH, HEIGHT)) for i in range(channels))
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def save(mode, **options):
    """A function: path -> writes a picture of the mode there."""
    def write(path):
        Image.fromarray(smooth(4)).convert(mode).save(path, **options)
    return write


def save_palette(path):
    palette = Image.fromarray(smooth(3)).quantize(64, dither=Image.Dither.NONE)
    palette.save(path, transparency=bytes(range(0, 256, 4)))


def save_rotated(path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the phone was held upright: turn it right
    Image.fromarray(smooth(3)).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)


def save_16_bits(channels):
    """A function: path -> writes a PNG of 16 bits per channel there, which Pillow does for greyscale only."""
    def write(path):
        levels = smooth(channels) * 257.0 + np.linspace(-128, 128, WIDTH)[:, None]  # all low bytes
        rows = b"".join(b"\0" + row.tobytes() for row in levels.clip(0, 65535).astype(">u2"))
        kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]  # greyscale, with alpha, RGB, RGBA
        header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, kind, 0, 0, 0)
        with open(path, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            for name, data in (b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""):
                file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
    return write


PICTURES = {
    "RGBA": ("a.png", save("RGBA")),
    "LA": ("a.png", save("LA")),
    "palette with transparency": ("a.png", save_palette),
    "16-bit greyscale": ("a.png", save_16_bits(1)),
    "16-bit greyscale with alpha": ("a.png", save_16_bits(2)),
    "16-bit RGB": ("a.png", save_16_bits(3)),
    "16-bit RGBA": ("a.png", save_16_bits(4)),
    "CMYK": ("a.jpg", save("CMYK", quality=95)),
    "EXIF-rotated": ("a.jpg", save_rotated),
}


@pytest.fixture(params=PICTURES)
def picture(request, tmp_path):
    """The path of a picture, alone in the folder of its class."""
    name, write = PICTURES[request.param]
    path = tmp_path / "photographs" / "relay" / name
    path.parent.mkdir(parents=True)
    write(path)
    return path


def pixels(image):
    assert image.mode == "RGB" and image.size == (WIDTH, HEIGHT)
    return np.asarray(image, np.int16)


def test_the_runtimes_command_reads_as_the_course(picture):
    image_input = ImageInput(name="image", width=WIDTH, height=HEIGHT, color_layout="RGB")
    assert (pixels(runtime.read_photo(picture, image_input)) == pixels(photos.read_photo(picture))).all()


def test_the_importer_writes_the_jpeg_of_what_the_course_reads(picture, tmp_path):
    table = import_photos(picture.parent.parent, tmp_path / "out", progress=False).table
    photos.read_photo(picture).save(tmp_path / "expected.jpg", quality=90)
    expected = pixels(Image.open(tmp_path / "expected.jpg"))
    assert (pixels(Image.open(tmp_path / "out" / table["file"][0])) == expected).all()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The web page in Chromium, with a worker that answers anything; `asked` holds the pixels that it was given."""
    if not CHROMIUM:
        pytest.skip("left out: Chromium (the system's package) is not installed")
    from playwright.sync_api import sync_playwright

    site = tmp_path_factory.mktemp("web") / "site"
    shutil.copytree(ROOT / "web" / "src", site)
    about = {"labels": ["relay", "piezo"], "width": WIDTH, "height": HEIGHT, "threshold": 0, "temperature": 1}
    (site / "worker.js").write_text(
        f"postMessage({{about: {json.dumps(about)}}});\n"
        "onmessage = ({data: {id}}) => postMessage({id, probabilities: [1, 0], milliseconds: 1});")
    server = demo.server(site, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_context(service_workers="block").new_page()
        page.add_init_script("""const send = Worker.prototype.postMessage;
            Worker.prototype.postMessage = function (message, ...rest) {
                window.asked = Array.from(message.picture.data);
                send.call(this, message, ...rest);
            };""")
        page.goto(f"http://localhost:{server.server_address[1]}/")
        yield page
        browser.close()
    server.shutdown()
    server.server_close()


def test_the_web_page_reads_as_the_course(picture, page):
    page.wait_for_selector("#photo:enabled")
    page.evaluate("window.asked = null; document.getElementById('answer').hidden = true")
    page.set_input_files("#photo", picture)
    page.wait_for_selector("#answer:visible")
    seen = np.array(page.evaluate("window.asked"), np.int16).reshape(HEIGHT, WIDTH, 4)[..., :3]
    # Of 16-bit greyscale Chromium drops the low byte, where the course rounds; all others are the same to the bit.
    assert abs(seen - pixels(photos.read_photo(picture))).max() <= 1
