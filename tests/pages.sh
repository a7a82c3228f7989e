#!/usr/bin/env bash
# pages.sh - the README shows example_program.c as it is, the page on ablations ablate_act.c, and the links of all pages
# lead somewhere.  Argument: the source folder.
set -u
cd "$1" || exit 99
failures=0

fail() {
	failures=$((failures + 1))
	echo "FAILED: $*" >&2
}

diff <(sed -n '/^```c$/,/^```$/p' README.md | sed '1d;/^```$/,$d') tests/example_program.c ||
	fail "README.md shows another program than tests/example_program.c"
diff <(sed -n '/^```c$/,/^```$/p' docs/ablations.md | sed '1d;/^```$/,$d') experiments/ablate_act.c ||
	fail "docs/ablations.md shows another program than experiments/ablate_act.c"
for page in README.md docs/*.md; do
	while read -r link; do
		[ -z "$link" ] || [ -e "$(dirname "$page")/$link" ] || fail "$page: no $link"
	done < <(grep -o ']([^)]*)' "$page" | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^https\?:')
done
[ $failures -eq 0 ]
