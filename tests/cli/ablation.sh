#!/usr/bin/env bash
# ablation.sh - an ablation runs what is missing, survives interruption and death with the same bits, and says what failed.
. "$(dirname "$0")/common.sh" "$@"
small='--steps 40 --batch 50 --set rows=1000 --set layers=2 --set width=8'

"$bin/ablate_base" --list >list || fail "ablate_base --list"
check "four variants, three seeds" test "$(wc -l <list)" -eq 12
check "a command of tabular" grep -q 'tabular --data .* --set base=student .*--seed 2 ' list
for program in "$bin"/ablate_*; do
	[ -f "$program" ] || continue
	"$program" --list >list 2>stderr || fail "$program --list"
	"$program" --help >page || fail "$program --help"
	check "$program --help shows the variants" grep -q 'table.csv' page
	while read -r run; do # every shipped command is one that tabular takes, as far as it can say without data
		$(echo "$run" | sed "s|--data [^ ]*|--data no/such.csv|; s|--out .*|--out $tmp/none|") >/dev/null 2>stderr
		check "$run: $(cat stderr)" grep -q 'no/such.csv' stderr
	done < <(grep -e '--seed 1 ' list)
done

"$bin/ablate_base" --seeds 2 --more "$small" --out all --jobs 2 >said 2>stderr
got=$?
check "ablate_base: $(tail -1 stderr)" test $got -eq 0
check "eight runs" test "$(ls -d all/*-[12] | wc -l)" -eq 8
check "compared, seeds together" test "$(grep -c '^realnvp.* base=[a-z-]*  *2 ' said)" -eq 4
check "a report" "$2/wellformed" all/report.html >/dev/null
check "its heading" grep -q '<h1>ablate_base: ' all/report.html

# Again: nothing is run; one taken away: that one is run, to the same bits.
before=$(stat -c '%n %Y %i' all/*/run.h5)
mv all/normal-1 gone
"$bin/ablate_base" --seeds 2 --more "$small" --out all --no-report >again 2>/dev/null || fail "the second time"
check "the others were left alone" test "$(stat -c '%n %Y %i' all/*/run.h5 | grep -v normal-1)" = "$(echo "$before" | grep -v normal-1)"
same_run "a run made again" gone/run.h5 all/normal-1/run.h5
columns() { # what does not depend on time
	awk '/^Cost/ { exit } /realnvp/ { NF--; print }' "$1"
}
check "the same table" diff <(columns said) <(columns again)

# Interrupted, killed: the same command goes on.
long='--steps 3000 --batch 50 --set rows=1000 --set layers=2 --set width=8 --set validate=100 --set save=0'
"$bin/ablate_linear" --data pinwheel --seeds 1 --only lu --more "$long" --out whole --no-report >/dev/null 2>&1 || fail "whole"
for signal in INT TERM KILL; do
	"$bin/ablate_linear" --data pinwheel --seeds 1 --only lu --more "$long" --out cut$signal --no-report >/dev/null 2>stderr &
	running=$!
	for k in $(seq 200); do
		[ -s cut$signal/lu-1/checkpoint.h5 ] && break
		sleep 0.02
	done
	kill -$signal $running
	wait $running 2>/dev/null
	got=$?
	[ $signal = INT ] && check "status after SIGINT: $got" test $got -eq 130
	[ $signal = TERM ] && check "status after SIGTERM: $got" test $got -eq 143
	[ $signal = KILL ] || check "says how to go on: $(cat stderr)" grep -q 'the same command goes on' stderr
	for k in $(seq 200); do # a run whose parent was killed ends by itself
		flock -n cut$signal/lu-1/.lock true && break
		sleep 0.05
	done
	check "SIG$signal: its runs have ended" flock -n cut$signal/lu-1/.lock true
	"$bin/ablate_linear" --data pinwheel --seeds 1 --only lu --more "$long" --out cut$signal --no-report >/dev/null 2>stderr ||
		fail "going on after SIG$signal: $(cat stderr)"
	same_run "after SIG$signal" whole/lu-1/run.h5 cut$signal/lu-1/run.h5
done

# What fails is named; the rest is compared.
"$bin/ablate_base" --seeds 2 --only normal,mixture --more "$small --steps 41" --out all --no-report >said 2>stderr
check "other options than the runs have: exit status" test $? -eq 1
check "and a line: $(cat stderr)" grep -q 'failed with status 2: .*steps is 40 in the run, not 41' stderr
mkdir half
echo no >half/logistic-1
"$bin/ablate_base" --seeds 1 --only normal,logistic --more "$small" --out half --no-report >said 2>stderr
check "one that cannot run: exit status" test $? -eq 1
check "it is named" grep -q 'half/logistic-1 failed with status' stderr
check "the other is shown" grep -q '^realnvp ' said
refused 2 'there is no variant "norml", did you mean normal?' "$bin/ablate_base" --only norml --out no
refused 2 "cannot make directory" "$bin/ablate_base" --out "$0/no"
report
