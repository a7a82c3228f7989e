#!/usr/bin/env bash
# columns.sh - typed columns: declared, kept with the run, undone in samples; what cannot be is refused.
. "$(dirname "$0")/common.sh" "$@"

awk 'BEGIN { srand(3); for (i = 0; i < 400; i++) { u = (rand() + rand()) / 2
	printf "%.5f,%.5f,%.5f,%d,%.5f\n", u, exp(rand() + u), 6.2 * rand(), 4 * u + rand(), rand() - 3 } }' >t.csv
kinds=1:bounded[0,1],2:positive,3:periodic[0,6.2832],4:discrete

for model in gaussian maf; do
	net=()
	[ $model = gaussian ] || net=(--steps 20 --set layers=2 --set width=8)
	"$bin/tabular" --data t.csv --model $model --set "columns=$kinds" --out $model --quiet --no-figures "${net[@]}" >said 2>stderr
	check "$model trains: $(head -2 stderr)" test $? -eq 0
	check "$model says that it is a bound" grep -q "lower bound: 1 discrete column" said
	check "$model: the log says so too" grep -q '^data/likelihood "lower bound' <("$logtext" $model/run.h5)
	"$bin/sample" $model --count 200 --out s.csv --log-density l.csv >/dev/null || fail "sample $model"
	check "$model: samples are such values as the columns can have" awk -F, '$1 < 0 || $1 > 1 || $2 <= 0 || $3 < 0 || $3 >= 6.2832 ||
		$4 != int($4) { exit 1 } END { if (NR != 200) exit 1 }' s.csv
	"$bin/evaluate" $model --data s.csv --out e.csv >said || fail "evaluate $model"
	check "$model: densities of samples" cmp l.csv e.csv
	check "evaluate says that it is a bound" grep -q "lower bound" said
done
"$bin/tabular" --data t.csv --model gaussian --set columns=1:bounded[0,1],2:positive --set drop=4 --out dropped --no-figures >said
check "without discrete columns it is no bound" grep -q '^data/likelihood "exact"' <("$logtext" dropped/run.h5)
check "nothing is said of bounds" test "$(grep -c bound said)" -eq 0
check "typed columns after a dropped one" "$bin/tabular" --data t.csv --model gaussian --set columns=5:real,4:discrete --set drop=1-3 \
	--out after --no-figures >/dev/null

# A killed run goes on with its columns.
"$bin/tabular" --data t.csv --model maf --set "columns=$kinds" --set save=0 --set layers=2 --set width=8 --steps 300 --out whole \
	--quiet --no-figures >/dev/null
"$bin/tabular" --data t.csv --model maf --set "columns=$kinds" --set save=0 --set layers=2 --set width=8 --steps 300 --out cut \
	--quiet --no-figures >/dev/null 2>&1 &
pid=$!
while [ ! -e cut/checkpoint.h5 ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
"$bin/tabular" --out cut --resume --quiet --no-figures >/dev/null || fail "resume"
same_run "resumed" whole/run.h5 cut/run.h5
refused 2 "columns is $kinds in the run, not 1:positive" "$bin/tabular" --out cut --resume --set columns=1:positive

# A discrete source: a of 1/2, 1/4, 1/8, 1/8, b = a or, one time in four, a + 1; 1.2806 bits a column.  Its eight outcomes, each many
# times, give the cross entropy without the noise of a test sample: never below the entropy, and near it with variational columns.
awk 'BEGIN { srand(11); for (i = 0; i < 20000; i++) { r = rand(); a = r < 0.5 ? 0 : r < 0.75 ? 1 : r < 0.875 ? 2 : 3
	print a "," a + (rand() < 0.25) } }' >source.csv
