#!/bin/sh
# Installs what Payfleet needs on this machine and does not find: redis-server, PostgreSQL with its
# pgbench (for make bench-money), and a C compiler for the build. On Debian and Ubuntu, as root or
# through sudo; anywhere else it says what to type. Running it again costs nothing.
set -eu

say() { printf '%s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
have_postgres() { have postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }
# Debian's pgbench on PATH is a wrapper that may have nothing to wrap.
have_pgbench() { pgbench --version >/dev/null 2>&1 || ls /usr/lib/postgresql/*/bin/pgbench >/dev/null 2>&1; }

if ! have cargo; then
    say "cargo was not found. Install Rust 1.94 or newer: https://rustup.rs"
    exit 1
fi

missing=""
have redis-server || missing="$missing redis-server"
have_postgres || missing="$missing postgresql"
# Debian's server package brings it; elsewhere it is packaged apart.
have_pgbench || missing="$missing postgresql-contrib"
have cc || missing="$missing gcc libc6-dev"
[ -n "$missing" ] || exit 0

if ! have apt-get; then
    say "Missing:$missing. Install them with your package manager, for example:"
    say "  dnf install redis postgresql-server postgresql-contrib gcc     or     brew install redis postgresql"
    exit 1
fi

if [ "$(id -u)" = 0 ]; then
    as_root="env"
elif have sudo && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root="sudo env"
else
    say "Missing:$missing. Type:"
    say "  sudo apt-get update && sudo apt-get install -y$missing"
    exit 1
fi

# RUNLEVEL=1 keeps the packages from starting their services where init honours it. Under systemd
# they start all the same.
say "Installing$missing ..."
apt="$as_root DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get -y -q -o DPkg::Lock::Timeout=120"
# shellcheck disable=SC2086
if ! $apt install --no-install-recommends $missing </dev/null; then
    say "Updating the package lists first ..."
    $apt update </dev/null
    $apt install --no-install-recommends $missing </dev/null
fi
if [ -d /run/systemd/system ]; then
    say "Payfleet starts servers of its own. If you do not want the ones the packages came with:"
    say "  sudo systemctl disable --now redis-server postgresql"
fi
