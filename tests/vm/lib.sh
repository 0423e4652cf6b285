# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# What fetch.sh, run.sh and suite.sh share. Sourced, never run.

# The matrix: what a caller says, then the suites to look in, best first.
vm_suites()
{
	case $1 in
	5.10) echo bullseye ;;
	6.1) echo bookworm ;;
	6.12) echo bookworm-backports trixie ;;
	newest) echo sid ;;
	*) return 1 ;;
	esac
}

# Outside the tree, so that `make clean` and a second checkout do not download again.
vm_cache()
{
	local dir

	for dir in "${OPENSHELL_CACHE:-}" /var/cache/openshell-vm \
		   "${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/openshell-vm"; do
		[ -n "$dir" ] || continue
		if mkdir -p "$dir" 2>/dev/null && [ -w "$dir" ]; then
			echo "$dir"
			return 0
		fi
	done
	echo "no writable cache directory: set OPENSHELL_CACHE" >&2
	return 1
}
