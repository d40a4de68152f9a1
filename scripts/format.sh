#!/usr/bin/env bash
# Rewrites sources the way the checks want them.
set -euo pipefail
cd "$(dirname "$0")/.."
node_modules/.bin/prettier --write --log-level warn .
node_modules/.bin/eslint --fix . || true
scripts/python-lint.sh --fix
