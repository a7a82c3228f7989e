#!/usr/bin/env bash
# broken_run.sh - a loss that becomes NaN, a full disk: the run says what happened and keeps its last good checkpoint.
. "$(dirname "$0")/common.sh" "$@"

args=(--model realnvp --data moons --batch 64 --no-figures --quiet --set rows=2000 --set width=16 --set layers=2
	--set validate=10 --set save=0)
refused 1 "training failed: " "$bin/tabular" "${args[@]}" --steps 200 --lr 1e30 --set clip=0 --out diverged
check "the op is named: $(cat stderr)" grep -qE 'ad_|nan|NaN|infinit|not finite' stderr
check "status failed" test "$(status_of diverged/run.h5)" = failed
check "the reason is in the log" grep -q '^status_reason ".*step 2' <("$logtext" diverged/run.h5)

# The learning rate rises until the loss overflows, after good checkpoints were written.
"$bin/tabular" "${args[@]}" --steps 5000 --set warmup=100000 --lr 1e3 --set clip=0 --set optimiser=sgd \
	--out late >/dev/null 2>stderr
got=$?
check "a late divergence: exit status $got" test $got -eq 1
check "the last good checkpoint serves" "$bin/sample" late --count 5 --out s.csv >/dev/null
check "and is finite" test "$(grep -c '^[-0-9]' s.csv)" -eq 5

# Files may not grow beyond 8 kB: as a full disk.
trap '' XFSZ
(
	ulimit -f 8
	"$bin/tabular" "${args[@]}" --steps 30 --out full >stdout 2>stderr
)
got=$?
check "a full disk: exit status $got" test $got -ne 0
check "a full disk is named: $(head -2 stderr)" grep -q "cannot write" stderr
check "no part is left behind" test -z "$(ls full/*.part 2>/dev/null)"
report
