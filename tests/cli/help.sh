#!/usr/bin/env bash
# help.sh - every program explains itself, and names a mistake on its command line.
. "$(dirname "$0")/common.sh" "$@"

for program in tabular energy watch compare report replay sample evaluate; do
	"$bin/$program" --help >page 2>stderr
	check "$program --help exits 0" test $? -eq 0
	check "$program --help is silent on stderr" test ! -s stderr
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS EXAMPLES "EXIT STATUS"; do
		check "$program --help has $section" grep -qx "$section" page
	done
	check "$program --help fits 100 columns" awk 'length > 100 { exit 1 }' page
	refused 2 "unknown option --hlep (did you mean --help?)" "$bin/$program" --hlep
	refused 2 "unknown option -x" "$bin/$program" -x
done

for model in gaussian independent nice realnvp maf iaf nsf-c nsf-ar; do
	check "--list-models names $model" grep -q "^$model " <("$bin/tabular" --list-models)
done
for density in 8gaussians checkerboard 2spirals pinwheel swissroll circles rings moons; do
	check "--list-densities names $density" grep -q "^$density .*nats" <("$bin/tabular" --list-densities)
done

# Options, settings and model settings are entries of one group in the log.
check "no name twice in tabular --help" test -z "$("$bin/tabular" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p; s/^  \([a-z_]*\)=.*/\1/p' | sort | uniq -d)"

run() {
	refused 2 "$1" "$bin/tabular" --data moons --model maf --out out "${@:2}"
	check "nothing was written: ${*:2}" test ! -e out
}
run "unknown option --stpes (did you mean --steps?)" --stpes 10
run "--steps takes a whole number, not \"ten\"" --steps ten
run "--steps takes a whole number, not \"1.5\"" --steps 1.5
run "--steps must be" --steps 0
run "--batch must be" --batch -3
run "--lr takes a number, not \"nan\"" --lr nan
run "--dtype takes one of f32|f64, not \"f16\"" --dtype f16
run "--seed needs a value" --seed
run "unexpected argument \"moons\"" moons
run "--set takes key=value, not \"clip\"" --set clip
run "unknown key \"clipp\" (did you mean clip?)" --set clipp=3
run "unknown key \"widht\" (did you mean width?)" --set widht=3
run "takes one of cosine|constant|plateau, not \"linear\"" --set schedule=linear
run "width" --set width=wide
run "width" --set width=-4
run "model maf has no setting \"bins\"" --set bins=8
refused 2 "unknown model \"realnpv\", did you mean realnvp?" "$bin/tabular" --data moons --model realnpv --out out
refused 2 "needs --data and --model" "$bin/tabular"
refused 2 "needs RUN.h5" "$bin/compare"
refused 2 "exclude each other" "$bin/compare" --csv --latex x.h5
refused 2 "needs --count" "$bin/sample" .
refused 2 "checkpoint.h5" "$bin/sample" . --count 3
refused 2 "needs --data" "$bin/evaluate" .
report
