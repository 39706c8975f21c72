"""The small package behind the notebooks of "Mobile deployment of deep learning models"."""
import sys
from pathlib import Path

from utils import command_line

if sys.version_info < (3, 9):  # notebook 04's Python, into which the runtime is not installed: only its pictures.py
    sys.path.append(str(Path(__file__).resolve().parent.parent / "coreml-runtime" / "src"))

command_line.end_quietly_as_a_command()
