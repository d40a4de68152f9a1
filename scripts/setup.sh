#!/usr/bin/env bash
# Installs what is missing and builds what has changed; says what it does and why, and nothing when there is nothing to do.
# Safe to repeat, and to run from several terminals at once. PYTHON=... names the Python that runs functions.
#   setup.sh         what the platform needs
#   setup.sh pypy    a second Python as well, PyPy with dill, for workers started with --python .platform/pypy/python
#   setup.sh browser a Chromium as well, which the specs of the dashboard drive
#   setup.sh sandbox bubblewrap as well, for workers started with --sandbox bubblewrap
#   setup.sh test    all of these as well, and promtool, but done without where they cannot be had: their specs are then skipped
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p .platform

MIN_NODE=20.19
PYTHON_RECORD=.platform/python
VENV=.venv
# dill for the functions; the others for the Python client: requests, progress bars.
PACKAGES='dill>=0.3.6 urllib3>=1.26 tqdm>=4.60'
DEBIAN_PACKAGES='python3-dill python3-urllib3 python3-tqdm'
# An index that does not answer is given up soon: there is another way to a Python with dill.
PIP_PATIENCE='--retries 1 --timeout 15'
LOG=.platform/setup.log

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

# Several `make` in several terminals may want the same things at the same moment.
if [ -z "${MPCSFAAS_SETUP_LOCKED:-}" ] && command -v flock >/dev/null; then
  MPCSFAAS_SETUP_LOCKED=1 exec flock .platform/setup.lock scripts/setup.sh "$@"
fi

# Runs a command quietly; shows what it printed only when it fails.
quietly() {
  if "$@" >"$LOG" 2>&1 </dev/null; then return 0; fi
  return 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

can_use_apt() {
  command -v apt-get >/dev/null || return 1
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null
}

# Packages of servers start a service when they are installed, on the very ports that others may use. A policy that forbids it
# is laid down for the moment, unless the machine has one of its own, and the units are not enabled for the next boot either.
apt_install() {
  local policy=/usr/sbin/policy-rc.d laid='' status=0
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    laid=yes
  fi
  # The lists may be missing or name versions that are gone: then once more with fresh ones.
  apt_get_install "$@" || { quietly as_root apt-get update; apt_get_install "$@"; } || status=1
  if [ -n "$laid" ]; then as_root rm -f "$policy"; fi
  if [ -d /run/systemd/system ]; then
    for unit in "$@"; do
      case $unit in redis-server | nats-server) quietly as_root systemctl disable --now "$unit" || true ;; esac
    done
  fi
  return $status
}

apt_get_install() {
  quietly as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install --yes --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"
}

have_program() {
  PATH="$PATH:/usr/sbin:/usr/local/sbin:/opt/homebrew/bin:/usr/local/bin" command -v "$1" >/dev/null
}

check_node() {
  command -v node >/dev/null || fail "Node.js $MIN_NODE or later is needed; see https://nodejs.org"
  node -e "const [a, b] = process.versions.node.split('.').map(Number), [c, d] = '$MIN_NODE'.split('.').map(Number);
    process.exit(a > c || (a === c && b >= d) ? 0 : 1)" ||
    fail "Node.js $MIN_NODE or later is needed; this is $(node --version)"
}

# Fresh when npm installed after the lock file last changed, or when the lock file is the one that was installed, word for word:
# a checkout may touch a file without changing it.
install_npm_packages() {
  local installed=node_modules/.installed-lock.json
  if cmp -s package-lock.json "$installed"; then return; fi
  if [ node_modules/.package-lock.json -nt package-lock.json ]; then cp package-lock.json "$installed"; return; fi
  say 'installing npm packages (npm ci), as package-lock.json says'
  quietly npm ci --no-audit --no-fund || { cat "$LOG" >&2; fail 'npm ci failed; what it said is above'; }
  cp package-lock.json "$installed"
}

