# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# TAP for guest scripts: `. /t/tap.sh`, then check, skip, and finish as the last command.
tap_count=0 tap_bad=0

# check DESCRIPTION COMMAND..: passes when the command does; its output is shown when it does not.
check()
{
	local name=$1 output
	shift
	tap_count=$((tap_count + 1))
	if output=$("$@" 2>&1); then
		echo "ok $tap_count - $name"
	else
		tap_bad=$((tap_bad + 1))
		echo "not ok $tap_count - $name"
		echo "$output" | sed 's/^/# /'
	fi
}

skip()
{
	tap_count=$((tap_count + 1))
	echo "ok $tap_count - $1 # SKIP $2"
}

finish()
{
	echo "1..$tap_count"
	[ $tap_bad -eq 0 ]
}
