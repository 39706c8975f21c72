"""What maintainers use: the commands behind `make`. A notebook imports nothing from here."""
from utils import command_line

command_line.end_quietly_as_a_command()
