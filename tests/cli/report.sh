#!/usr/bin/env bash
# report.sh - the page of several runs: well-formed, needs nothing else, and its tables sort in a browser if there is one.
. "$(dirname "$0")/common.sh" "$@"
wellformed=$2/wellformed

table 500 3 >three.csv
awk -F, '{ print $1 "," $2 + $1 * $1 }' three.csv >"a<b>&c.csv"
net=(--steps 30 --batch 50 --set layers=2 --set width=8 --quiet --no-figures)
for seed in 1 2; do
	"$bin/tabular" --data "a<b>&c.csv" --model realnvp --seed $seed --out r$seed "${net[@]}" >/dev/null || fail tabular
done
"$bin/tabular" --data "a<b>&c.csv" --model maf --out m "${net[@]}" >/dev/null || fail tabular
"$bin/tabular" --data "a<b>&c.csv" --model gaussian --out g --quiet --no-figures >/dev/null || fail gaussian
"$bin/tabular" --data three.csv --model nsf-ar --out three "${net[@]}" >/dev/null || fail tabular

"$bin/report" r1 r2 m g --out page.html >said 2>stderr
got=$?
check "report: $(cat stderr)" test $got -eq 0
check "nothing on stderr" test ! -s stderr
check "well-formed and self-contained: $("$wellformed" page.html)" "$wellformed" page.html >/dev/null
for word in 'Test log-likelihood' Cost 'differs in the configuration' 'Learning curves' Calibration 'Densities and samples' Models \
	'Where the numbers come from' 'class="sortable"' 'viewport' 'prefers-color-scheme:dark' '@media print' \
	'\\begin{tabular}' '| model ' 'a&lt;b&gt;&amp;c.csv'; do
	check "the page has $word" grep -q -- "$word" page.html
done
check "pictures of the data and of density and samples of three models" test "$(grep -c 'src="data:image/png;base64' page.html)" -eq 7
check "a drawing of each model" test "$(grep -c 'the flow, from data x to latent z' page.html)" -eq 3
grep -o 'base64,[^"]*' page.html | head -1 | cut -d, -f2 | base64 -d >one.png 2>/dev/null
check "the picture is a PNG" test "$(head -c 8 one.png | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a
"$bin/report" three --out three.html >/dev/null || fail "report of three columns"
check "three columns: $("$wellformed" three.html)" "$wellformed" three.html >/dev/null
check "histograms instead of pictures" grep -q 'column 3' three.html
"$bin/report" r1 m --no-samples --title '<x>' --out bare.html >/dev/null || fail "report --no-samples"
check "without samples: $("$wellformed" bare.html)" "$wellformed" bare.html >/dev/null
check "a title is escaped" grep -q '<h1>&lt;x&gt;</h1>' bare.html
# The checker must see faults.
sed 's/<\/tbody>//' page.html >bad.html
check "an element left open is seen" test "$("$wellformed" bad.html >/dev/null; echo $?)" -eq 1
sed 's/data:image\/png;base64,[^"]*/picture.png/' page.html >bad.html
check "a picture elsewhere is seen" grep -q 'is elsewhere' <("$wellformed" bad.html)

refused 2 "tested on different rows" "$bin/report" r1 three --out no.html
refused 2 "cannot read nothing" "$bin/report" nothing --out no.html
refused 1 "cannot write nowhere/page.html" "$bin/report" g --no-samples --out nowhere/page.html
mkdir alone
cp r1/run.h5 alone
refused 1 "cannot read alone/checkpoint.h5" "$bin/report" alone --out alone.html
check "the page is there all the same: $("$wellformed" alone.html)" "$wellformed" alone.html >/dev/null

for browser in chromium chromium-browser google-chrome; do
	command -v $browser >/dev/null && break
done
if command -v $browser >/dev/null; then
	# A click on the heading of "parameters", another, and one on "model": the order of the first column each time.
	cat >click.js <<'END'
<script>
var t = document.querySelector('table.sortable'), heads = Array.from(t.querySelectorAll('th')), said = [];
function press(name) {
	heads.find(function(h) { return h.textContent === name }).querySelector('button').click();
	said.push(Array.from(t.tBodies[0].rows).map(function(r) { return r.cells[0].textContent }).join(' '));
}
press('parameters'); press('parameters'); press('model');
document.title = 'order: ' + said.join(' / ');
</script>
END
	{ sed '/<\/body>/,$d' page.html; cat click.js; printf '</body>\n</html>\n'; } >clicked.html
	order=$("$bin/compare" --csv r1 r2 m g | awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "parameters") k = i }
		NR > 1 { gsub(/"/, "", $1); print $k, $1 }' | sort -n | awk '{ a = a (NR > 1 ? " " : "") $2; b = $2 (NR > 1 ? " " : "") b }
		END { print a " / " b }')
	HOME=$tmp timeout 60 "$browser" --headless --no-sandbox --disable-gpu --virtual-time-budget=2000 --dump-dom \
		"file://$tmp/clicked.html" >dom 2>browser.err
	if [ -s dom ]; then
		check "tables sort: $(grep -o '<title>.*</title>' dom)" grep -qF "<title>order: $order / gaussian maf realnvp</title>" dom
	else
		echo "the browser does not run here: sorting was not tested"
	fi
else
	echo "no browser: sorting was not tested"
fi
report
