#!/bin/sh
# Installs an official library into a folder of the target directory, in the pinned version, once.
#
#   install.sh node|python TARGET_FOLDER
#
# Exit status: 0 it is there; 3 the language or its registry is not; anything else is an error of ours.
set -eu

language=$1
target=$2
here=$(cd "$(dirname "$0")" && pwd)

# One installation is done by one process at a time, and counts only once it is whole.
mkdir -p "$target"
if command -v flock >/dev/null; then
    exec 9>"$target/.lock"
    flock 9
fi

case $language in
node)
    command -v node >/dev/null && command -v npm >/dev/null || exit 3
    cmp -s "$here/package-lock.json" "$target/.installed" && exit 0
    cp "$here/package.json" "$here/package-lock.json" "$target/"
    (cd "$target" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) >&2 || exit 3
    cp "$here/package-lock.json" "$target/.installed"
    ;;
python)
    command -v python3 >/dev/null && python3 -m venv --help >/dev/null 2>&1 || exit 3
    cmp -s "$here/requirements.txt" "$target/.installed" && exit 0
    python3 -m venv "$target/venv" >&2 || exit 3
    "$target/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        -r "$here/requirements.txt" >&2 || exit 3
    cp "$here/requirements.txt" "$target/.installed"
    ;;
*)
    echo "unknown language: $language" >&2
    exit 2
    ;;
esac
