"""The small package behind the notebooks of "Mobile deployment of deep learning models"."""
from utils import command_line

command_line.end_quietly_as_a_command()
