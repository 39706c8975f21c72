"""How the commands of the course, python -m utils.…, end where nobody wants to see a traceback."""
import atexit
import os
import select
import sys


def end_quietly_as_a_command():
    """For the packages' __init__: `end_quietly` under python -m, where Python has found the package and not yet the
    module; nothing in a program that imports them."""
    if sys.argv[:1] == ["-m"]:
        end_quietly()


def end_quietly():
    """Ends the process without a traceback on Ctrl-C while libraries are loaded, before a command has its own answer to
    it, and when what reads its output has left (`… | head -1`). Other exceptions are shown as ever."""
    show = sys.excepthook

    def excepthook(kind, error, traceback):
        if issubclass(kind, KeyboardInterrupt):
            print("\nInterrupted.", file=sys.stderr)
        elif not (issubclass(kind, BrokenPipeError) and _reader_left()):
            show(kind, error, traceback)

    sys.excepthook = excepthook
    atexit.register(_flush)


def _reader_left():
    poll = select.poll()
    poll.register(sys.stdout, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


def _flush():
    """Python's own last flush would complain."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
