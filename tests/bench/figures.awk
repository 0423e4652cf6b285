# SPDX-License-Identifier: Apache-2.0
#
# From lines `CONTENDER OPERATION INSTRUCTIONS` to `OPERATION CONTENDER RATIO MIN..MAX
# INSTRUCTIONS [TARGET]`, the ratio being the medians' over contender `none`.
{
	n[$1, $2]++
	value[$1, $2, n[$1, $2]] = $3
	if (!(($1) in contender)) { contender[$1]; contenders[++nc] = $1 }
	if (!(($2) in operation)) { operation[$2]; operations[++no] = $2 }
}

function median(c, o,    i, j, t, k) {
	k = n[c, o]
	for (i = 1; i <= k; i++) sorted[i] = value[c, o, i]
	for (i = 1; i <= k; i++)
		for (j = i + 1; j <= k; j++)
			if (sorted[j] < sorted[i]) { t = sorted[i]; sorted[i] = sorted[j]; sorted[j] = t }
	low = sorted[1]
	high = sorted[k]
	return sorted[int((k + 1) / 2)]
}

END {
	for (o = 1; o <= no; o++) {
		op = operations[o]
		base = median("none", op)
		for (c = 1; c <= nc; c++) {
			name = contenders[c]
			m = median(name, op)
			limit = ""
			if (name == "nonagent") limit = "1.05"
			if (name ~ /^agent/ && op ~ /^open/) {
				paths = substr(name, 6)
				limit = sprintf("%.3f", median("landlock" paths, op) / base)
				m = median(name, op)
			}
			printf "%s %s %.3f %.3f..%.3f %d %s\n", op, name, m / base, low / base, high / base, m, limit
		}
	}
}
