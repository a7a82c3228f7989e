#!/usr/bin/env bash
# mpi.sh - several processes make one run: the same bits for any number of ranks; a rank that dies, or fails alone, or is
# told to stop, ends all of them; a run goes on with another number of ranks.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh" "$@"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_btl=self,vader,tcp
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=fast_unwind_on_malloc=0
export LSAN_OPTIONS=suppressions=$here/mpi.supp:print_suppressions=0
ranks() { # number, command...
	timeout 120 mpirun -n "$@"
}

table 1500 4 >data.csv
args=(--data data.csv --steps 24 --quiet --no-figures --set width=12 --set layers=2 --set validate=8 --set points=3)
compare() { # what, numbers of ranks, options of tabular
	local what=$1 sizes=$2 n
	shift 2
	"$bin/tabular" "${args[@]}" "$@" --out "$what" >/dev/null || fail "$what alone"
	for n in $sizes; do
		ranks $n "$bin/tabular" "${args[@]}" "$@" --threads $((1 + n % 3)) --out "$what-$n" >said 2>stderr ||
			fail "$what with $n ranks: $(cat stderr)"
		check "$what: one speaks" test "$(grep -c 'test log-likelihood' said)" -eq 1
		same_run "$what with $n ranks" "$what/run.h5" "$what-$n/run.h5"
	done
	"$bin/sample" "$what" --count 50 --out a.csv >/dev/null
	"$bin/sample" "$what-$n" --count 50 --out b.csv >/dev/null
	check "$what: the same samples" cmp a.csv b.csv
}
compare maf "1 4" --model maf --batch 300 --set norm=batch --set dropout=0.1 --set ema=0.9
compare nsf "3" --model nsf-c --batch 77 --set accumulate=2 --set schedule=plateau
compare ffjord "2" --model ffjord --batch 130 --steps 5 --set layers=1 --set solver=dopri5

"$bin/energy" --energy U1 --model planar --steps 24 --quiet --no-figures --batch 256 --set test_samples=2000 --out energy >/dev/null || fail energy
ranks 3 "$bin/energy" --energy U1 --model planar --steps 24 --quiet --no-figures --batch 256 --set test_samples=2000 --out energy-3 >/dev/null 2>stderr ||
	fail "energy with 3 ranks: $(cat stderr)"
same_run "energy with 3 ranks" energy/run.h5 energy-3/run.h5
ranks 2 "$bin/tabular" --data data.csv --model realnvp --seconds 0.5 --quiet --no-figures --out timed >/dev/null 2>stderr ||
	fail "steps found by --seconds: $(cat stderr)"

# --- Ranks that end ---------------------------------------------------------------------------------------------------------

long=(--data data.csv --model nsf-c --batch 100 --quiet --no-figures --steps 600 --set width=12 --set layers=2
	--set validate=10 --set patience=0 --set save=0)
