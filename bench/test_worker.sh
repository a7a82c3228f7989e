#!/bin/sh
# test_worker.sh - the protocol of the worker: every reply is one line of JSON, mistakes are told and survived.
# usage: test_worker.sh WORKER
fail() { echo "$1" >&2; exit 1; }

reply=$(printf 'train 3\nfly 1\ntrain x\ndensity 2\nsample 2\nquit\n' | "$1" RealNVP-2:width=8,layers=2,batch=32 1) || fail "the worker failed"
number='-\{0,1\}[0-9][-+.0-9e]*'
done_line="^{\"seconds\": $number, \"value\": $number, \"peak_mib\": $number}\$"
n=0
echo "$reply" | while read -r line; do
	n=$((n + 1))
	case $n in
	1) want="^{\"ready\": true, \"base_mib\": $number, \"parameters\": [0-9]*, \"batch\": 32}\$" ;;
	3 | 4) want='^{"error": "[^"]*"}$' ;;
	*) want=$done_line ;;
	esac
	echo "$line" | grep -q "$want" || fail "line $n: $line"
done || exit 1
test "$(echo "$reply" | wc -l)" -eq 6 || fail "not 6 lines: $reply"
for wrong in Glow-9 MAF-63:colour=3 MAF-63:dim=1.5 NSF-AR-6:depth=2 MAF-63:bins=4; do
	"$1" $wrong 1 </dev/null | grep -q '^{"error": "[^"]*"}$' || fail "$wrong was not refused"
done
