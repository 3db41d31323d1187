#!/bin/sh
# Unpack another Debian release's Valgrind beside the installed one, to try llcsim against it.
#
# Usage: tools/newer_valgrind.sh [SUITE [FOLDER]], by default trixie and ./newer_valgrind
# Then:  PATH=FOLDER/usr/bin:$PATH python -m pytest tests/llcsim
set -eu
suite=${1:-trixie}
mkdir -p "${2:-newer_valgrind}/apt/lists/partial" "${2:-newer_valgrind}/apt/cache/archives/partial"
folder=$(cd "${2:-newer_valgrind}" && pwd)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" \
    > "$folder/apt/sources.list"
apt() {
    apt-get -q -o Dir::Etc::sourcelist="$folder/apt/sources.list" -o Dir::Etc::sourceparts=- \
        -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" "$@"
}
apt update
cd "$folder"
rm -f valgrind_*.deb
apt download valgrind
dpkg -x valgrind_*.deb .
# Debian's wrapper script names no folder; the launcher itself takes VALGRIND_LIB.
mv usr/bin/valgrind.bin usr/bin/valgrind
VALGRIND_LIB="$folder/usr/libexec/valgrind" usr/bin/valgrind --version
