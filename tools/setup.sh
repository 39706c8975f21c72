#!/bin/sh
# `setup.sh VERSION VENV [OPTION ...]` finds a Python that can make virtual environments and hands over to setup.py with
# the options. VERSION is 3.11, or 3.8-x86_64 where the processor matters, too.
# `--left-out WHAT` as the first option: where there is no such Python, that much is missing, and it is no failure.
# Shell builtins only: it has to say what is missing on a machine that has nothing.
CDPATH='' cd -- "${0%/*}/.." || exit 1

wanted=$1 version=${1%%-*} venv=$2 left_out=
shift 2
if [ "$1" = --left-out ]; then
    left_out=$2
    shift 2
fi

probe='import sys, venv, ensurepip, platform
version = "%d.%d" % sys.version_info[:2]
print("", version, version + "-" + platform.machine(), "")'
suits() {
    [ -n "$1" ] || return
    case $("$1" -c "$probe" 2>/dev/null) in *" $wanted "*) ;; *) false ;; esac
}

# The environment's own Python comes first: what is set up stays usable when the PATH changes.
for candidate in "$venv/bin/python" "$PYTHON" .venv/bin/python "python$version" python3 python \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$version"*/bin/python "$(uv python find "$version" 2>/dev/null)" \
        "${CONDA_PREFIX:-/nowhere}/bin/python" "${CONDA_EXE%/*/*}"/envs/*/bin/python \
        "$HOME"/.conda/envs/*/bin/python; do
    if suits "$candidate"; then
        exec "$candidate" tools/setup.py --venv "$venv" "$@"
    fi
done

missing="Python $version with venv was not found (looked for python$version and python3 on the PATH, pyenv, uv, conda)"
help="install it, for example with 'uv python install $version' or 'pyenv install $version', then run this again, or\
 name one: make setup PYTHON=PATH_OF_PYTHON"
if [ -z "$left_out" ]; then
    echo "Set-up failed: $missing; $help" >&2
    exit 1
fi
machine=$(uname -m 2>/dev/null)
case $wanted-$machine in
    *-x86_64-x86_64 | *-x86_64-amd64 | *-x86_64-) echo "Left out: $left_out, because $missing; $help" ;;
    *) echo "Left out: $left_out, because it exists for x86-64 only and this machine is $machine; read its stored" \
        "outputs, or run make course on a machine with an x86-64 processor." ;;
esac
