#!/usr/bin/env bash
# kills.sh FOLDERS [KILLS] - runs that are killed at random instants lose at most the last interval and end with the bits
# of runs that were not.  KILLS in all, a part for each kind of run.
kills=${3-200}
shim=$2/shim.so
killer=$2/kills
. "$(dirname "$0")/common.sh" "$@"

table 300 2 >t.csv
args=(--data t.csv --steps 60 --batch 32 --quiet --no-figures --set validate=5 --set points=2 --set save=0 --set width=8
	--set layers=2 --threads 1)
# What a kill leaves does not depend on syncs: the shim leaves them out, which spares the machine.
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
kill_some() { # folder, part of the kills, options
	local folder=$1 n=$((kills * $2 / 100)) got
	LD_PRELOAD=$shim "$killer" "$n" "$folder" "$folder.cut" "${@:3}" >said 2>stderr
	got=$?
	echo "$folder: $(cat said)"
	check "$folder killed: $(head -5 stderr)" test $got -eq 0
	check "$folder: kills were counted" grep -q "^$n kills" said
}
kill_some realnvp 35 "$bin/tabular" --model realnvp "${args[@]}"
kill_some maf 25 "$bin/tabular" --model maf "${args[@]}" --set ema=0.9 --set dropout=0.1 --set schedule=plateau \
	--set optimiser=adamw --set weight_decay=0.01 --set patience=4
kill_some nsf 20 "$bin/tabular" --model nsf-c "${args[@]}" --dtype f64 --set accumulate=2 --set columns=1:positive
kill_some energy 20 "$bin/energy" --energy U1 --model planar --steps 60 --batch 32 --quiet --no-figures --set validate=5 \
	--set points=2 --set save=0 --set layers=4 --set validation_rows=200 --set test_samples=200 --set anneal=0.5 --threads 1

# The killer must see faults: a run that is not the same again, here because its batches are not.
cat >forgetful <<END
#!/bin/sh
for last; do :; done
if [ "\$last" = --resume ]; then exec "$bin/tabular" "\$@" --seed 2; fi
exec "$bin/tabular" "\$@"
END
chmod +x forgetful
"$killer" 1 whole cut ./forgetful --model realnvp "${args[@]}" >/dev/null 2>stderr
check "another run is not taken for the same: exit status" test $? -eq 1
check "and it is said: $(head -1 stderr)" grep -q 'config/seed' stderr
report
