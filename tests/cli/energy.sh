#!/usr/bin/env bash
# energy.sh - fits to energies: what they say and keep; what cannot be is refused.
. "$(dirname "$0")/common.sh" "$@"

small() { # model: settings that make it small
	case $1 in
	gaussian) ;;
	independent) echo "--set bins=4" ;;
	ffjord | otflow) echo "--set width=8 --set solver_steps=3" ;;
	planar | radial | sylvester) echo "--set layers=4" ;;
	bnaf | gf) echo "--set layers=2 --set units=4" ;;
	*) echo "--set layers=2 --set width=8" ;;
	esac
}
# every model samples by a formula, is turned round, or is solved both ways
for model in $("$bin/tabular" --list-models | cut -d' ' -f1); do
	"$bin/energy" --energy U1 --model "$model" --steps 12 --batch 64 --out "$model" --quiet --no-figures \
		--set test_samples=500 --set validation_rows=500 $(small "$model") >said 2>stderr
	got=$?
	check "$model fits: $(head -2 stderr)" test $got -eq 0
	check "$model: nothing on stderr" test ! -s stderr
	check "$model: KL with its error" grep -qE "^$model on U1: KL [0-9.]+ \+- [0-9.]+ nats" said
	check "$model: effective samples" grep -qE "effective samples [0-9.]+ %, log Z by importance [0-9.]+ \+- [0-9.]+ nats" said
	check "$model is finished" test "$(status_of "$model/run.h5")" = finished
	check "$model samples: $(head -1 stderr)" "$bin/sample" "$model" --count 10 --out m.csv --log-density l.csv >/dev/null
done
kl() { "$logtext" "$1" | sed -n 's/^final\/kl \([^ ]*\) nats/\1/p'; }
"$bin/energy" --energy U1 --model planar --steps 12 --batch 64 --out again --quiet --no-figures --set test_samples=500 \
	--set validation_rows=500 --set layers=4 >/dev/null
check "the same run again" test "$(kl again/run.h5)" = "$(kl planar/run.h5)"
"$bin/energy" --energy U1 --model planar --steps 12 --batch 64 --seed 2 --out other --quiet --no-figures --set test_samples=500 \
	--set validation_rows=500 --set layers=4 >/dev/null
check "another seed, another run" test "$(kl other/run.h5)" != "$(kl planar/run.h5)"
check "planar was turned round" grep -q '^config/direction "sampling"' <("$logtext" planar/run.h5)
check "planar samples" "$bin/sample" planar --count 100 --out s.csv --log-density l.csv
check "and has a density" "$bin/evaluate" planar --data s.csv --out e.csv

"$bin/energy" --energy U1 --model realnvp --steps 300 --out fit --quiet --no-figures --set layers=4 --set width=32 >said
check "training lowers the divergence: $(head -1 said)" awk '/KL/ { exit !($5 > 0 && $5 < 0.2) }' said

for energy in U1 U2 U3 U4; do
	check "--list-energies names $energy" grep -q "^$energy  log Z [0-9.]* nats" <("$bin/energy" --list-energies)
done
use() {
	refused 2 "$1" "$bin/energy" --out out --steps 5 --quiet "${@:2}"
	check "nothing was written: ${*:2}" test ! -e out
}
use "needs --energy and --model" --energy U1
use "unknown energy \"U9\"" --energy U9 --model planar
use "unknown model \"planr\", did you mean planar?" --energy U1 --model planr
use "model planar has no setting \"bins\"" --energy U1 --model planar --set bins=8
use "anneal must be from 0 to 1" --energy U1 --model planar --set anneal=2
use "gradient takes one of stick|path" --energy U1 --model planar --set gradient=landing
# Annealing changes the run: the inverse temperature rises to 1 in the first half.
"$bin/energy" --energy U1 --model planar --steps 40 --out annealed --quiet --no-figures --set test_samples=500 --set layers=4 \
	--set anneal=0.5 --set anneal_from=0.2 --set validate=10 >/dev/null
# 0.2 + 0.8 k / 20 at step k, counted from 0; the values are those of the steps that end at 10, 20, 30, 40
check "the temperatures" test "$("$logtext" annealed/run.h5 | sed -n 's/^series\/metric\/inverse_temperature step //p' | tr '\n' ' ')" = \
	"10 0x1.1eb852p-1 1 20 0x1.eb851ep-1 1 30 0x1p+0 1 40 0x1p+0 1 "
refused 2 "planar/run.h5 exists" "$bin/energy" --energy U1 --model planar --out planar
report
