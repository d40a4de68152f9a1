#!/usr/bin/env bash
# All checks that need no running platform; goes on past a failing one, so that one run tells everything. The set-up has compiled.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()

check() {
  local name=$1
  shift
  printf 'check: %s\n' "$name"
  "$@" || failed+=("$name")
}

check 'format (prettier)' node_modules/.bin/prettier --check --log-level warn .
check 'lint (eslint)' node_modules/.bin/eslint --cache --cache-location .eslintcache .
check 'import rules (dependency-cruiser)' node_modules/.bin/depcruise --config .dependency-cruiser.cjs \
  actors api bench bus cli specs workers
check 'unused files and exports (knip)' node_modules/.bin/knip --no-progress
check 'python (ruff, mypy)' scripts/python-lint.sh
check 'state machines drawn (make diagrams)' node dist/cli/diagrams.js --check

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check: failed:'
  printf ' %s;' "${failed[@]}"
  printf '\n'
  exit 1
fi
echo 'check: all passed'
