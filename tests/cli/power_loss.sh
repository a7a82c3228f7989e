#!/usr/bin/env bash
# power_loss.sh - whatever a loss of power leaves of what was not synced: at most the last interval is lost, the files are
# whole, and the run goes on to the same bits.
shim=$2/shim.so
power_loss=$2/power_loss
. "$(dirname "$0")/common.sh" "$@"

table 300 2 >t.csv
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
args=(--steps 24 --batch 32 --quiet --no-figures --set validate=4 --set points=2 --set save=0 --set layers=2 --threads 1)

lose_power() { # name, command
	local run=("${@:2}") state file
	SHIM_UNDER=lost SHIM_TRACE=$tmp/$1.trace LD_PRELOAD=$shim "${run[@]}" --out lost/$1/run >/dev/null 2>stderr ||
		fail "$1 traced: $(cat stderr)"
	"$power_loss" $1.trace lost/$1/run $1 >said
	check "$1: no state is wanting: $(cat said)" test $? -eq 0
	echo "$1: $(cat said)"
	check "$1: there are states of many ages" test "$(ls $1 | wc -l)" -gt 10
	for state in $1/*; do
		for file in "$state"/*.h5; do
			[ -e "$file" ] || continue
			! command -v h5dump >/dev/null || check "h5dump $file" h5dump -H "$file" >/dev/null
		done
		"${run[@]}" --out "$state" --resume >/dev/null 2>stderr
		check "$state ($(ls "$state" | xargs)) is resumed: $(head -1 stderr)" test $? -eq 0
		same_run "$state resumed" lost/$1/run/run.h5 "$state/run.h5"
	done
}
lose_power tabular "$bin/tabular" --model realnvp --data t.csv --set width=8 "${args[@]}"
rm -rf lost
lose_power energy "$bin/energy" --energy U1 --model planar --set validation_rows=200 --set test_samples=200 "${args[@]}"

# The judge must see faults.
"$power_loss" energy.trace lost/energy/run no-fsync no-fsync >said
check "without syncs of files states are wanting" test $? -eq 1
"$power_loss" energy.trace lost/energy/run no-dirsync no-dirsync >said
check "without syncs of folders they are" test $? -eq 1
report
