"""How the commands of the course, python -m utils.…, end where nobody wants to see a traceback.

The exit code is 0, 1 where a check or the user's data failed, 2 where something could not be read or run, 130 after
Ctrl-C.
"""
import atexit
import functools
import os
import select
import sys


class CourseError(ValueError):
    """The root of the course's errors. The message says in a sentence or two what is wrong, where, and what to do."""

    exit_code = 2


def command(main):
    """Decorates `main(arguments=None)` of a command, which returns an exit code or None for 0: errors of the course, of
    the Core ML runtime and of the file system become one sentence on stderr and an exit code."""
    @functools.wraps(main)
    def shown(arguments=None):
        from coreml_runtime import CoreMLRuntimeError

        try:
            return main(arguments) or 0
        except (CourseError, CoreMLRuntimeError) as error:
            print(error, file=sys.stderr)
            return getattr(error, "exit_code", CourseError.exit_code)
        except BrokenPipeError:
            raise  # end_quietly
        except OSError as error:
            print(f"{error.filename}: {error.strerror}. Check the name and the permissions.", file=sys.stderr)
            return CourseError.exit_code
        except KeyboardInterrupt:
            print("\nInterrupted.", file=sys.stderr)
            return 130

    return shown


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
