#!/usr/bin/env bash
# energy.sh - fits to energies: what they say and keep; what cannot be is refused.
. "$(dirname "$0")/common.sh" "$@"

for model in planar radial sylvester iaf realnvp nsf-c cpflow maf; do
	net=()
	case $model in iaf | realnvp | nsf-c | maf | cpflow) net=(--set layers=2 --set width=8) ;; *) net=(--set layers=4) ;; esac
	"$bin/energy" --energy U1 --model $model --steps 20 --out $model --quiet --no-figures --set test_samples=1000 "${net[@]}" \
		>said 2>stderr
	check "$model fits: $(head -2 stderr)" test $? -eq 0
	check "$model: nothing on stderr" test ! -s stderr
	check "$model: KL with its error" grep -qE "^$model on U1: KL [0-9.]+ \+- [0-9.]+ nats" said
	check "$model: effective samples" grep -qE "effective samples [0-9.]+ %" said
	check "$model is finished" test "$(status_of $model/run.h5)" = finished
done
kl() { "$logtext" "$1" | sed -n 's/^final\/kl \([^ ]*\) nats/\1/p'; }
"$bin/energy" --energy U1 --model planar --steps 20 --out again --quiet --no-figures --set test_samples=1000 --set layers=4 >/dev/null
check "the same run again" test "$(kl again/run.h5)" = "$(kl planar/run.h5)"
"$bin/energy" --energy U1 --model planar --steps 20 --seed 2 --out other --quiet --no-figures --set test_samples=1000 \
	--set layers=4 >/dev/null
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
use "is fitted to data" --energy U1 --model gaussian
use "does not sample by a formula" --energy U1 --model planar --set direction=density
use "gradient takes one of stick|path" --energy U1 --model planar --set gradient=landing
refused 2 "planar/run.h5 exists" "$bin/energy" --energy U1 --model planar --out planar
report
