#!/usr/bin/env bash
# no_room.sh - disks that are full, broken or read-only, and too little memory, at any instant: one line, a non-zero exit
# status, whole files, and the run goes on to the same bits when there is room again.  So with clocks that jump.
shim=$2/shim.so
. "$(dirname "$0")/common.sh" "$@"

table 300 2 >t.csv
run=("$bin/tabular" --model realnvp --data t.csv --steps 24 --batch 32 --quiet --no-figures --set validate=4 --set points=2
	--set save=0 --set width=8 --set layers=2 --threads 1)
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:verify_asan_link_order=0
"${run[@]}" --out whole >/dev/null || fail "the whole run"

whole_files() { # what
	for file in cut/run.h5 cut/checkpoint.h5; do
		[ ! -e $file ] || case $file in
		*run.h5) check "$1: $file is whole" "$logtext" $file >/dev/null ;;
		*) check "$1: $file is whole" "$bin/sample" cut --count 1 --out s.csv >/dev/null ;;
		esac
	done
}
goes_on() { # what
	"${run[@]}" --out cut --resume >/dev/null 2>stderr || fail "$1: resuming: $(head -1 stderr)"
	same_run "$1, resumed" whole/run.h5 cut/run.h5
	rm -rf cut
}

# Calls 1, 2, ..; call 9 is in the middle, 15 and more are at the end.  28: no space, 5: error of the device, 30: read-only
failed=0
for how in mkdir:1:28 mkdir:1:30 open:1:30 open:2:28 open:9:28 write:1:28 write:2:28 write:3:28 write:9:28 write:14:28 write:15:28 \
	write:10:5 sync:2:28 sync:5:28 sync:6:5 sync:30:28 close:3:28 close:12:28 close:13:5 rename:1:28 rename:4:5 rename:9:28; do
	SHIM_UNDER=cut SHIM_FAIL=$how LD_PRELOAD=$shim "${run[@]}" --out cut >/dev/null 2>stderr
	got=$?
	check "$how: exit status $got" test $got -eq 1 -o $got -eq 2
	check "$how: one line, not $(wc -l <stderr): $(head -3 stderr)" test "$(wc -l <stderr)" -eq 1
	check "$how is named: $(cat stderr)" grep -qE 'cannot (write|make).* cut.*(No space left|Input/output error|Read-only)' stderr
	check "$how: no part is left behind" test -z "$(ls cut/*.part 2>/dev/null)"
	whole_files "$how"
	goes_on "$how"
done

# A real file system of 100 kB, and one that is read-only, where mounting is allowed.
mkdir disk
if unshare -m sh -c "mount -t tmpfs -o size=100k none disk" 2>/dev/null; then
	unshare -m sh -c 'mount -t tmpfs -o size=100k none disk && shift && "$@" --out disk/cut >/dev/null 2>stderr; echo $? >status
		mv -f stderr said; cp -r disk/cut cut' sh - "${run[@]}"
	check "a disk of 100 kB: exit status $(cat status)" test "$(cat status)" -eq 1
	check "one line: $(head -3 said)" test "$(wc -l <said)" -eq 1
	check "it is named: $(cat said)" grep -q 'cannot write disk/cut/.*No space left on device' said
	whole_files "a disk of 100 kB"
	goes_on "a disk of 100 kB"
	unshare -m sh -c 'mount -t tmpfs -o ro none disk && shift && "$@" --out disk/cut >/dev/null 2>said; echo $? >status' sh - "${run[@]}"
	check "a read-only disk: exit status $(cat status)" test "$(cat status)" -eq 2
	check "it is named: $(cat said)" grep -q 'cannot make directory disk/cut: Read-only file system' said
else
	echo "mounting is not allowed: no real disk was filled"
fi

# Memory.  The sanitizers have an allocator of their own.
case $("$logtext" whole/run.h5 | sed -n 's/^source.build.*sanitize \(.*\)"/\1/p') in
none)
	big=(--set width=400 --set layers=4 --set validate=2)
	"$bin/tabular" "${run[@]:1}" "${big[@]}" --out big >/dev/null || fail "the big run"
	enough=0
	for megabytes in 80 $(seq 90 15 210) 300 400; do
		rm -rf cut
		(ulimit -c 0 && ulimit -v $((megabytes * 1000)) && exec "$bin/tabular" "${run[@]:1}" "${big[@]}" --out cut) >/dev/null 2>stderr
		got=$?
		enough=$((enough + (got == 0)))
		check "$megabytes MB: a line or success, not $got: $(head -3 stderr)" test $got -eq 0 -o "$(grep -c . stderr)" -eq 1
		whole_files "$megabytes MB"
		"$bin/tabular" "${run[@]:1}" "${big[@]}" --out cut --resume >/dev/null 2>stderr || fail "after $megabytes MB: $(head -1 stderr)"
		same_run "after $megabytes MB" big/run.h5 cut/run.h5
	done
	check "some sizes were enough, and some not" test $enough -gt 0 -a $enough -lt 12
	;;
esac

# A date that jumps by hours and centuries: nothing depends on it but the date itself.
rm -rf cut
SHIM_CLOCK=1 LD_PRELOAD=$shim "${run[@]}" --out cut --set save=0.001 >/dev/null 2>stderr || fail "a clock that jumps: $(cat stderr)"
same_run "with a clock that jumps" whole/run.h5 cut/run.h5
check "the date is one" grep -qE '^started "([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-9:]{8}Z|unknown)"' <("$logtext" cut/run.h5)
printf '%.9f\n' $("$logtext" cut/run.h5 | awk '/^series.time.seconds/ { print $4 }') >times
check "times were logged" test "$(wc -l <times)" -eq 12
check "time goes forward" sort -nc times
check "it is measured in seconds" awk '$1 > 100 { exit 1 }' times
check "watch" env SHIM_CLOCK=1 LD_PRELOAD="$shim" "$bin/watch" --once cut >/dev/null
report
