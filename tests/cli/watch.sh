#!/usr/bin/env bash
# watch.sh - curves in the terminal: of runs that are over, of one that goes on, of files that are missing or broken.
. "$(dirname "$0")/common.sh" "$@"

args=(--model realnvp --data moons --batch 64 --no-figures --quiet --set rows=2000 --set width=8 --set layers=2)
for seed in 1 2; do
	"$bin/tabular" "${args[@]}" --steps 60 --seed $seed --out r$seed >/dev/null || fail "tabular"
done
"$bin/tabular" --data moons --model gaussian --no-figures --quiet --set rows=2000 --out g >/dev/null || fail "gaussian"

"$bin/watch" r1 r2/run.h5 g >page 2>stderr
got=$?
check "not a terminal: drawn once: $(cat stderr)" test $got -eq 0
check "a line for each run" test "$(grep -c 'finished.*test .*nats' page)" -eq 3
for title in train/loss val/nll train/lr rate; do
	check "a panel for $title" grep -q "$title" page
done
check "pipes get no control characters" awk '/[\001-\010\013-\037\177]/ { exit 1 }' page
for width in 40 80 130; do
	check "fits $width columns" awk -v w=$width 'length > w { exit 1 }' \
		<(LC_ALL=C "$bin/watch" --once --ascii --width $width r1 r2)
done
check "a series of choice" grep -q 'train/grad_norm' <("$bin/watch" --series train/grad_norm r1)
check "Braille for one run in UTF-8" grep -q '⠤\|⣀\|⠒\|⠉' <(LC_ALL=C.UTF-8 "$bin/watch" r1)
check "ASCII elsewhere" awk '/[^ -~]/ { exit 1 }' <(LC_ALL=C "$bin/watch" r1)

refused 2 "no run has a series \"val/nlll\"" "$bin/watch" --series val/nlll r1
refused 2 "cannot read nowhere" "$bin/watch" nowhere
echo text >text
refused 2 "is not a whole HDF5 file" "$bin/watch" text
refused 2 "is not a flowtape run log" "$bin/watch" r1/checkpoint.h5
mkdir cut
head -c 3000 r1/run.h5 >cut/run.h5
refused 2 "cut/run.h5" "$bin/watch" r1 cut
size=$(stat -c %s r1/run.h5)
for k in 1 2 3 4 5 6 7 8; do # bytes changed anywhere: an answer or one line, never a crash
	cp r1/run.h5 cut/run.h5
	for j in 1 2 3 4 5 6 7 8 9; do
		printf '\377' | dd of=cut/run.h5 bs=1 seek=$(((k * 7919 + j * 104729) % size)) conv=notrunc 2>/dev/null
	done
	timeout 60 "$bin/watch" cut >/dev/null 2>stderr
	got=$?
	check "damaged bytes, $k: exit status $got" test $got -eq 0 -o $got -eq 2
	check "damaged bytes, $k: at most a line" test "$(wc -l <stderr)" -le 1
done

# A run that goes on, in a terminal: a first picture, then another when the file is replaced, and a clean end.
if command -v script >/dev/null; then
	"$bin/tabular" "${args[@]}" --steps 100000000 --set save=0 --set validate=200 --out live >/dev/null 2>&1 &
	training=$!
	for k in $(seq 300); do
		[ -s live/run.h5 ] && "$bin/watch" --once live | grep -q best && break
		sleep 0.1
	done
	check "how long it will take" grep -q '/s  left ' <("$bin/watch" --once live)
	(TERM=xterm script -qfec "echo \$\$ >pid; exec '$bin/watch' --every 0.1 live" typed </dev/null >/dev/null 2>&1) &
	watching=$!
	sleep 1
	kill -INT "$(cat pid)"
	wait $watching
	check "status after SIGINT" test $? -eq 130
	check "several pictures" test "$(grep -ac $'\033\\[H' typed)" -ge 2
	check "the screen is given back" grep -aq $'\033\\[?1049l' typed
	(TERM=xterm script -qfec "exec '$bin/watch' --every 0.1 live" ended </dev/null >/dev/null 2>&1) &
	watching=$!
	sleep 0.5
	kill -INT $training
	wait $training
	wait $watching
	check "it ends when the run does" test $? -eq 0
	check "and says so" grep -aq interrupted ended
else
	echo "no script program: the live view was not tested"
fi
report
