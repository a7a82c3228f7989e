#!/usr/bin/env bash
# versions.sh - logs of the first programs are read by all of these; files of later versions are refused by name, and what
# no version wrote.
. "$(dirname "$0")/common.sh" "$@"
oldlog=$2/oldlog

for seed in 1 2; do
	"$bin/tabular" --data moons --model realnvp --steps 20 --seed $seed --out run$seed --quiet --no-figures --set rows=500 \
		--set layers=2 --set width=8 >/dev/null || fail "tabular"
	mkdir early$seed
	cp run$seed/checkpoint.h5 early$seed
	"$oldlog" early run$seed/run.h5 early$seed/run.h5 || fail "oldlog"
done
check "the early log lacks what came later" test "$("$logtext" early1/run.h5 | wc -l)" -lt "$("$logtext" run1/run.h5 | wc -l)"
"$bin/compare" run1 run2 >now.txt || fail "compare"
"$bin/compare" early1 early2 >early.txt || fail "compare on early logs"
check "compare says the same of early logs" diff now.txt early.txt
check "compare --samples reads an early log" "$bin/compare" --samples early1 >/dev/null 2>&1
"$bin/report" early1 early2 --out early.html >/dev/null 2>stderr || fail "report: $(cat stderr)"
"$bin/watch" --once early1 >watch.txt 2>stderr || fail "watch: $(cat stderr)"
check "watch draws it" grep -q "early1" watch.txt
"$bin/replay" early1 >replay.txt 2>stderr || fail "replay: $(cat stderr)"
check "replay: $(cat replay.txt)" grep -q "every bit agrees" replay.txt
check "sample" "$bin/sample" early1 --count 5 --out s.csv >/dev/null
check "evaluate" "$bin/evaluate" early1 --data s.csv >/dev/null

# a later version
cp -r run1 later
"$oldlog" stamp later/run.h5 next && "$oldlog" stamp later/checkpoint.h5 next || fail "oldlog"
for program in compare watch replay; do
	refused 2 "later/run.h5 has version 2 of its format; this program reads up to 1" "$bin/$program" later
done
refused 2 "later/run.h5 has version 2 of its format; this program reads up to 1" "$bin/report" later --out later.html
refused 2 "later/checkpoint.h5 has version 2 of its format; this program reads up to 1" "$bin/sample" later --count 5
refused 2 "later/checkpoint.h5 has version 2 of its format; this program reads up to 1" "$bin/evaluate" later --data s.csv
refused 2 "later/checkpoint.h5 has version 2 of its format; this program reads up to 1" "$bin/tabular" --resume --out later
# texts that these programs never write
cp -r run1 odd
"$oldlog" text odd/run.h5 / status "$(printf 'on and on %.0s' {1..210})" || fail "oldlog"
for width in 40 130; do
	check "watch has a line for a status of any length" awk -v w=$width 'length > w { exit 1 }' \
		<(LC_ALL=C "$bin/watch" --once --width $width odd || echo "exit status $?" "$(printf '%0999d' 0)")
done
"$oldlog" text odd/checkpoint.h5 /model name nowhere || fail "oldlog"
refused 2 "odd/checkpoint.h5: /model is none that can be made: unknown model nowhere" "$bin/sample" odd --count 5
"$oldlog" text odd/checkpoint.h5 /model name realnvp && "$oldlog" text odd/checkpoint.h5 /model dtype f16 || fail "oldlog"
refused 2 "odd/checkpoint.h5: /model is absent or damaged" "$bin/sample" odd --count 5
# no version at all
"$oldlog" stamp later/run.h5 0 || fail "oldlog"
refused 2 "is not a flowtape run log" "$bin/compare" later
report
