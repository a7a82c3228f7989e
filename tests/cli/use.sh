#!/usr/bin/env bash
# use.sh - train, compare, sample, evaluate: the programs agree with each other.
. "$(dirname "$0")/common.sh" "$@"

mkdir data
table 600 3 >data/train.csv
table 700 3 | tail -100 >data/val.csv
table 800 3 | tail -100 >data/test.csv
for model in gaussian independent nice realnvp maf iaf nsf-c nsf-ar; do
	net=()
	[ "$model" = gaussian ] || [ "$model" = independent ] || net=(--set layers=2 --set width=8)
	"$bin/tabular" --data data --model $model --steps 20 --out $model --quiet "${net[@]}" >said 2>stderr
	got=$?
	check "$model trains: $(head -2 stderr)" test $got -eq 0
	check "$model: nothing on stderr" test ! -s stderr
	check "$model says where the log is" grep -q "$model/run.h5" said
	check "$model is finished" test "$(status_of $model/run.h5)" = finished

	"$bin/evaluate" $model --data data/test.csv --out l.csv >/dev/null || fail "evaluate $model"
	"$logtext" $model/run.h5 | sed -n 's/^test\/log_likelihood [0-9]* \([^ ]*\) nats/\1/p' >a.txt
	grep -v '[a-z]_' l.csv >b.txt
	check "$model: the saved density has the bits of the trained one" \
		awk 'NR == FNR { v[FNR] = $1 + 0; n = FNR; next } v[FNR] != $1 + 0 { exit 1 } END { if (FNR != n || n != 100) exit 1 }' a.txt b.txt

	"$bin/sample" $model --count 50 --out s.csv --log-density sl.csv >/dev/null || fail "sample $model"
	"$bin/sample" $model --count 50 --out s2.csv >/dev/null
	check "$model: samples are the same each time" cmp s.csv s2.csv
	"$bin/evaluate" $model --data s.csv --out e.csv >/dev/null
	check "$model: densities of samples" awk 'NR == FNR { v[FNR] = $1; next } FNR > 1 && (v[FNR] - $1) ^ 2 > 1e-4 { exit 1 }' sl.csv e.csv
done

# Where the time goes
"$bin/tabular" --data data --model maf --steps 20 --out more/profiled --quiet --no-figures --profile --set layers=2 --set width=8 >/dev/null 2>profile.txt
check "--profile: training" grep -q "^profile: training steps" profile.txt
for line in "^20 runs of " "GFLOP/s (sgemm or our own product)" "by op" "by layer" "flow/autoregressive_1" "outside of steps"; do
	check "--profile: $line" grep -q "$line" profile.txt
done
"$bin/sample" maf --count 50 --out s2.csv >/dev/null
"$bin/sample" maf --count 50 --out s3.csv --profile >/dev/null 2>profile.txt
check "sample --profile" grep -q "fixpoint" profile.txt
check "--profile changes nothing" cmp s2.csv s3.csv
"$bin/evaluate" maf --data data/test.csv --out l2.csv --profile >/dev/null 2>profile.txt
check "evaluate --profile" grep -q "^profile: log-densities" profile.txt

# Reversible training gives the model of ordinary training, up to rounding
for r in 0 1; do
	"$bin/tabular" --data data --model nsf-ar --steps 5 --out more/reversible$r --quiet --no-figures --dtype f64 \
		--set reversible=$r --set layers=2 --set width=8 >/dev/null || fail "reversible=$r"
	"$bin/evaluate" more/reversible$r --data data/test.csv --out r$r.csv >/dev/null
done
check "reversible=1: the same densities" awk 'NR == FNR { v[FNR] = $1; next } FNR > 1 && (v[FNR] - $1) ^ 2 > 1e-16 { exit 1 }' r0.csv r1.csv
"$bin/tabular" --data data --model maf --steps 5 --out more/refused --set reversible=1 --set norm=batch >/dev/null 2>stderr
check "reversible=1 with batch norm is refused" test $? -eq 2
check "and says which layer" grep -q 'batch_norm "batch_norm_0" cannot rebuild its input' stderr
for ending in npy csv h5; do
	check "samples in .$ending" "$bin/sample" maf --count 5 --out s.$ending
	check "evaluate reads .$ending" "$bin/evaluate" maf --data s.$ending --out e.$ending
done >/dev/null

"$bin/tabular" --data data --model gaussian --no-figures >/dev/null || fail "tabular without --out"
check "tabular: where a run goes by itself" test -s out/data-gaussian-1/run.h5
"$bin/sample" out/data-gaussian-1 --count 5 >/dev/null
check "sample: where samples go by themselves" test -s out/data-gaussian-1/samples.npy
"$bin/evaluate" out/data-gaussian-1 --data data/test.csv >/dev/null
check "evaluate: where log-densities go by themselves" test -s out/data-gaussian-1/log_density.npy

"$bin/tabular" --data data --model maf --steps 20 --seed 2 --set layers=2 --set width=8 --out maf2 --quiet >/dev/null
"$bin/compare" */run.h5 >table 2>stderr
got=$?
check "compare: $(head -1 stderr)" test $got -eq 0
check "a row for each model, seeds together" test "$(wc -l <table)" -eq 11
check "two seeds of maf" grep -q '^maf  *2 ' table
check "csv has a line for each row" test "$("$bin/compare" --csv */run.h5 | wc -l)" -eq 9
check "markdown" grep -q '^| maf ' <("$bin/compare" --markdown */run.h5)
check "latex" grep -q '^maf &' <("$bin/compare" --latex */run.h5)
report
