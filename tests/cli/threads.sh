#!/usr/bin/env bash
# threads.sh - the same bits for 1, 2 and 4 threads.
. "$(dirname "$0")/common.sh" "$@"
unset OMP_NUM_THREADS

table 3000 5 >data.csv
for model in nsf-ar realnvp iaf; do
	for n in 1 2 4; do
		"$bin/tabular" --data data.csv --model $model --steps 40 --batch 200 --threads $n --out $model-$n --quiet --no-figures \
			--set layers=3 --set width=24 --set dropout=0.1 >/dev/null || fail "$model with $n threads"
	done
	same_run "$model with 1 and 2 threads" $model-1/run.h5 $model-2/run.h5
	same_run "$model with 1 and 4 threads" $model-1/run.h5 $model-4/run.h5
	for n in 1 2 4; do
		"$bin/sample" $model-1 --count 500 --threads $n --out s$n.csv >/dev/null
	done
	check "$model: samples with 1 and 2 threads" cmp s1.csv s2.csv
	check "$model: samples with 1 and 4 threads" cmp s1.csv s4.csv
done
report
