#!/usr/bin/env bash
# bad_data.sh - data that cannot be used: one line naming what and where, nothing written.
. "$(dirname "$0")/common.sh" "$@"

use() { # words, data
	refused 2 "$1" "$bin/tabular" --data "$2" --model "${3-realnvp}" --out out --steps 5 --quiet
	check "nothing was written for $2" test ! -e out
}

table 200 3 >good.csv
use "nowhere.csv" nowhere.csv
use "spirals" spirals
: >empty.csv
use "empty.csv" empty.csv
head -1 good.csv >row.csv
use "row.csv" row.csv
(head -50 good.csv; echo 1,2; tail -20 good.csv) >ragged.csv
use "51" ragged.csv
(head -50 good.csv; echo 1,two,3; tail -20 good.csv) >words.csv
use "words.csv" words.csv
(head -50 good.csv; echo 1,nan,3; tail -20 good.csv) >nan.csv
use "51" nan.csv
(head -50 good.csv; echo 1,2,-inf; tail -20 good.csv) >inf.csv
use "51" inf.csv
sed 's/,[^,]*,/,7,/' good.csv >constant.csv
use "constant" constant.csv
cut -d, -f1 good.csv >column.csv
use "at least 2 columns" column.csv realnvp
use "at least 2 columns" column.csv nsf-c
awk -F, '{ printf "%s,%.6f\n", $0, $1 + $2 }' good.csv >dependent.csv
use "linear combination" dependent.csv gaussian
printf '\x93NUMPY\x01\x00v\x00{' >short.npy
use "short.npy" short.npy
printf '\x89HDF\r\n\x1a\nabc' >short.h5
use "short.h5" short.h5
printf '\x1f\x8b\x08abc' >short.csv.gz
use "short.csv.gz" short.csv.gz
printf 'PK\x03\x04abc' >short.npz
use "short.npz" short.npz
printf '\0\0\x08\x03abc' >short.idx
use "short.idx" short.idx
mkdir folder && cp good.csv folder/train.csv
use "folder" folder
table 30 2 >folder/val.csv
table 30 3 >folder/test.csv
use "val" folder

refused 2 "/proc/nowhere" "$bin/tabular" --data good.csv --model gaussian --out /proc/nowhere/run
: >file
refused 2 "file" "$bin/tabular" --data good.csv --model gaussian --out file/run
if [ "$(id -u)" != 0 ]; then
	mkdir closed && chmod a-w closed
	refused 2 "closed" "$bin/tabular" --data good.csv --model gaussian --out closed
fi

"$bin/tabular" --data good.csv --model gaussian --out run --no-figures >/dev/null || fail "gaussian on good.csv"
cp -r run before
refused 2 "run.h5 exists" "$bin/tabular" --data good.csv --model gaussian --out run
check "an existing run is left alone" diff -r run before
refused 2 "columns" "$bin/evaluate" run --data folder/val.csv
refused 2 "nowhere.csv" "$bin/evaluate" run --data nowhere.csv
head -c 2000 run/run.h5 >cut.h5
refused 2 "cut.h5" "$bin/compare" cut.h5
refused 2 "not a flowtape run log" "$bin/compare" run/checkpoint.h5
head -c 3000 run/checkpoint.h5 >before/checkpoint.h5
refused 2 "checkpoint.h5" "$bin/sample" before --count 5
refused 2 "checkpoint.h5" "$bin/tabular" --data good.csv --model gaussian --out before --resume
"$bin/tabular" --data good.csv --split-seed 2 --model gaussian --out other --no-figures >/dev/null || fail "split-seed 2"
refused 2 "different rows" "$bin/compare" run/run.h5 other/run.h5
refused 2 "same run" "$bin/compare" run/run.h5 run/run.h5
report
