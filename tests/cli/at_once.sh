#!/usr/bin/env bash
# at_once.sh - a run's files are readable at every instant, by any HDF5 program; several writers of one file leave one whole
# file; two writers of one run are refused.
. "$(dirname "$0")/common.sh" "$@"

table 300 2 >t.csv
args=(--data t.csv --model realnvp --batch 32 --quiet --no-figures --set validate=20 --set points=5 --set save=0 --set width=8
	--set layers=2 --set patience=0 --threads 1)
"$bin/tabular" "${args[@]}" --steps 100000000 --out live >/dev/null 2>&1 &
training=$!
until [ -e live/checkpoint.h5 ] || ! kill -0 $training 2>/dev/null; do sleep 0.02; done
refused 2 "another process is writing" "$bin/tabular" --out live --resume --quiet
command -v h5dump >/dev/null && dump=(h5dump -a /version) || dump=("$logtext")
steps=$("$logtext" live/run.h5 | grep -c '^series.val.nll')
for k in $(seq 40); do
	"${dump[@]}" live/run.h5 >/dev/null 2>stderr || fail "reading the log, $k: $(head -2 stderr)"
	[ "${dump[0]}" != h5dump ] || "${dump[@]}" live/checkpoint.h5 >/dev/null 2>stderr || fail "reading the checkpoint, $k: $(head -2 stderr)"
done
check "the run went on meanwhile" test "$("$logtext" live/run.h5 | grep -c '^series.val.nll')" -gt "$steps"
kill -9 $training
wait $training 2>/dev/null

# Two programs that write one file: whoever is last, it is whole, and nothing is left beside it.
"$bin/tabular" "${args[@]}" --steps 10 --out run >/dev/null || fail "tabular"
for k in 1 2 3; do
	for count in 20000 20001 20002; do
		"$bin/sample" run --count $count --out s.h5 --threads 1 >/dev/null 2>stderr$count &
	done
	wait
	check "$k: nobody complains: $(cat stderr2000?)" test ! -s stderr20000 -a ! -s stderr20001 -a ! -s stderr20002
	"$bin/evaluate" run --data s.h5 --out e.csv >said 2>stderr
	check "$k: one whole file: $(cat said stderr)" grep -qE ', 2000[012] rows' said
	check "$k: nothing beside it" test ! -e s.h5.part
done
report
