# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash disable=SC2034
#
# Shared helpers of the scripts in tests/vm and rxe-patches.  Source it; it
# sets strict mode.  Everything meant for people goes to stderr, so that a
# script's answer can be read from its stdout.

set -euo pipefail
export LC_ALL=C

VM=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TOP=$(cd "$VM/../.." && pwd)
BUILD=$TOP/build
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/rxe-hmm
PROG=${0##*/}

# Lines of progress: "step" opens a piece of work, "step_done" says how long it
# took.
log() { printf '%s\n' "$*" >&2; }
warn() { log "$PROG: warning: $*"; }
die() {
	log "$PROG: error: $*"
	exit 1
}

STEP_START=0
step() {
	STEP_START=$SECONDS
	log "=> $*"
}
step_done() { log "   $1 ($((SECONDS - STEP_START)) s)"; }

# Root through sudo when we are not root.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -- "$@"
	else
		die "this step needs root: run it as root or install sudo"
	fi
}

# The first 16 hex digits of the sha256 of stdin: a cache key.
short_hash() { sha256sum | cut -c1-16; }

# need_space DIR MIB: fails early rather than in the middle of a download.
need_space() {
	local free
	free=$(df -Pm "$1" | awk 'NR == 2 { print $4 }')
	[ "$free" -ge "$2" ] ||
		die "$1 has $free MiB free and $2 MiB are needed: free some space or set XDG_CACHE_HOME"
}

# explain LOG WHAT: turns the log of a failed tool into one line.
explain() {
	local file=$1 what=$2
	if grep -qiE 'no space left on device' "$file"; then
		die "$what: no space left on the disk (log: $file)"
	elif grep -qiE 'could not resolve|temporary failure resolving|unable to connect|could not connect|network is unreachable|connection timed out|connection refused' "$file"; then
		die "$what: the Debian mirror cannot be reached: check the network or set DEBIAN_MIRROR (log: $file)"
	elif grep -qiE 'hash sum mismatch|unexpected size|compressed data is corrupt|unexpected end of input|unexpected EOF' "$file"; then
		die "$what: a download is truncated or damaged: run it again (log: $file)"
	elif grep -qiE 'unable to locate package|has no installation candidate|version .* was not found|unmet dependencies' "$file"; then
		die "$what: the archive lacks a package: $(grep -iE 'unable to locate package|has no installation candidate|version .* was not found|unmet dependencies' "$file" | head -1 | sed 's/^E: //') (log: $file; 'make update' resolves the kernel again)"
	fi
	tail -n 15 "$file" >&2
	die "$what failed (log: $file)"
}

# cache_entry NAME MAKER ARG...: the path of a finished cache entry.  When it is
# missing, "MAKER ARG... TMPDIR" fills a temporary folder, which is then renamed
# into place; the lock makes a second caller wait for the first.  A failure or
# an interrupt leaves nothing behind.
cache_entry() (
	name=$1 entry=$CACHE/$1 tmp=$CACHE/tmp.$1
	shift
	mkdir -p "$CACHE/lock" || die "the cache $CACHE cannot be made"
	if [ ! -d "$entry" ]; then
		exec {lock}>"$CACHE/lock/$name"
		flock -n "$lock" || {
			log "=> waiting for another run that prepares $name"
			flock "$lock"
		}
	fi
	if [ ! -d "$entry" ]; then
		trap 'remove_tree "$tmp"' EXIT
		trap 'exit 130' INT TERM HUP
		remove_tree "$tmp"
		mkdir "$tmp"
		# In the background, or a signal would wait for the maker's end.
		"$@" "$tmp" >&2 {lock}>&- &
		wait $! || exit 1
		mv -T "$tmp" "$entry"
		trap - EXIT
	fi
	touch "$CACHE/lock/$name"
	printf '%s\n' "$entry"
)

# Removes what interrupted runs left and what no run of the last two weeks used,
# unless it is locked.
cache_sweep() {
	local path name lock
	for path in "$CACHE"/*-*; do
		name=${path##*/}
		name=${name#tmp.}
		name=${name%.work}
		[ -d "$path" ] || continue
		[[ $path == */tmp.* ]] || [ -z "$(find "$CACHE/lock/$name" -mtime -14 2>/dev/null)" ] || continue
		exec {lock}>>"$CACHE/lock/$name"
		if flock -n "$lock" && flock -n "$path" true; then
			remove_tree "$path"
		fi
		exec {lock}>&-
	done
}

# Trees belong to root, so their removal may need it.
remove_tree() {
	[ -e "$1" ] || return 0
	if [ "$(id -u)" -eq 0 ] || [ -z "$(find "$1" -maxdepth 1 ! -user "$(id -u)" -print -quit)" ]; then
		rm -rf --one-file-system -- "$1"
	else
		as_root rm -rf --one-file-system -- "$1"
	fi
}

# The line to work on: LINE, or the newest that has patches.
default_line() {
	local line
	line=$(find "$TOP/rxe-patches" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*.[0-9]*' \
		-printf '%f\n' | sort -V | tail -n 1)
	[ -n "$line" ] || die "rxe-patches has no kernel line"
	printf '%s\n' "${LINE:-$line}"
}

# Reads what "prepare" has decided: LINE SERIES RELEASE VERSION SOURCE.
load_line() {
	LINE=$(default_line)
	LINE_FILE=$CACHE/line-$LINE
	[ -f "$LINE_FILE" ] || return 1
	# shellcheck source=/dev/null
	. "$LINE_FILE"
}

# Names of the cache entries.  A tree depends on its recipe, its packages and
# the kernel; the rest on the tree it comes from.  Comments do not count.
recipe() { sed '/^[[:space:]]*#/d' "$@"; }
tree_name() { printf 'tree-%s-%s\n' "$RELEASE" "$( (recipe "$VM/tree" "$VM/packages" && echo "$VERSION") | short_hash)"; }
source_name() { printf 'source-%s-%s\n' "$VERSION" "$(recipe "$VM/source" | short_hash)"; }
image_name() { printf 'image-%s-%s\n' "$RELEASE" "$( (recipe "$VM/image" && tree_name) | short_hash)"; }
initrd_name() { printf 'initrd-%s-%s\n' "$RELEASE" "$( (recipe "$VM/initrd" "$VM/guest/initrd-init" && tree_name) | short_hash)"; }
