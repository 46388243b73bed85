package param

import (
	"strconv"
	"strings"
)

// plainNumber writes a JSON number without exponent and trailing zeros: encoders choose the
// form, and JSON knows no difference. A number that would take more digits than any parameter
// has is returned as it is.
func plainNumber(n string) string {
	const most = 30
	mantissa, exponent := n, ""
	if i := strings.IndexAny(n, "eE"); i >= 0 {
		mantissa, exponent = n[:i], n[i+1:]
	}
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift < -most || shift > most {
			return n
		}
	}
	digits, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if point := len(whole) + shift; point > 0 {
		digits = whole + fraction + strings.Repeat("0", max(0, point-len(whole)-len(fraction)))
		whole, fraction = digits[:point], digits[point:]
	} else {
		whole, fraction = "0", strings.Repeat("0", -point)+whole+fraction
	}
	plain := strings.TrimLeft(whole[:len(whole)-1], "0") + whole[len(whole)-1:]
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		plain += "." + fraction
	}
	if negative {
		return "-" + plain
	}
	return plain
}
