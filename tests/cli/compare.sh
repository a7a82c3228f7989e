#!/usr/bin/env bash
# compare.sh - calibration, samples, cost and curves: of a model that is right, of one that is wrong, of runs in disorder.
. "$(dirname "$0")/common.sh" "$@"

awk 'function n() { return sqrt(-2 * log(1 - rand())) * cos(6.283185307179586 * rand()) }
	BEGIN { srand(4); for (i = 0; i < 4000; i++) { a = n(); b = n(); printf "%.9f,%.9f\n", 3 * a, a + 0.5 * b } }' >right.csv
awk -F, '{ printf "%s,%.9f\n", $1, $2 + 0.4 * $1 * $1 }' right.csv >bent.csv
run() { # data, model, seed, folder, more..
	"$bin/tabular" --data $1.csv --model $2 --seed $3 --out $4 --quiet --no-figures --set test_fraction=0.4 "${@:5}" >/dev/null ||
		fail "tabular $*"
}
run right gaussian 1 good
run bent gaussian 1 bad
for seed in 1 2 3; do
	run bent realnvp $seed net$seed --steps 40 --set layers=2 --set width=8 --batch 64
	run bent realnvp $seed wide$seed --steps 40 --set layers=2 --set width=32 --batch 64
done

field() { # file, column: of the first row
	awk -F, -v c="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == c) k = i } NR == 2 { print $k }' "$1"
}
between() { # what, value, low, high
	check "$1: $2 in $3 .. $4" awk -v v="$2" -v lo="$3" -v hi="$4" 'BEGIN { exit !(v != "" && v >= lo && v <= hi) }'
}
"$bin/compare" --samples --csv good >good.csv || fail "compare --samples"
for p in mmd_p classifier_p marginals_p latents_p radius_p regions_p; do
	between "the right model, $p" "$(field good.csv $p)" 0.01 100
done
between "told apart" "$(field good.csv classifier_accuracy)" 0.45 0.55
between "the 50 % region" "$(field good.csv coverage_50)" 0.46 0.54
between "the 90 % region" "$(field good.csv coverage_90)" 0.875 0.925
"$bin/compare" --columns --csv good >columns.csv
between "lower tail" "$(field columns.csv mass_below)" 0.004 0.018
between "upper tail" "$(field columns.csv mass_above)" 0.004 0.018
check "a row for each column" test "$(wc -l <columns.csv)" -eq 3

"$bin/compare" --samples --csv bad >bad.csv || fail "compare --samples of bent data"
for p in mmd_p classifier_p marginals_p latents_p; do
	between "the wrong model, $p" "$(field bad.csv $p)" 0 0.01
done

"$bin/compare" --cost --curves bad net? wide? >page || fail "compare --cost --curves"
check "cost" grep -q '^realnvp .* 40 ' page
check "curves" grep -q 'validation, nats, over seconds' page
check "an interval over seeds" grep -q 'with seeds' page
check "the options that tell rows apart" grep -q '^realnvp width=32 ' page
"$bin/compare" --csv net? wide? >rows.csv
between "seeds make the interval wider" "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) k[$i] = i } NR == 3 && $k["with_seeds"] != "" {
	print ($k["with_seeds_high"] - $k["with_seeds_low"]) / ($k["to_best_high"] - $k["to_best_low"]) }' rows.csv)" 1 1e9
check "the same again" cmp <("$bin/compare" --samples --csv bad) bad.csv
check "--samples has a row for each seed" test "$("$bin/compare" --samples --csv net1 net2 net3 | wc -l)" -eq 4

# Runs in disorder
"$bin/tabular" --data bent.csv --model maf --quiet --no-figures --set test_fraction=0.4 --lr 1e30 --set clip=0 --out broken >/dev/null 2>&1
"$bin/energy" --energy U1 --model planar --steps 5 --batch 20 --set test_samples=100 --quiet --no-figures --out fit >/dev/null || fail energy
"$bin/compare" broken bad net1 fit >page 2>said
check "runs without a result: exit status" test $? -eq 1
check "one failed: $(cat said)" grep -q '^compare: left out: broken has no test result; its status is "failed"$' said
check "one is a fit: $(cat said)" grep -q '^compare: left out: fit is a fit to an energy: there are no test rows to compare by$' said
check "no more is said" test "$(wc -l <said)" -eq 2
check "the others are compared" diff page <("$bin/compare" bad net1)
refused 2 'broken has no test result; its status is "failed"' "$bin/compare" broken
"$bin/report" broken bad net1 --no-samples --out page.html >/dev/null 2>said
check "a report leaves it out too" test $? -eq 1 -a "$(cat said)" = 'report: left out: broken has no test result; its status is "failed"'
for value in nan -inf; do
	cp -r net2 odd
	"$2/oldlog" odd odd/run.h5 $value || fail oldlog
	"$bin/compare" odd bad >page 2>said
	check "$value: exit status" test $? -eq $([ $value = nan ] && echo 1 || echo 0)
	check "$value: $(cat said)" grep -q '^compare: odd: the log-likelihood of 1 of [0-9]* test rows is not finite$' said
	check "$value is last: $(cat page)" grep -q "^realnvp  *$([ $value = nan ] && echo 'not a number' || echo '-infinite')" <(tail -1 page)
	check "$value: no such intervals" test "$(grep -c 'nan\|inf ' page)" -eq 0
	rm -r odd
done

refused 2 "cannot read nothing" "$bin/compare" good nothing
refused 2 "were tested on different rows" "$bin/compare" good bad
mkdir moved
cp good/run.h5 moved
refused 1 "cannot read moved/checkpoint.h5" "$bin/compare" --samples moved
cp net1/checkpoint.h5 moved
refused 1 "holds another model (realnvp)" "$bin/compare" --samples moved
echo 1,2 >>bent.csv
refused 1 "the data in bent.csv have changed since the run" "$bin/compare" --samples bad
report
