# common.sh - what the shell tests share.  A test is called with the folder of the programs and that of logtext.
set -u
bin=$1
logtext=$2/logtext
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
cd "$tmp" || exit 99
checks=0
failures=0

fail() {
	failures=$((failures + 1))
	echo "FAILED: $*" >&2
}

check() { # what, command...
	local what=$1
	shift
	checks=$((checks + 1))
	"$@" || fail "$what"
}

# refused STATUS WORDS command...: that exit status, one line on stderr, and it contains WORDS
refused() {
	local status=$1 words=$2 got
	shift 2
	checks=$((checks + 1))
	"$@" >stdout 2>stderr
	got=$?
	[ $got -eq "$status" ] || fail "$*: exit status $got, not $status: $(head -3 stderr)"
	[ "$(wc -l <stderr)" -eq 1 ] || fail "$*: $(wc -l <stderr) lines on stderr: $(head -5 stderr)"
	grep -qF -- "$words" stderr || fail "$*: \"$(head -1 stderr)\" does not say \"$words\""
}

# What does not depend on the clock or the machine.
lasting() {
	"$logtext" "$1" | grep -v -e '^series/time/' -e '^final/seconds' -e '^final/peak_memory' -e '^started' \
		-e '^machine/' -e '^config/threads' -e '^config/save' -e '^config/seconds' -e '^asked/'
}

same_run() { # what, a, b
	checks=$((checks + 1))
	lasting "$2" >a.txt && lasting "$3" >b.txt && [ -s a.txt ] && diff a.txt b.txt >difference ||
		fail "$1: the logs differ: $(head -4 difference)"
}

status_of() {
	"$logtext" "$1" | sed -n 's/^status "\(.*\)"/\1/p'
}

table() { # rows, columns: a CSV of numbers, the same each time
	awk -v n="$1" -v d="$2" 'BEGIN { srand(7); for (i = 0; i < n; i++) for (j = 0; j < d; j++)
		printf "%.6f%s", (j + 1) * (rand() + rand() + rand()) + (j ? 0.5 * rand() : 0), j < d - 1 ? "," : "\n" }'
}

report() {
	echo "$checks checks, $failures failed"
	[ $failures -eq 0 ]
	exit
}
