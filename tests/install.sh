#!/usr/bin/env bash
# install.sh - installed into a folder, a program in C and one in C++ are built against it with pkg-config alone and run;
# programs start by `flowtape NAME`, and each has a manual page.  Arguments: build folder, source folder, the build's sanitizers (those of meson's b_sanitize).
set -u
build=$1 source=$2
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failures=0

check() {
	local what=$1
	shift
	"$@" >"$tmp/checked" 2>&1 && return
	failures=$((failures + 1))
	echo "FAILED: $what: $(head -5 "$tmp/checked")" >&2
}

for tool in meson pkg-config cc; do
	command -v $tool >/dev/null || { echo "no $tool: nothing was tested"; exit 77; }
done
case $3 in
*address* | *undefined* | *thread*)
	echo "a build with sanitizers is not for installing: nothing was tested"
	exit 77
	;;
esac
DESTDIR=$tmp/root meson install -C "$build" --no-rebuild --quiet >"$tmp/said" 2>&1 || {
	echo "FAILED: meson install: $(tail -3 "$tmp/said")" >&2
	exit 1
}
pc=$(find "$tmp/root" -name flowtape.pc)
check "flowtape.pc is there" test -n "$pc"
export PKG_CONFIG_PATH=${pc%/*} PKG_CONFIG_SYSROOT_DIR=
prefix=$(pkg-config --variable=prefix flowtape)
# pkg-config must not know the folder that DESTDIR adds: --define-variable moves the prefix
flags=$(pkg-config --define-variable=prefix="$tmp/root$prefix" --cflags --libs flowtape)
library=$(find "$tmp/root" -name 'libflowtape.so')
export LD_LIBRARY_PATH=${library%/*}${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
check "a soname" grep -q 'SONAME.*libflowtape.so.0' <(readelf -d "$library")
check "no private symbols" test -z "$(nm -D --defined-only "$library" | grep -E ' (ad|nn|flow)__')"

cd "$tmp" || exit 1
# shellcheck disable=SC2086
check "a program in C is built" cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$source/tests/example_program.c" -o program $flags
./program >said 2>&1
check "it runs" test $? -eq 0
check "it trains" grep -q 'steps to 600: 1.6' said
cat >own.c <<'END'
#include <stdio.h>
#include "flows/flow.h"
flow *flow_sinh_arcsinh(flow_mem *m);
int main(void)
{
	flow_mem *m = flow_mem_new();
	flow *f = flow_chain(m, 3, (flow *[]){ flow_actnorm(m), flow_sinh_arcsinh(m), flow_linear(m, FLOW_LU, 2, 0) });
	int broken = flow_check(flow_sinh_arcsinh(m), (flow_check_opt){ .event = AD_SHAPE(2) });
	flow_print(f, AD_SHAPE(2), 0, stdout);
	flow_mem_free(m);
	return broken;
}
END
# shellcheck disable=SC2086
check "a layer of one's own is built" cc -std=c11 -Wall -Wextra -Wpedantic -Werror own.c "$source/tests/example_layer.c" -o own $flags
./own >said 2>&1
check "its laws hold: $(head -3 said)" test $? -eq 0
check "it is a layer as others" grep -q 'sinh_arcsinh' said
headers=$(cd "$(find "$tmp/root" -type d -path '*include/flowtape')" && ls */*.h)
read -ra only < <(pkg-config --define-variable=prefix="$tmp/root$prefix" --cflags flowtape)
for compiler in c++ clang++ clang++-14; do
	command -v $compiler >/dev/null || { echo "no $compiler: the headers were not tried with it"; continue; }
	plus=($compiler -std=c++17 -Wall -Wextra -Wpedantic -Werror)
	# shellcheck disable=SC2086
	check "a program in C++ is built by $compiler" "${plus[@]}" "$source/tests/example_program.cc" -o plus $flags
	./plus >said 2>&1
	check "it runs" test $? -eq 0
	check "its density integrates" grep -q '^integral 1.00' said
	for header in $headers; do
		echo "#include <$header>" >header.cc
		check "$header in $compiler" "${plus[@]}" -fsyntax-only header.cc "${only[@]}"
	done
	printf '#include <%s>\n' $headers >all.cc
	check "all headers at once in $compiler" "${plus[@]}" -fsyntax-only all.cc "${only[@]}"
done

flowtape=$(find "$tmp/root" -type f -name flowtape)
"$flowtape" >said
check "flowtape lists programs" test $? -eq 0
check "tabular is listed" grep -q '^  tabular$' said
check "flowtape tabular" "$flowtape" tabular --list-models
check "an ablation finds tabular" test -x "$("$flowtape" ablate_bins --list | head -1 | cut -d' ' -f1)"
"$flowtape" nothing >/dev/null 2>said
check "an unknown program: exit status" test $? -eq 2
pages=$(find "$tmp/root" -name 'flowtape-*.1')
for name in $("$flowtape" | sed -n 's/^  \([a-z_]*\)$/\1/p'); do
	page=$(echo "$pages" | grep "flowtape-$name.1")
	check "a page for $name" test -s "$page"
	check "$name: its name" grep -q "^flowtape.-$name .- [a-z]" "$page"
	for section in SYNOPSIS DESCRIPTION OPTIONS EXAMPLES "EXIT STATUS"; do
		check "$name: $section" grep -q "^.SH \"$section\"" "$page"
	done
done
[ $failures -eq 0 ]
