# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Shared by the checks. A check works in the top folder of the repository,
# prints what it finds as "file:line: what" and exits with
#   0 nothing found    1 something found    4 cannot run here (reason printed)

SKIP=4
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$top" || exit 1

# Files that belong to the repository or are about to: tracked or not ignored.
# files [PATHSPEC]...
files()
{
	git -c safe.directory="$top" ls-files -co --exclude-standard -- "$@" |
	while IFS= read -r file; do
		[[ -f $file ]] && printf '%s\n' "$file"
	done
}

skip()
{
	echo "$*"
	exit $SKIP
}

# Path of the kernel source that holds checkpatch.pl and kernel-doc.
ksrc()
{
	local dir=${RXE_KSRC:-}

	if [[ -z $dir ]]; then
		dir=$(tests/vm/prepare --print-source 2> /dev/null) || dir=
	fi
	[[ -n $dir && -x $dir/scripts/checkpatch.pl ]] ||
		skip "no kernel source: run 'make modules' first, or set RXE_KSRC"
	printf '%s\n' "$dir"
}

# Print text on standard input and fail if there is any.
none()
{
	! grep .
}
