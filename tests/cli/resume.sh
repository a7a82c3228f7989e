#!/usr/bin/env bash
# resume.sh - a run that is interrupted or killed and resumed has the bits of one that was not (kills.sh kills more often).
kills=4
. "$(dirname "$0")/common.sh" "$@"

every=(--steps 300 --batch 64 --quiet --no-figures --set validate=10 --set points=3 --set save=0 --set width=16 --set layers=3)
args=(--data moons "${every[@]}" --set rows=2000)
whole_file() {
	case $1 in
	*run.h5) "$logtext" "$1" >/dev/null ;;
	*) "$bin/sample" "$(dirname "$1")" --count 1 --out x.csv >/dev/null ;;
	esac
}

same_end() { # runs what was killed to its end and compares
	"$bin/$program" --out killed --resume "${model[@]}" >/dev/null 2>stderr
	got=$?
	check "$program ${model[1]} is resumed: $(head -1 stderr)" test $got -eq 0
	same_run "$program ${model[1]} killed and resumed" whole/run.h5 killed/run.h5
	"$bin/sample" killed --count 20 --out b.csv >/dev/null
	check "${model[1]}: the same samples" cmp a.csv b.csv
	rm -rf killed
}

kill_and_compare() { # model, more options; of $program with $args
	local n=0 start model=(--model "$@" "${args[@]}") span
	rm -rf whole killed
	start=$(date +%s%3N)
	"$bin/$program" "${model[@]}" --out whole >/dev/null || fail "$1 runs"
	span=$(($(date +%s%3N) - start))
	"$bin/sample" whole --count 20 --out a.csv >/dev/null
	while [ $n -lt "$kills" ]; do
		n=$((n + 1))
		"$bin/$program" "${model[@]}" --out killed --resume >/dev/null 2>stderr &
		pid=$!
		sleep "$(awk -v r=$RANDOM -v ms=$span 'BEGIN { printf "%.3f", r / 32768 * ms / 1000 }')"
		kill -9 $pid 2>/dev/null
		wait $pid 2>/dev/null
		for file in killed/run.h5 killed/checkpoint.h5; do
			[ ! -e $file ] || check "$file is whole after kill $n" whole_file $file
		done
		[ ! -e killed/run.h5 ] || [ "$(status_of killed/run.h5)" != finished ] || same_end
	done
	same_end
}

program=tabular
kill_and_compare nsf-c
kill_and_compare maf --set ema=0.9 --set dropout=0.1 --set schedule=plateau --set optimiser=adamw --set weight_decay=0.01

# SIGTERM ends a run after a whole step; so does SIGINT
for signal in TERM INT; do
	rm -rf stopped
	"$bin/tabular" --model nsf-c "${args[@]}" --set save=1000 --set patience=0 --steps 10000000 --out stopped >/dev/null 2>stderr &
	pid=$!
	while [ ! -e stopped/run.h5 ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
	sleep 0.7
	kill -$signal $pid
	wait $pid
	got=$?
	check "SIG$signal: exit status $got" test $got -eq $([ $signal = TERM ] && echo 143 || echo 130)
	check "SIG$signal: status" test "$(status_of stopped/run.h5)" = interrupted
	check "SIG$signal: one line" test "$(wc -l <stderr)" -eq 1
done
refused 2 "steps is 10000000 in the run, not 50" "$bin/tabular" --resume --out stopped --steps 50
refused 2 "width is 16 in the run, not 32" "$bin/tabular" --resume --out stopped --set width=32
refused 2 "model is nsf-c in the run, not maf" "$bin/tabular" --resume --out stopped --model maf

# two writers
"$bin/tabular" --out stopped --resume --quiet >/dev/null 2>&1 &
pid=$!
lock=$(stat -c :%i stopped/.lock)
until grep -q "FLOCK.*$lock " /proc/locks || ! kill -0 $pid 2>/dev/null; do sleep 0.05; done
refused 2 "another process is writing" "$bin/tabular" --out stopped --resume --quiet
kill -9 $pid
wait $pid 2>/dev/null

# other training rows, the same test rows
mkdir parts
for part in train val test; do table 300 2 >parts/$part.csv; done
"$bin/tabular" --data parts --model maf --steps 100000 --quiet --no-figures --set save=0 --set width=8 --out on_parts >/dev/null 2>&1 &
pid=$!
while [ ! -e on_parts/checkpoint.h5 ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
kill -9 $pid
wait $pid 2>/dev/null
sed -i '5s/^/1/' parts/train.csv
refused 2 "the data in parts have changed since that run began" "$bin/tabular" --out on_parts --resume --quiet
refused 2 "it is a run on data, of the program tabular" "$bin/energy" --out on_parts --resume

check "resuming a finished run changes nothing" "$bin/tabular" --out whole --resume >/dev/null

program=energy
args=(--energy U1 "${every[@]}" --set validation_rows=500 --set test_samples=500)
kill_and_compare iaf --set anneal=0.5 --set ema=0.9
kill_and_compare realnvp --set gradient=path --dtype f64
refused 2 "it is a fit to an energy, of the program energy" "$bin/tabular" --resume --out whole
refused 2 "energy is U1 in the run, not U2" "$bin/energy" --resume --out whole --energy U2
check "resuming a finished fit changes nothing" "$bin/energy" --out whole --resume >/dev/null
report
