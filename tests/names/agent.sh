#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# The agent of the names suite, and outside of a sandbox its control: reads `ID COMMAND` lines, runs
# each by a shell of its own at once, with its output in out.ID, and says `ID STATUS MILLISECONDS`
# as each ends. Nothing of it is a binary that a policy of the suite names.
cd "${0%/*}" || exit
while read -r id command; do
	(
		from=${EPOCHREALTIME/./}
		timeout -k 1 "${ACT_SECONDS:-20}" /bin/bash -c "$command" >"out.$id" 2>&1 </dev/null
		echo "$id $? $(((${EPOCHREALTIME/./} - from) / 1000))"
	) &
done
# shellcheck disable=SC2046
kill $(jobs -p) 2>/dev/null
wait
