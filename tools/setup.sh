#!/bin/sh
# Finds a Python 3.11 that can make virtual environments and hands over to setup.py.
# Shell builtins only: it has to say what is missing on a machine that has nothing.
CDPATH='' cd -- "${0%/*}/.." || exit 1

version='import sys, venv, ensurepip; print("%d.%d" % sys.version_info[:2])'
suits() {
    [ -n "$1" ] && [ "$("$1" -c "$version" 2>/dev/null)" = 3.11 ]
}

# The environment's own Python comes first: what is set up stays usable when the PATH changes.
for candidate in .venv/bin/python "$PYTHON" python3.11 python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11*/bin/python "$(uv python find 3.11 2>/dev/null)"; do
    if suits "$candidate"; then
        exec "$candidate" tools/setup.py "$@"
    fi
done
echo "Set-up failed: Python 3.11 with venv was not found (looked for python3.11 and python3 on the PATH, pyenv, uv);" \
    "install it, for example with 'uv python install 3.11', 'pyenv install 3.11' or, on Debian and Ubuntu," \
    "'apt install python3.11 python3.11-venv', then run this again, or name one: make setup PYTHON=PATH_OF_PYTHON" >&2
exit 1
