"""The command: python -m utils.capture photos|video|commons … --out OUT."""
import argparse
import sys
from pathlib import Path

from utils.capture import import_commons, import_photos, import_video
from utils.capture.collection import SESSION_GAP
from utils.capture.commons import COMMONS_API
from utils.command_line import command


def parse(arguments):
    """(an importer, its keyword arguments), of the command line."""
    parser = argparse.ArgumentParser(prog="python -m utils.capture", description="Import photographs for the course.")
    sources = parser.add_subparsers(dest="importer", required=True)
    source = sources.add_parser("photos", help="a folder that holds one folder of photographs per class")
    source.set_defaults(importer=import_photos)
    source.add_argument("folder", metavar="DIR", type=Path)
    source.add_argument("--gap", type=float, default=SESSION_GAP, metavar="SECONDS",
                        help="a longer pause begins a new capture session (default: %(default)s)")
    source = sources.add_parser("video", help="a video that shows one class in one place")
    source.set_defaults(importer=import_video)
    source.add_argument("file", metavar="FILE", type=Path)
    source.add_argument("--every", type=float, default=1.0, metavar="SECONDS",
                        help="one frame for so many seconds (default: %(default)s)")
    source = sources.add_parser("commons", help="freely licensed photographs from Wikimedia Commons")
    source.set_defaults(importer=import_commons)
    source.add_argument("query", metavar="QUERY", help="words to search for, best in English")
    source.add_argument("--count", type=int, default=50, help="at most so many (default: %(default)s)")
    source.add_argument("--contact", help="an e-mail address or a page, sent along, where Wikimedia may complain")
    source.add_argument("--api", default=COMMONS_API, metavar="ADDRESS", help="of a MediaWiki (default: %(default)s)")
    for name, source in sources.choices.items():
        source.add_argument("--out", type=Path, required=True, help="the folder to fill; a later import adds to it")
        if name != "photos":
            source.add_argument("--label", required=True, help="the class that the pictures show")
    options = vars(parser.parse_args(arguments))
    return options.pop("importer"), options


@command
def main(arguments=None):
    importer, options = parse(arguments)
    try:
        print(importer(**options))
    except KeyboardInterrupt:
        print(f"\nInterrupted. What was taken is in {options['out']}; run the same command again to go on.",
              file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
