# setup.sh - installs what is missing and builds; sourced by the other tools, with bash.
# On Debian and Ubuntu missing packages are installed with apt-get (as root or through sudo), and named first.

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cores=$(nproc 2>/dev/null || echo 2)

die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# package, and a test that what it brings is there already, however it came
needs() {
	cat <<-'LIST'
		gcc              command -v cc || command -v gcc
		libc6-dev        printf '#include <stdio.h>' | ${CC:-cc} -E -
		meson            command -v meson
		ninja-build      command -v ninja
		pkg-config       command -v pkg-config
		libsleef-dev     test "$(uname -m)" != x86_64 || header sleef.h
		libhdf5-dev      pkg-config --exists hdf5 || command -v h5cc
		libopenblas-serial-dev  pkg-config --exists openblas
		liblapacke-dev   header lapacke.h
		libcmocka-dev    pkg-config --exists cmocka
		zlib1g-dev       pkg-config --exists zlib
		gnuplot-nox      command -v gnuplot
	LIST
}

header() {
	printf '#include <%s>' "$1" | ${CC:-cc} -E $(pkg-config --cflags-only-I openblas 2>/dev/null) -
}

missing() {
	while read -r package test; do
		(eval "$test") >/dev/null 2>&1 || printf '%s ' "$package"
	done < <(needs)
}

install_missing() {
	local list=$(missing) as=
	[ -n "$list" ] || return 0
	command -v apt-get >/dev/null || die "please install these or their like: $list"
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "not root and no sudo; please install: $list"
		as=sudo
	fi
	echo "installing with apt-get: $list"
	$as apt-get update -qq || echo "apt-get update failed; trying with the package lists that are here" >&2
	$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $list >/tmp/flowtape-apt.$$ 2>&1 ||
		{ tail -5 /tmp/flowtape-apt.$$ >&2; rm -f /tmp/flowtape-apt.$$; die "could not install: $list"; }
	rm -f /tmp/flowtape-apt.$$
	list=$(missing)
	[ -z "$list" ] || echo "still not found, going on without: $list" >&2
}

# build FOLDER [meson options]: quiet unless it fails
build() {
	local dir=$top/$1 log
	shift
	log=$(mktemp)
	[ -f "$dir/build.ninja" ] || { rm -rf "$dir"; meson setup "$dir" "$top" "$@"; } >"$log" 2>&1 ||
		{ cat "$log" >&2; rm -f "$log"; die "meson setup failed"; }
	echo "building in ${dir#"$top"/}/"
	ninja -C "$dir" -j "$cores" >"$log" 2>&1 || { tail -40 "$log" >&2; rm -f "$log"; die "the build failed"; }
	rm -f "$log"
}
