"""Wikimedia Commons: freely licensed photographs that a search finds."""
import hashlib
import html
import io
import json
import re
import time
from pathlib import Path

import requests
from requests.exceptions import InvalidHeader, TooManyRedirects
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from utils import photos
from utils.capture.collection import ImportStopped, as_label, collecting, printable, progress_bar
from utils.capture.picture import Picture, shrink
from utils.lesson import one_line
from utils.photos import PhotoError

COMMONS_API = "https://commons.wikimedia.org/w/api.php"
FREE_LICENCE = re.compile(r"CC0\b.*|Public domain|PD\b.*|CC[ -]BY([ -]SA)?[ -]\d(?!.*\bN[CD]\b).*", re.IGNORECASE)
THUMB_WIDTH = 1280  # pixels; a width that Wikimedia keeps ready
MAX_DOWNLOAD = 25_000_000  # bytes
MAX_SECONDS = 120  # for one download, and the longest wait that a server may ask for
TRIES = 5


def import_commons(query, label, out, count=50, api=COMMONS_API, pause=1.0, contact=None, progress=True):
    """Takes up to `count` freely licensed photographs (CC0, public domain, CC BY, CC BY-SA) that a search of Wikimedia
    Commons finds. Returns a Report.

    Author, licence and page are in the table. Photographs of one author are one capture session. What is in the table
    already counts: the same search again takes nothing new.
    api: address of a MediaWiki API. pause: seconds between two requests, doubled with each failure.
    contact: an e-mail address or a page, sent along, where Wikimedia may complain.
    progress: whether to show a bar on stderr.
    Raises PhotoError when nothing is found or `label` or `out` cannot be used, and ImportStopped when the network, the
    server or the disk fails.
    """
    out, label = Path(out), as_label(label)
    if count < 1 or not query.strip():
        raise PhotoError("Name words to search for, and a count of 1 or more.")
    network, found, taken = _Network(pause, contact), 0, 0
    with collecting(out) as collection, \
            progress_bar(progress, total=count, desc=printable(query), unit="photo") as bar:
        for info in _search(network, api, query):
            taken += collection.receive(info["descriptionurl"], _download(network, info, label, collection))
            bar.update(taken - bar.n)
            found += 1
            if taken == count:
                break
    if not found:
        raise PhotoError(f"Wikimedia Commons has no pictures for {query!r}. Search for other words, best in English.")
    if taken < count:
        collection.report.notes.append(f"Of {count} photographs asked for there are {taken}. Try other words, too.")
    return collection.report


def _search(network, api, query):
    """Yields the image info of what a search finds, best first: a dict with descriptionurl, thumburl, mime and
    extmetadata."""
    asked = {"action": "query", "format": "json", "formatversion": 2, "maxlag": 5,
             "generator": "search", "gsrsearch": f"{query} filetype:bitmap", "gsrnamespace": 6, "gsrlimit": 50,
             "prop": "imageinfo", "iiprop": "url|extmetadata|size|mime", "iiurlwidth": THUMB_WIDTH,
             "iiextmetadatafilter": "Artist|LicenseShortName"}
    more, seen = {}, set()
    while more is not None:
        answer = network.ask(api, {**asked, **more})
        for page in sorted(answer.get("query", {}).get("pages", []), key=lambda page: page.get("index", 0)):
            for info in page.get("imageinfo", []):  # a long answer comes in parts, and a part may leave it out
                if info.get("descriptionurl"):
                    yield info
        more = answer.get("continue")
        if str(more) in seen:
            raise ImportStopped(f"{api}: goes round in circles. Try again later.")
        seen.add(str(more))


def _download(network, info, label, collection):
    """A Picture; None when it is in the collection already; a PhotoError when it cannot be used.

    Raises ImportStopped.
    """
    page, about = info["descriptionurl"], info.get("extmetadata", {})
    author, licence = (_plain(about.get(key, {}).get("value", "")) for key in ("Artist", "LicenseShortName"))
    before = next((row for row in collection.rows.values() if row["source"] == page), None)
    if before is not None:
        return None if before["label"] == label else PhotoError(
            f"same photo in two classes: It is also in class {before['label']}. Search for narrower words.")
    if not FREE_LICENCE.fullmatch(licence):
        return PhotoError(f"not freely licensed: Its licence is {licence or 'not stated'}.")
    if info.get("mime") not in ("image/jpeg", "image/png", "image/webp", "image/tiff"):
        return PhotoError(f"not a photograph: It is {info.get('mime')}.")
    try:
        content = network.get(info.get("thumburl") or info["url"])
        picture = photos.decode(io.BytesIO(content), prepare=shrink)
    except PhotoError as error:
        return PhotoError(f"unreadable picture: It {error}")
    title = requests.utils.unquote(page.rpartition("/")[2]).partition(":")[2]
    return Picture(picture, Path(title).stem, label=label, source=page, id=hashlib.sha256(content).hexdigest(),
                   session=f"{label}/Commons/{author or title}", author=author, licence=licence)


def _plain(text):
    """HTML as one line of plain text, of 200 characters at most."""
    return printable(one_line(html.unescape(re.sub(r"<[^>]*>", " ", str(text))), 200))


