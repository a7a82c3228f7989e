#!/usr/bin/env bash
# power_loss.sh - whatever a loss of power leaves of what was not synced: at most the last interval is lost, the files are
# whole, and the run goes on to the same bits.
shim=$2/shim.so
power_loss=$2/power_loss
. "$(dirname "$0")/common.sh" "$@"

table 300 2 >t.csv
run=("$bin/tabular" --model realnvp --data t.csv --steps 24 --batch 32 --quiet --no-figures --set validate=4 --set points=2
	--set save=0 --set width=8 --set layers=2 --threads 1)
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
SHIM_UNDER=lost SHIM_TRACE=$tmp/trace LD_PRELOAD=$shim "${run[@]}" --out lost/a/run >/dev/null 2>stderr || fail "traced: $(cat stderr)"
"$power_loss" trace lost/a/run states >said
check "no state is wanting: $(cat said)" test $? -eq 0
cat said
"$power_loss" trace lost/a/run no-fsync no-fsync >said
check "without syncs of files they are" test $? -eq 1
"$power_loss" trace lost/a/run no-dirsync no-dirsync >said
check "without syncs of folders they are" test $? -eq 1

check "there are states of many ages" test "$(ls states | wc -l)" -gt 10
for state in states/*; do
	for file in "$state"/*.h5; do
		[ -e "$file" ] || continue
		! command -v h5dump >/dev/null || check "h5dump $file" h5dump -H "$file" >/dev/null
	done
	"${run[@]}" --out "$state" --resume >/dev/null 2>stderr
	check "$state ($(ls "$state" | xargs)) is resumed: $(head -1 stderr)" test $? -eq 0
	same_run "$state resumed" lost/a/run/run.h5 "$state/run.h5"
done
report
