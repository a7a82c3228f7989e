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
# Of many configurations a row each, so that paper shows them all
for width in 4 5 6 7 8 9 10; do
	"$bin/tabular" --data three.csv --model realnvp --steps 2 --set layers=1 --set width=$width --quiet --no-figures --out many$width >/dev/null ||
		fail "tabular, width $width"
done
"$bin/report" many* --no-samples --out many.html >/dev/null || fail "report of many"
check "many: $("$wellformed" many.html)" "$wellformed" many.html >/dev/null
check "seven rows of two columns" test "$(sed -n '/differs in the conf/,/<\/table>/p' many.html | grep -c '^<tr><td>realnvp width=[0-9]*<\/td><td data-v="[0-9]*">[0-9]*<\/td><\/tr>$')" -eq 7
# The copy in LaTeX, back from HTML: as many columns in each line as declared, every brace and dollar closed
sed -n '/<summary>LaTeX/,/<\/pre>/p' page.html | sed 's/.*<pre>//; s/<\/pre>.*//; s/&amp;/\&/g; s/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g' >table.tex
check "LaTeX begins and ends" test "$(grep -c 'begin{tabular}\|end{tabular}' table.tex)" -eq 2
check "LaTeX has a line for each row" awk -F'{' '/begin{tabular}/ { n = length($3) - 1; next }
	/\\\\$/ { gsub(/\\&/, ""); if (gsub(/&/, "&") != n - 1 || gsub(/\$/, "$") % 2) exit 1; rows++ } END { exit rows != 4 }' table.tex
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
	# A click on the heading of "parameters", another, and one on "model": the order of the first column each time; what
	# the page fetched; and how wide it is on a phone.
	cat >click.js <<'END'
<script>
var t = document.querySelector('table.sortable'), heads = Array.from(t.querySelectorAll('th')), said = [];
function press(name) {
	heads.find(function(h) { return h.textContent === name }).querySelector('button').click();
	said.push(Array.from(t.tBodies[0].rows).map(function(r) { return r.cells[0].textContent }).join(' '));
}
press('parameters'); press('parameters'); press('model');
var fetched = performance.getEntriesByType('resource').filter(function(r) { return r.name.slice(0, 5) !== 'data:' }).length;
var copy = document.documentElement.cloneNode(true), phone = document.createElement('iframe');
copy.querySelectorAll('script').forEach(function(s) { s.remove() });
phone.style.width = '390px';
phone.srcdoc = copy.outerHTML;
phone.onload = function() {
	document.title = 'order: ' + said.join(' / ') + '; fetched ' + fetched + '; phone ' +
		(phone.contentDocument.documentElement.scrollWidth <= 390 ? 'fits' : 'cut');
};
document.body.appendChild(phone);
</script>
END
	{ sed '/<\/body>/,$d' page.html; cat click.js; printf '</body>\n</html>\n'; } >clicked.html
	order=$("$bin/compare" --csv r1 r2 m g | awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "parameters") k = i }
		NR > 1 { gsub(/"/, "", $1); print $k, $1 }' | sort -n | awk '{ a = a (NR > 1 ? " " : "") $2; b = $2 (NR > 1 ? " " : "") b }
		END { print a " / " b }')
	HOME=$tmp timeout 60 "$browser" --headless --no-sandbox --disable-gpu --enable-logging=stderr --virtual-time-budget=5000 \
		--dump-dom "file://$tmp/clicked.html" >dom 2>browser.err
	if [ -s dom ]; then
		check "tables sort, nothing is fetched, a phone shows it: $(grep -o '<title>order.*</title>' dom)" \
			grep -qF "<title>order: $order / gaussian maf realnvp; fetched 0; phone fits</title>" dom
		check "no complaints on the console: $(grep CONSOLE browser.err | head -2)" test "$(grep -c CONSOLE browser.err)" -eq 0
	else
		echo "the browser does not run here: sorting was not tested"
	fi
	# Printed: tables are as wide as the paper, so that none is cut
	if HOME=$tmp timeout 60 "$browser" --headless --no-sandbox --disable-gpu --no-pdf-header-footer --print-to-pdf="$tmp/page.pdf" \
		"file://$tmp/page.html" >/dev/null 2>&1 && [ -s page.pdf ]; then
		check "it prints on a few pages" test "$(grep -ac '/Type */Page\b' page.pdf)" -lt 12
	fi
else
	echo "no browser: sorting was not tested"
fi
report
