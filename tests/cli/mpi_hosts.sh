#!/usr/bin/env bash
# mpi_hosts.sh - ranks on two hosts that only a network joins: network namespaces of this machine, each with a name of its own.
# Needs root and iproute2; else it is skipped.
[ "$(id -u)" = 0 ] && command -v ip >/dev/null && command -v unshare >/dev/null || exit 77
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh" "$@"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_mpi_yield_when_idle=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=fast_unwind_on_malloc=0
export LSAN_OPTIONS=suppressions=$here/mpi.supp:print_suppressions=0
net=10.$((100 + $$ % 100)).$((RANDOM % 250))
hosts=("$net.1" "$net.2")
trap 'for h in "${hosts[@]}"; do ip netns del $h 2>/dev/null; done; rm -rf "$tmp"' EXIT
for h in "${hosts[@]}"; do
	ip netns add "$h" 2>/dev/null || exit 77
done
ip link add ft0 netns "${hosts[0]}" type veth peer name ft0 netns "${hosts[1]}" 2>/dev/null || exit 77
for h in "${hosts[@]}"; do
	ip -n "$h" addr add "$h/24" dev ft0 && ip -n "$h" link set lo up && ip -n "$h" link set ft0 up || exit 77
done

cat >agent <<'EOS'
#!/bin/sh
# HOST COMMAND..: what ssh does, for a host that is a network namespace
host=$1
shift
exec ip netns exec "$host" unshare --uts sh -c "hostname $host; $*"
EOS
chmod +x agent
export OMPI_MCA_plm_rsh_agent=$PWD/agent OMPI_MCA_btl=self,tcp OMPI_MCA_btl_tcp_if_include=$net.0/24
export OMPI_MCA_oob_tcp_if_include=$net.0/24
on_both() { # command...
	timeout 120 ./agent "${hosts[0]}" exec mpirun --host "${hosts[0]}:2,${hosts[1]}:2" -n 4 --map-by node "$@"
}

table 1500 4 >data.csv
args=(--data data.csv --batch 300 --quiet --no-figures --set width=12 --set layers=2 --set validate=8 --set dropout=0.1 --threads 1)
on_both hostname >names || fail "mpirun on two hosts"
check "two hosts: $(sort -u names)" test "$(sort -u names | wc -l)" -eq 2
for model in maf nsf-c; do
	"$bin/tabular" --model $model --steps 24 "${args[@]}" --out $model >/dev/null || fail "$model alone"
	on_both "$bin/tabular" --model $model --steps 24 "${args[@]}" --out $model-4 >/dev/null 2>stderr || fail "$model: $(cat stderr)"
	same_run "$model on two hosts" $model/run.h5 $model-4/run.h5
done
# more than one message's worth: gradients of megabytes
"$bin/tabular" --model maf --steps 6 "${args[@]}" --set width=400 --out wide >/dev/null || fail "a wide net alone"
on_both "$bin/tabular" --model maf --steps 6 "${args[@]}" --set width=400 --out wide-4 >/dev/null 2>stderr || fail "a wide net: $(cat stderr)"
same_run "a wide net on two hosts" wide/run.h5 wide-4/run.h5

on_both "$bin/tabular" --model maf --steps 100000000 "${args[@]}" --set save=0 --set patience=0 --out killed >/dev/null 2>stderr &
launcher=$!
until [ -e killed/checkpoint.h5 ] || ! kill -0 $launcher 2>/dev/null; do sleep 0.1; done
for pid in $(ip netns pids "${hosts[1]}"); do
	! tr '\0' '\n' <"/proc/$pid/environ" 2>/dev/null | grep -qx OMPI_COMM_WORLD_RANK=3 || break
done
kill -9 "$pid"
wait $launcher
got=$?
check "a rank of the other host is killed: exit status $got" test $got -eq 137
check "and named: $(cat stderr)" grep -q "rank 3 .*signal 9" stderr
check "what was saved is whole" "$bin/sample" killed --count 1 --out x.csv >/dev/null
report
