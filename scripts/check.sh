#!/usr/bin/env bash
# All checks that need no running platform; goes on past a failing one, so that one run tells everything. The set-up has compiled.
# The slowest runs beside the others, on a processor of its own; what it says is shown at the end.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()

check() {
  local name=$1
  shift
  printf 'check: %s\n' "$name"
  "$@" || failed+=("$name")
}

lint_says=$(mktemp)
trap 'rm -f "$lint_says"' EXIT
node_modules/.bin/eslint --cache --cache-location .eslintcache . >"$lint_says" 2>&1 &
lint=$!

check 'format (prettier)' node_modules/.bin/prettier --check --log-level warn .
check 'import rules (dependency-cruiser)' node_modules/.bin/depcruise --config .dependency-cruiser.cjs \
  actors api bench bus cli specs workers
check 'unused files and exports (knip)' node_modules/.bin/knip --no-progress
check 'python (ruff, mypy)' scripts/python-lint.sh
check 'state machines drawn (make diagrams)' node dist/cli/diagrams.js --check

lint_ends() {
  wait "$lint"
  local status=$?
  cat "$lint_says"
  return $status
}
check 'lint (eslint)' lint_ends

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check: failed:'
  printf ' %s;' "${failed[@]}"
  printf '\n'
  exit 1
fi
echo 'check: all passed'