awk 'BEGIN { for (a = 0; a < 4; a++) for (b = 0; b < 2; b++) for (k = 0; k < 50; k++) print a "," a + b }' >outcomes.csv
cross() { # declaration: bits a column, and the mass of all outcomes
	"$bin/tabular" --data source.csv --model nsf-ar --steps 400 --batch 256 --set layers=2 --set width=16 --set "columns=1-2:$1" \
		--out source --quiet --no-figures >said 2>stderr || fail "$1: $(head -1 stderr)"
	"$bin/evaluate" source --data outcomes.csv --out l.csv >/dev/null || fail "evaluate $1"
	rm -rf source
	paste -d, outcomes.csv l.csv | awk -F, '{ p = ($1 < 2 ? 0.5 ^ ($1 + 1) : 0.125) * ($2 > $1 ? 0.25 : 0.75) / 50
		bits -= p * $3 / log(2) / 2; mass += exp($3) / 50 } END { printf "%.4f %.4f\n", bits, mass }'
}
read -r uniform mass < <(cross discrete)
check "uniform: $uniform bits, mass $mass" awk "BEGIN { exit !($uniform > 1.2806 && $uniform < 1.4 && $mass < 1) }"
read -r variational mass < <(cross 'variational[1,32]')
check "variational: $variational bits, mass $mass" \
	awk "BEGIN { exit !($variational > 1.2806 && $variational < 1.31 && $variational < $uniform - 0.02 && $mass < 1) }"
check "how it is tested" grep -q "by 32 draws of the points in cells; the variational bound, of one, is -[0-9.]* nats" said

# Killed and resumed, with the bound of the same draws.
every=(--data source.csv --model maf --set columns=1:variational,2:discrete --set save=0 --set layers=2 --set width=8 --steps 200 --quiet
	--no-figures)
"$bin/tabular" "${every[@]}" --out all >/dev/null || fail "variational and discrete"
"$bin/tabular" "${every[@]}" --out part >/dev/null 2>&1 &
pid=$!
while [ ! -e part/checkpoint.h5 ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -9 $pid 2>/dev/null
wait $pid 2>/dev/null
"$bin/tabular" --out part --resume --threads 1 --quiet --no-figures >/dev/null || fail "resume variational columns"
same_run "variational columns, resumed" all/run.h5 part/run.h5
check "the log says how" grep -q '^data/dequantisation "uniform and variational"' <("$logtext" all/run.h5)
"$bin/sample" all --count 50 --out s.csv >/dev/null || fail "sample variational columns"
check "samples on their steps" awk -F, '$1 != int($1) || $2 != int($2) { exit 1 }' s.csv

use() { # words, declaration
	refused 2 "$1" "$bin/tabular" --data t.csv --model gaussian --set "columns=$2" --out out "${@:3}"
	check "nothing was written for $2" test ! -e out
}
use "wanted NUMBER:KIND" "1:bound[0,1]"
use "there are columns 1 to 5" "6:positive"
use "declared twice" "1-3:positive,2:discrete"
use "row 1, column 5 holds" "5:positive"
use "is not a multiple of 1" "1:discrete"
use "is not a multiple of 1" "1:variational"
use "wanted NUMBER:KIND" "4:variational[1,0.5]"
use "can be discrete, not variational" "4:variational"
use "is not from 0 to 0.5" "1:bounded[0,0.5]"
use "column 4 is dropped, but has a kind" "4:discrete" --set drop=4
use "columns is empty" ""
sed 's/^[^,]*/1.5/' t.csv >far.csv
refused 2 "far.csv: row 1, column 1 holds 1.5, which is not from 0 to 1" "$bin/evaluate" gaussian --data far.csv
sed '3s/,[^,]*$/,-0.5/' t.csv >few.csv
refused 2 "few.csv: row 3, column 5 holds -0.5, which is not from -3 to -2" "$bin/tabular" --data few.csv --model gaussian \
	--set columns=5:bounded[-3,-2] --set drop=1-3 --out out

# Columns that the run left out are left out of other files too, and messages count those of the file.
"$bin/evaluate" after --data t.csv --drop 1-3 --out e1.csv >/dev/null || fail "evaluate --drop"
cut -d, -f4,5 t.csv >kept.csv
"$bin/evaluate" after --data kept.csv --out e2.csv >/dev/null || fail "evaluate without the others"
check "evaluate --drop gives the same densities" cmp e1.csv e2.csv
refused 2 "has 5 columns (--drop leaves some out), the model in after has 2" "$bin/evaluate" after --data t.csv
refused 2 "columns to drop '1-3,9': wanted numbers from 1 to 5" "$bin/evaluate" after --data t.csv --drop 1-3,9
sed '7s/^\([^,]*,[^,]*,[^,]*\),[^,]*/\1,0.5/' t.csv >half.csv
refused 2 "half.csv: row 7, column 4 holds 0.5, which is not a multiple of 1" "$bin/evaluate" after --data half.csv --drop 1-3
report
