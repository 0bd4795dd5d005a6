#!/usr/bin/env bash
# `recsys train` with the arguments given, and once more a quarter of an hour later where that can help: 69 is an outage,
# 75 a limit of time or another run at work. What any other code says is as true an hour later (docs/production.md).
set -uo pipefail

recsys train "$@"
code=$?
case $code in
  69 | 75) ;;
  *) exit "$code" ;;
esac
echo "recsys train ended with $code: once more in ${RETRY_AFTER_S:-900} seconds" >&2
sleep "${RETRY_AFTER_S:-900}"
exec recsys train "$@"