class _Retry(Retry):
    """Waits already before the second try, and does not wait longer than MAX_SECONDS for a server."""

    def get_backoff_time(self):
        return self.backoff_factor * 2 ** len(self.history)

    def parse_retry_after(self, retry_after):
        self.retry_after_max = float("inf")  # urllib3's limit would shorten the pause
        seconds = super().parse_retry_after(retry_after)
        if seconds > MAX_SECONDS:
            raise _pause_wanted(f"The server asks for a pause of {seconds:.0f} seconds.")
        return seconds


def _pause_wanted(what):
    return ImportStopped(f"{what} Run the import again after it: it goes on where it stopped.")


class _Network:
    """Asks one thing at a time, says who is asking, waits when told to, and tries again when it fails."""

    def __init__(self, pause, contact):
        """pause: seconds before each request, doubled with each failure."""
        self.pause, self.session = pause, requests.Session()
        self.session.headers["User-Agent"] = (f"mobile-deployment-course/1.0 (utils.capture, teaching"
                                              f"{f'; {contact}' if contact else ''}) requests/{requests.__version__}")
        retry = _Retry(TRIES - 1, connect=0, other=0, status_forcelist={429, *range(500, 600)}, backoff_factor=pause,
                       raise_on_status=False)
        for scheme in "https://", "http://":
            self.session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))

    def ask(self, api, asked):
        """The answer of a MediaWiki API, a dict. Raises ImportStopped."""
        for wait in self._waits():
            try:
                answer, error = _parsed(self.get(api, asked))
            except PhotoError as problem:
                raise ImportStopped(f"{api}: {problem}") from None
            if not error:
                return answer
            if error.get("code") not in ("maxlag", "ratelimited"):  # these come with status 200, which _Retry passes
                break
            time.sleep(wait)
        raise ImportStopped(f"{api}: answers {_plain(error.get('info', error))!r}. Try again later.")

    def get(self, url, asked=None):
        """The bytes at an address. Raises PhotoError when this one cannot be had, ImportStopped when none can."""
        host = url.partition("://")[2].partition("/")[0] or url
        for wait in self._waits():  # _Retry sees no further than the headers; a body may be cut, too
            time.sleep(wait)
            try:
                with self.session.get(url, params=asked, stream=True, timeout=(10, 30)) as answer:
                    if answer.ok:
                        return _body(answer)
                raise _refusal(host, answer)
            except HTTPError as error:
                problem = f"interrupted transfer, {type(error).__name__}"
            except requests.RequestException as error:
                raise _failure(host, error) from None
        raise PhotoError(f"cannot be had ({host}: {problem}, each time). Run the import again later.")

    def _waits(self):
        return [self.pause * 2 ** attempt for attempt in range(TRIES)]


def _parsed(text):
    """(answer, error) of a MediaWiki API, both dicts; the error is empty where there is none. Raises PhotoError."""
    try:
        answer = json.loads(text)
        error, pages = answer.get("error", {}), answer.get("query", {}).get("pages", [])
        if all(isinstance(each, dict) for each in [error, *pages]):
            return answer, error
    except (ValueError, AttributeError, TypeError):
        pass
    raise PhotoError("what answers is not a MediaWiki API; perhaps the network wants a log-in first. Open a web page "
                     "in the browser and try again.")


def _refusal(host, answer):
    """The error to raise for an answer whose status is an error's, after all tries."""
    problem = f"{answer.status_code} {answer.reason}".strip()
    if answer.status_code == 429 or (answer.status_code >= 500 and "Retry-After" in answer.headers):
        return _pause_wanted(f"{host} asks for a pause ({problem}).")
    if answer.status_code >= 500:
        return PhotoError(f"cannot be had ({host}: {problem}, each time). Run the import again later.")
    return PhotoError(f"cannot be had ({host} answers {problem}).")


def _failure(host, error):
    """The error to raise for a request without an answer, after all tries."""
    reason = error.args[0] if error.args else None
    reason = getattr(reason, "reason", reason)  # of urllib3's MaxRetryError
    if isinstance(reason, (ProtocolError, ReadTimeoutError)) or isinstance(error, (TooManyRedirects, InvalidHeader)):
        return PhotoError(f"cannot be had ({host}: no complete answer, each time). Run the import again later.")
    return ImportStopped(f"{host} cannot be reached, and this import needs the network. Check the connection and run "
                         "it again: it goes on where it stopped.")


def _body(answer):
    """The body of an answer. Raises PhotoError when it is too large or too slow, urllib3's errors when it is cut."""
    too_large = f"is larger than {MAX_DOWNLOAD / 1e6:.0f} MB. Nothing is to be done: it is left out."
    length = answer.headers.get("Content-Length", "")
    if length.isdigit() and int(length) > MAX_DOWNLOAD:
        raise PhotoError(too_large)
    body, started = bytearray(), time.monotonic()
    while chunk := answer.raw.read1(65536, decode_content=True):
        body += chunk
        if len(body) > MAX_DOWNLOAD:  # whatever Content-Length says
            raise PhotoError(too_large)
        if time.monotonic() - started > MAX_SECONDS:
            raise PhotoError(f"takes longer than {MAX_SECONDS} seconds. Run the import again on a faster network.")
    return bytes(body)
