"""Phone photographs, phone videos and Wikimedia Commons into one folder that utils.photos reads.

`python -m utils.capture photos DIR --out OUT` takes photographs, one folder per class; `video FILE --label L --out OUT`
the sharp frames of a video; `commons QUERY --label L --out OUT` freely licensed photographs from Wikimedia Commons. All
write the same form: upright JPEGs without metadata in OUT/<label>/, and OUT/photos.csv. After its file, label, session
and split follow

| column | what it says |
| --- | --- |
| `source` | the original: its path relative to OUT, with `#t=` seconds for a frame of a video; or its Commons page |
| `author`, `licence` | of a picture from Commons |
| `taken` | when, by the phone's clock; empty where the file does not say |
| `id` | SHA-256 of the original's bytes, with `#t=` seconds for a frame: what was imported is not imported again |
| `phash` | two perceptual hashes, each 16 hex digits behind a letter: p of its cosine transform, d of its gradients |

What is not taken is listed with its reason in OUT/set_aside.csv. Originals are only read. An interrupted import goes on
when it is run again, and a later one adds what is new. A session keeps the split that it was once given.

The command ends with 0 when it has imported, with 1 when the photographs, the video or a folder cannot be used, with 2
when the network, a server or the disk failed.
"""
from utils.capture.collection import EXTRAS, ImportStopped, Report
from utils.capture.commons import import_commons
from utils.capture.photographs import import_photos
from utils.capture.video import import_video

__all__ = ["EXTRAS", "ImportStopped", "Report", "import_commons", "import_photos", "import_video"]