install_servers() {
  local missing=()
  if [ -z "${REDIS_URL:-}" ] && ! have_program redis-server; then missing+=(redis-server); fi
  if [ -z "${NATS_URL:-}" ] && ! have_program nats-server; then missing+=(nats-server); fi
  # Certificates of deployments are made with it.
  if ! have_program openssl; then missing+=(openssl); fi
  if [ ${#missing[@]} = 0 ]; then return; fi
  if can_use_apt; then
    say "installing ${missing[*]} (apt); they are not started as services, the platform starts its own"
    apt_install "${missing[@]}" || { tail -n 5 "$LOG" >&2; fail "apt could not install ${missing[*]}; its last words are above"; }
  elif command -v brew >/dev/null; then
    # Homebrew names the formula of redis-server redis.
    say "installing ${missing[*]} (brew)"
    quietly brew install "${missing[@]/redis-server/redis}" || { cat "$LOG" >&2; fail "brew could not install ${missing[*]}"; }
  else
    fail "please install ${missing[*]} (or name running ones with REDIS_URL and NATS_URL) and try again"
  fi
}

has_dill() { "$1" -c 'import dill' >/dev/null 2>&1; }
has_packages() { "$1" -c 'import dill, urllib3, tqdm' >/dev/null 2>&1; }

record_python() {
  printf '%s\n' "$1" >"$PYTHON_RECORD"
  say "functions run on $("$1" --version 2>&1) with dill: $1"
}

choose_python() {
  if [ -n "${PYTHON:-}" ]; then
    has_dill "$PYTHON" || fail "PYTHON=$PYTHON cannot import dill: install it there, or leave PYTHON away"
    return
  fi
  if [ -s "$PYTHON_RECORD" ] && has_packages "$(cat "$PYTHON_RECORD")"; then return; fi
  python_in_venv || python_of_system || fail 'no Python with dill could be made or found: install dill, and name its Python with PYTHON=...'
}

# A Python of the project's own, so that nothing is installed into the user's.
python_in_venv() {
  command -v python3 >/dev/null || return 1
  if ! has_packages "$VENV/bin/python"; then
    say "making $VENV with dill, urllib3 and tqdm from the package index"
    rm -rf "$VENV"
    make_venv "$VENV" || { rm -rf "$VENV"; say 'python3 -m venv does not work here'; return 1; }
    # shellcheck disable=SC2086 # options and packages, split on purpose
    if ! quietly "$VENV/bin/python" -m pip install $PIP_PATIENCE $PACKAGES; then
      rm -rf "$VENV"
      say 'the package index cannot be reached (or lacks one of them)'
      return 1
    fi
  fi
  record_python "$PWD/$VENV/bin/python"
}

# Debian ships the venv module without what it needs; that is a package of its own.
make_venv() {
  quietly python3 -m venv "$1" && return
  can_use_apt || return 1
  say 'installing python3-venv (apt), which python3 -m venv needs'
  apt_install python3-venv || return 1
  quietly python3 -m venv "$1"
}

python_of_system() {
  local python
  for python in python3 /usr/bin/python3; do
    if has_packages "$python"; then record_python "$(command -v "$python")"; return; fi
  done
  can_use_apt || return 1
  say "installing $DEBIAN_PACKAGES (apt) instead"
  # shellcheck disable=SC2086 # packages, split on purpose
  apt_install $DEBIAN_PACKAGES || return 1
  has_packages /usr/bin/python3 && record_python /usr/bin/python3
}

# A command of its own, which brings its dill along: nothing is installed into the PyPy of the system but PyPy itself.
install_pypy() {
  local dir=$PWD/.platform/pypy pypy dill
  if [ -x "$dir/python" ]; then return; fi
  if ! command -v pypy3 >/dev/null; then
    if ! can_use_apt; then MISSING='pypy3 is not installed, and there is no apt to install it'; return 1; fi
    say 'installing pypy3 (apt, 100 MB), a second Python for workers'
    if ! apt_install pypy3; then MISSING='apt could not install pypy3'; return 1; fi
  fi
  pypy=$(command -v pypy3)
  dill=$("${PYTHON:-$(cat "$PYTHON_RECORD")}" -c 'import dill, os; print(os.path.dirname(dill.__file__))')
  rm -rf "$dir"
  mkdir -p "$dir/packages"
  # dill is plain Python: what one has, the other can use.
  cp -R "$dill" "$dir/packages/dill"
  rm -rf "$dir/packages/dill/__pycache__" "$dir/packages/dill/tests"
  printf '#!/bin/sh\nPYTHONPATH="%s${PYTHONPATH:+:$PYTHONPATH}" exec "%s" "$@"\n' "$dir/packages" "$pypy" >"$dir/python.new"
  chmod 755 "$dir/python.new"
  if ! has_dill "$dir/python.new"; then MISSING="$pypy cannot import dill"; return 1; fi
  mv "$dir/python.new" "$dir/python"
  say "workers can run on $("$dir/python" -c 'import platform as p; print(p.python_implementation(), p.python_version())') with --python $dir/python"
}

# Debian's, or whichever is on the path under one of the names that specs/browser/support/chromium.ts looks for.
install_chromium() {
  local name
  for name in chromium chromium-browser google-chrome-stable google-chrome; do
    if have_program "$name"; then return; fi
  done
  if can_use_apt; then
    say 'installing chromium (apt, 300 MB and what it needs), the browser that the specs of the dashboard drive without showing it'
    if ! apt_install chromium; then MISSING='apt could not install chromium'; return 1; fi
  elif command -v brew >/dev/null; then
    say 'installing chromium (brew), the browser that the specs of the dashboard drive without showing it'
    if ! quietly brew install --cask chromium; then MISSING='brew could not install chromium'; return 1; fi
  else
    MISSING='there is no Chromium, and no apt or brew to install it'
    return 1
  fi
  say "the specs of the dashboard run in $(chromium --version --no-sandbox 2>/dev/null || echo 'the Chromium that was installed')"
}

# The checker of Prometheus' rules, out of its Debian package: nothing else of that is installed.
install_promtool_if_possible() {
  local tried=.platform/promtool-cannot-be-had packages=.platform/promtool-package
  if have_program promtool || [ -e .platform/promtool ] || [ -e "$tried" ]; then return; fi
  if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    say 'getting promtool (apt, 20 MB), which checks the alert rules'
    mkdir -p "$packages"
    if (cd "$packages" && LOG=setup.log quietly apt-get download prometheus) &&
      dpkg-deb --fsys-tarfile "$packages"/prometheus_*.deb | tar -x -C "$packages" ./usr/bin/promtool; then
      mv "$packages/usr/bin/promtool" .platform/promtool
    fi
    rm -rf "$packages"
  fi
  if [ -e .platform/promtool ]; then return; fi
  say 'promtool cannot be had here: its checks of the alert rules are skipped'
  touch "$tried"
}

# What the sandbox bubblewrap is made with. Whether this machine's kernel lets it work, a worker finds out when it starts.
install_bubblewrap() {
  if have_program bwrap; then return; fi
  if ! can_use_apt; then MISSING='bwrap is not installed, and there is no apt to install it'; return 1; fi
  say 'installing bubblewrap (apt), for workers with --sandbox bubblewrap'
  apt_install bubblewrap || { MISSING='apt could not install bubblewrap'; return 1; }
}

# Every `make test` tries once: a machine without a network shall not wait for apt each time.
if_possible() { # what to install, which specs need it, what tries again
  local tried=.platform/$1-cannot-be-had
  if [ -e "$tried" ] || "install_$1"; then return; fi
  say "$MISSING: $2 are skipped; \`make $3\` tries again"
  touch "$tried"
}

check_node
install_npm_packages
install_servers
choose_python
case ${1:-} in
  pypy) install_pypy || fail "$MISSING" ;;
  sandbox) install_bubblewrap || fail "$MISSING" ;;
  browser) install_chromium || fail "$MISSING" ;;
  test)
    if_possible pypy 'specs of a second Python' setup-pypy
    if_possible bubblewrap 'specs of the sandbox bubblewrap' setup-sandbox
    if_possible chromium 'specs in a browser' setup-browser
    install_promtool_if_possible
    ;;
esac
node scripts/build.mjs
