# Shared by serve and test: a virtual environment from a hashed lock file, made only when needed.
# shellcheck shell=bash

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$top/.venv"

say() { printf '%s\n' "$*" >&2; }

find_python() {
  local candidate
  for candidate in "${PNC_PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
    [ -n "$candidate" ] || continue
    if command -v "$candidate" >/dev/null 2>&1 &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return 0
    fi
  done
  say "Python 3.11 or newer is needed. On Debian or Ubuntu: apt-get install python3 python3-venv"
  return 1
}

# install_locked VENV LOCKFILE: a registry that fails for a moment is asked again.
install_locked() {
  local pause
  for pause in 3 15 45 0; do
    if "$1/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes \
      --requirement "$2" >&2; then return 0; fi
    [ "$pause" -gt 0 ] || break
    say "Installing from ${2##*/} failed; once more in $pause s …"
    sleep "$pause"
  done
  return 1
}

# peer NAME: the environment .venv-NAME of requirements-NAME.lock, made once; prints its Python.
peer() {
  local lock="$top/requirements-$1.lock" home="$top/.venv-$1" python sum
  mkdir -p "$top/var"
  exec 9>"$top/var/.peer-$1"
  flock 9
  sum=$(sha256sum <"$lock")
  if [ "$(cat "$home/.pnc-lock" 2>/dev/null)" != "$sum" ]; then
    python=$(find_python) || return 1
    rm -rf "$home"
    "$python" -m venv "$home" >&2 || return 1
    install_locked "$home" "$lock" || return 1
    printf '%s\n' "$sum" >"$home/.pnc-lock"
  fi
  printf '%s\n' "$home/bin/python"
}

# prepare LOCKFILE: install exactly what the lock file names, and this project in place.
prepare() {
  local lock="$top/$1" stamp="$venv/.pnc-$1" python sum
  sum=$(cat "$lock" "$top/pyproject.toml" | sha256sum)
  if [ -x "$venv/bin/pnc" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then return 0; fi
  if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c '' 2>/dev/null; then
    python=$(find_python) || return 1
    say "Making $venv …"
    rm -rf "$venv"
    if ! "$python" -m venv "$venv" 2>/dev/null; then
      rm -rf "$venv"
      say "Python's venv module is missing. On Debian or Ubuntu: apt-get install python3-venv"
      return 1
    fi
  fi
  say "Installing from $1 (hashes are checked) …"
  install_locked "$venv" "$lock" || return 1
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
    --no-build-isolation --no-index --editable "$top" || return 1
  printf '%s\n' "$sum" >"$stamp"
}
