#!/usr/bin/env bash
# replay.sh - a run comes out again to the bit, and when it cannot, what differs is named.
. "$(dirname "$0")/common.sh" "$@"

table 400 3 >t.csv
args=(--data t.csv --no-figures --quiet --batch 50)
"$bin/tabular" "${args[@]}" --model nsf-c --steps 60 --threads 1 --set layers=2 --set width=8 --set dropout=0.1 --set ema=0.9 \
	--set linear=permutation --set drop=2 --out nsf >/dev/null || fail tabular
"$bin/tabular" "${args[@]}" --model gaussian --out g >/dev/null || fail gaussian
"$bin/tabular" "${args[@]}" --model maf --seconds 0.3 --set width=8 --out timed >/dev/null || fail "tabular --seconds"
"$bin/tabular" "${args[@]}" --model maf --epochs 3 --dtype f64 --set width=8 --set act=tanh --set base=student --seed 5 --out epochs \
	>/dev/null || fail "tabular --epochs"
"$bin/energy" --energy U1 --model planar --steps 40 --batch 64 --set validation_rows=200 --set test_samples=500 --set anneal=0.5 \
	--set ema=0.9 --set layers=4 --quiet --no-figures --out fit >/dev/null || fail energy
"$bin/energy" --energy U2 --model iaf --seconds 0.3 --set validation_rows=200 --set test_samples=500 --set width=8 --quiet \
	--no-figures --out fit_timed >/dev/null || fail "energy --seconds"
for run in nsf g timed epochs fit fit_timed; do
	TMPDIR=$tmp "$bin/replay" --quiet --threads 2 $run/run.h5 >said 2>stderr
	got=$?
	check "$run: $(cat said stderr | tail -5)" test $got -eq 0
	check "$run: every bit" grep -q '^every bit agrees: [1-9]' said
done
check "nothing is left behind" test -z "$(ls -d replay-* 2>/dev/null)"
"$bin/replay" --quiet --out kept nsf >/dev/null || fail "replay --out"
same_run "the run that was kept" nsf/run.h5 kept/run.h5
mkdir elsewhere
(cd elsewhere && "$bin/replay" --quiet ../nsf >said 2>&1)
check "from another folder: $(cat elsewhere/said)" grep -q '^every bit agrees: [1-9]' elsewhere/said
for library in blas sleef hdf5 libc compiler blas_core instruction_set; do
	check "$library is in the log" grep -q "^libraries.$library \"..*\"" <("$logtext" nsf/run.h5)
done
check "--diff of equal runs" "$bin/replay" --diff nsf kept >/dev/null

# Another seed: the numbers differ from the first step, and so does the configuration.
"$bin/tabular" "${args[@]}" --model nsf-c --steps 60 --set layers=2 --set width=8 --set dropout=0.1 --set ema=0.9 \
	--set linear=permutation --set drop=2 --seed 2 --out other >/dev/null || fail tabular
"$bin/replay" --diff nsf other >said
check "--diff of other seeds: exit status" test $? -eq 1
check "which step" grep -q 'the numbers differ: .*from step 1 on' said
check "why" grep -q 'so do: configuration$' said
check "the cause before the numbers" awk '/config.seed/ { seen = 1 } /final|series|test/ && !seen { exit 1 }' <(sed 1,2d said)
check "the seed" grep -q 'config/seed: 1, now 2' said

# Another instruction set is named, whether bits differ or not.
if [ "$("$logtext" nsf/run.h5 | sed -n 's/^libraries.instruction_set "\(.*\)"/\1/p')" != plain ]; then
	FLOWTAPE_ISA=plain "$bin/replay" --quiet nsf >said 2>stderr
	check "instruction set" grep -q 'libraries/instruction_set: ".*", now "plain"' said
fi
sed 's/^1/2/' t.csv >u.csv
mv u.csv t.csv
"$bin/replay" --quiet nsf >said 2>stderr
check "other data: exit status" test $? -eq 1
check "the data are named" grep -q 'data/train_hash: ' said

refused 2 "a second run is for --diff" "$bin/replay" nsf kept
refused 2 "--diff compares two runs" "$bin/replay" --diff nsf
refused 2 "cannot read nothing" "$bin/replay" nothing
refused 2 "exists" "$bin/replay" --out kept nsf
rm t.csv
refused 2 "t.csv" "$bin/replay" --quiet nsf
"$bin/tabular" --data moons --model maf --no-figures --steps 1000000 --set save=0 --out cut >/dev/null 2>&1 &
pid=$!
for k in $(seq 300); do
	[ -s cut/checkpoint.h5 ] && break
	sleep 0.05
done
kill $pid
wait $pid
refused 2 'has no result to compare with; its status is "interrupted"' "$bin/replay" cut
report