begin() { # directory, options: starts a run of 3 ranks; $pid is that of rank 1, once there is a checkpoint
	mpirun -n 3 "$bin/tabular" "${long[@]}" --threads 1 --out "$@" >said 2>stderr &
	launcher=$!
	until [ -e "$1/checkpoint.h5" ] || ! kill -0 $launcher 2>/dev/null; do sleep 0.05; done
	for pid in $(cat /proc/$launcher/task/*/children); do
		! tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx OMPI_COMM_WORLD_RANK=1 || break
	done
}
ends() { # what, status
	for ((n = 0; n < 1200; n++)); do
		kill -0 $launcher 2>/dev/null || break
		sleep 0.05
	done
	kill -9 $launcher 2>/dev/null && fail "$1: still there after a minute"
	wait $launcher
	got=$?
	check "$1: exit status $got: $(cat stderr)" test $got -eq "$2"
}

begin killed --steps 100000000
kill -9 "$pid"
ends "a rank is killed" 137
check "and named: $(cat stderr)" grep -q "rank 1 .*signal 9" stderr
check "what was saved is whole" "$logtext" killed/run.h5 >/dev/null
check "and its weights" "$bin/sample" killed --count 1 --out x.csv >/dev/null
begin stopped --steps 100000000
kill -TERM "$pid"
ends "a rank is told to stop" 143
check "all stop after a whole step" test "$(status_of stopped/run.h5)" = interrupted
check "one says so: $(grep tabular: stderr)" test "$(grep -c ^tabular: stderr)" -eq 1

"$bin/tabular" "${long[@]}" --out whole >/dev/null || fail "the whole run"
begin part
kill -9 "$pid" 2>/dev/null
wait $launcher
cp -r part alone
ranks 2 "$bin/tabular" --out part --resume --quiet --no-figures >/dev/null 2>stderr || fail "2 ranks go on: $(cat stderr)"
same_run "3 ranks are killed, 2 go on" whole/run.h5 part/run.h5
"$bin/tabular" --out alone --resume --quiet --no-figures >/dev/null 2>stderr || fail "one goes on alone: $(cat stderr)"
same_run "3 ranks are killed, one goes on alone" whole/run.h5 alone/run.h5

# --- Errors -------------------------------------------------------------------------------------------------------------------

wrong() { # status, words, command...: one line of the program's, with these words
	local status=$1 words=$2 got
	shift 2
	"$@" >stdout 2>stderr
	got=$?
	check "$words: exit status $got" test $got -eq "$status"
	check "$words: one line, not $(grep -E '^(tabular|ablate)' stderr)" test "$(grep -cE '^(tabular|ablate)' stderr)" -eq 1
	check "$words: $(cat stderr)" grep -qE "^(tabular|ablate).*$words" stderr
}
wrong 2 "unknown option --dat" ranks 3 "$bin/tabular" --dat x
wrong 2 "nosuch.csv: cannot be opened" ranks 3 "$bin/tabular" --data nosuch.csv --model maf
wrong 2 "exists: --resume" ranks 2 "$bin/tabular" "${args[@]}" --model maf --out maf
wrong 2 "belongs to another MPI" env OMPI_COMM_WORLD_SIZE=2 "$bin/tabular" --data data.csv --model maf
mkdir 0 1
cp data.csv 0
wrong 2 "rank 1 on $(hostname): here.csv" ranks 2 sh -c "cd \$OMPI_COMM_WORLD_RANK && cp data.csv here.csv 2>/dev/null
	exec $bin/tabular --data here.csv --model maf --steps 5 --quiet --no-figures --out ../shared"
check "nothing was written" test ! -e shared
printf '1,2\n3,4\n5,7\n1,1\n2,5\n6,1\n3,3\n9,1\n4,4\n8,2\n7,7\n5,1\n' >0/d.csv
sed 's/9,1/9,2/' 0/d.csv >1/d.csv
wrong 2 "rank 1 has other data" ranks 2 sh -c "cd \$OMPI_COMM_WORLD_RANK; exec $bin/tabular --data d.csv --model maf --steps 5 \
	--quiet --no-figures --out ../other"
wrong 2 "rank 1 has instruction set plain" ranks 2 sh -c "[ \$OMPI_COMM_WORLD_RANK = 0 ] || export FLOWTAPE_ISA=plain
	exec $bin/tabular --data data.csv --model maf"
wrong 1 "training failed: " ranks 2 "$bin/tabular" "${args[@]}" --model realnvp --steps 200 --lr 1e30 --set clip=0 --out nan
check "status failed" test "$(status_of nan/run.h5)" = failed

# --- Runs of an ablation are shared out ------------------------------------------------------------------------------------------

ranks 2 "$bin/ablate_act" --data data.csv --only relu,tanh,silu --seeds 1 --jobs 1 --no-report --out ab --more "--steps 10" \
	>said 2>stderr || fail "an ablation: $(cat stderr)"
check "three runs: $(cat stderr)" test "$(ls ab/*/run.h5 | wc -l)" -eq 3
check "two of them by one rank: $(cat stderr)" grep -q "2 of 2" stderr
check "compared, once" test "$(grep -c "^realnvp act=tanh" said)" -eq 2
wrong 2 "no variant \"nosuch\"" ranks 2 "$bin/ablate_act" --only nosuch
report
