#!/bin/sh
# test_suite.sh - the suite measures everything that it says, and tells mistakes.
# usage: test_suite.sh SUITE WORKER
fail() { echo "$1" >&2; exit 1; }

dir=$(mktemp -d) && trap 'rm -rf "$dir"' EXIT
"$1" --quick --threads 2 --csv "$dir/s.csv" NSF-AR-6:dim=3,layers=2,width=8,batch=32 >"$dir/said" || fail "the suite failed"
head -1 "$dir/s.csv" | grep -qx 'workload,work,threads,figure,value' || fail "the header is $(head -1 "$dir/s.csv")"
for figure in train,1,ms_least train,2,ms_least density,2,samples_per_s sample,1,gflop_per_s train,2,share_of_sgemm \
	train,2,sgemm_speedup train,2,exponent_threads all,2,peak_mib train,2,startup_s train,2,later_step_ms \
	train,1,exponent_batch train,1,exponent_layers density,1,exponent_width sample,1,exponent_dim train,1,exponent_depth \
	train,1,reversible_ms_least train,1,stored_arena_mib_4x_layers; do
	grep -q "^\"NSF-AR-6:dim=3,layers=2,width=8,batch=32\",$figure,-\{0,1\}[0-9][0-9.e+-]*\$" "$dir/s.csv" || fail "no $figure"
done
for word in samples/s "of sgemm" "peak memory" "first training step" "time grows as" reversible; do
	grep -q "$word" "$dir/said" || fail "people are not told: $word"
done
# A chain four times as deep takes no more when it is reversible.
awk -F, '{ v[$(NF - 1)] = $NF } END { exit !(v["reversible_arena_mib_4x_layers"] < 1.1 * v["reversible_arena_mib"] &&
	v["stored_arena_mib_4x_layers"] > v["stored_arena_mib"]) }' "$dir/s.csv" || fail "memory of the reversible chain grows"
"$1" --quick --parts reversible --csv - RealNVP-2:layers=2,width=8 | grep -vq '^[a-zR"]' && fail "--csv - says more than rows"
"$1" --list | grep -q '^MAF-63 ' || fail "--list"
for program in "$1" "$2"; do
	"$program" --help >"$dir/page" || fail "--help"
	for section in NAME SYNOPSIS DESCRIPTION OPTIONS EXAMPLES "EXIT STATUS"; do
		grep -qx "$section" "$dir/page" || fail "--help has no $section"
	done
done
"$1" --parts sped 2>&1 | grep -q 'parts takes speed' || fail "an unknown part"
"$1" Glow-9 2>&1 | grep -q 'no workload Glow-9; there are MAF-63' || fail "an unknown workload"
"$1" --csv "$dir/none/s.csv" --parts reversible RealNVP-2:layers=2 2>&1 | grep -q 'none/s.csv: No such file' || fail "a file that cannot be"
exit 0
