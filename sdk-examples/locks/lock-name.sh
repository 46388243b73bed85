#!/bin/sh
# lock-name.sh makes the name of a lock out of any one line of text: a branch, a path, the
# title of a job.
#
#     lock=$(sh lock-name.sh "$GITHUB_REF")
#
# What may be in a name stays as it is, so most names do not change. Every other byte, and
# each "~", becomes "~" and two hexadecimal digits, as does what would make an empty segment
# or one that is "." or "..": two texts never have one name, and
# sed 's/~/%/g' makes percent encoding of it. The server refuses what becomes too long.
printf '%s\n' "$1" | LC_ALL=C awk '
	BEGIN {
		for (i = 1; i < 256; i++) code[sprintf("%c", i)] = sprintf("~%02X", i)
		plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:@+-/"
	}
	NR > 1 { printf "~0A" }
	{
		n = length($0); before = "/"
		for (i = 1; i <= n; i++) {
			c = substr($0, i, 1)
			good = index(plain, c)
			if (c == "/" && (before == "/" || i == n)) good = 0
			if (c == "." && before == "/" && substr($0, i) ~ /^\.\.?(\/|$)/) good = 0
			printf "%s", good ? c : code[c]
			before = c
		}
	}
	END { print "" }'
