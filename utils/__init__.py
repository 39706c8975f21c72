"""The small package behind the notebooks of "Mobile deployment of deep learning models"."""
import sys

if sys.argv[:1] == ["-m"]:  # python -m utils.something: Python has found the package and not yet the module
    from utils import command_line

    command_line.end_quietly()
