#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# usage: tests/lint.sh [--fix]
#
# What neither compiler nor test says: C formatted otherwise than clang-format would have it, and
# scripts that shellcheck warns of. --fix formats.
set -u
cd "$(dirname "$0")/.." || exit
bad=0

mapfile -t sources < <(git ls-files '*.c' '*.h')
if [ "${1:-}" = --fix ]; then
	clang-format -i "${sources[@]}"
elif ! changes=$(clang-format --dry-run -Werror "${sources[@]}" 2>&1); then
	grep 'error:' <<< "$changes" | cut -d: -f1 | sort | uniq -c |
		sed 's/^ *\([0-9]*\) \(.*\)/\2: \1 places that clang-format would change/'
	bad=1
fi

mapfile -t scripts < <(git grep -lE '^#!/bin/(ba)?sh|^# shellcheck shell=')
shellcheck -S warning -e SC2016,SC1091,SC2154 "${scripts[@]}" || bad=1
[ $bad -ne 0 ] || echo "lint: ${#sources[@]} C files and ${#scripts[@]} scripts are clean"
exit $bad
