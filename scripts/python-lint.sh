#!/usr/bin/env bash
# Lints and type-checks python/ with tools in a venv of their own, filled from the package index once. Where the index cannot be
# reached this is skipped, and said so; in CI (CI=true) that is a failure, or nobody would notice.
# With --fix it rewrites what it can instead.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv-dev
REQUIREMENTS=scripts/python-lint-requirements.txt
INSTALLED=$VENV/requirements.txt

if ! cmp -s "$REQUIREMENTS" "$INSTALLED"; then
  rm -rf "$VENV"
  if ! python3 -m venv "$VENV" >/dev/null 2>&1 ||
    ! "$VENV/bin/python" -m pip install --quiet --retries 1 --timeout 15 -r "$REQUIREMENTS" 2>/dev/null; then
    rm -rf "$VENV"
    echo 'python: lint SKIPPED, because its tools (ruff, mypy) cannot be had from the package index'
    [ "${CI:-}" != true ]
    exit
  fi
  cp "$REQUIREMENTS" "$INSTALLED"
fi

if [ "${1:-}" = --fix ]; then
  "$VENV/bin/ruff" check --quiet --fix --config python/pyproject.toml python || true
  "$VENV/bin/ruff" format --quiet --config python/pyproject.toml python scripts specs/support
  exit
fi
status=0
"$VENV/bin/ruff" check --quiet python || status=1
"$VENV/bin/ruff" check --quiet --config python/pyproject.toml --ignore D scripts specs/support || status=1
"$VENV/bin/ruff" format --quiet --check --config python/pyproject.toml python scripts specs/support || status=1
(cd python && "../$VENV/bin/mypy" --no-error-summary) || status=1
exit $status
