package policytool

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/octostore/octostore/core/jsontext"
	"github.com/octostore/octostore/core/timetext"
)

// inMilliseconds ends the names of members that are numbers of milliseconds.
const inMilliseconds = "_ms"

// isInstant reports whether a member of that readable name is a time, not a duration.
func isInstant(name string) bool { return name == "now" || strings.HasSuffix(name, "_at") }

// setReadable sets a number of milliseconds to what a person has written: a time such as
// "2026-12-24T18:00:00+01:00", or a duration such as "1h30m".
func setReadable(name string, raw json.RawMessage, to any) error {
	want := timetext.WantDuration
	if isInstant(name) {
		want = timetext.WantTime
	}
	var text string
	if json.Unmarshal(raw, &text) != nil || raw[0] != '"' {
		return fmt.Errorf("is %s; want %s, or %s%s as a whole number", jsontext.Kind(raw), want, name, inMilliseconds)
	}
	n, err := readMilliseconds(name, text)
	if err != nil {
		return fmt.Errorf("is %q; want %s", text, want)
	}
	switch to := to.(type) {
	case *int64:
		*to = n
	case **int64:
		*to = &n
	default:
		panic(fmt.Sprintf("policytool: %s%s is no number", name, inMilliseconds))
	}
	return nil
}

func readMilliseconds(name, text string) (int64, error) {
	if isInstant(name) {
		t, err := timetext.Time(text)
		return t.UnixMilli(), err
	}
	d, err := timetext.Duration(text)
	if err == nil && d%time.Millisecond != 0 {
		err = fmt.Errorf("is shorter than a millisecond")
	}
	return d.Milliseconds(), err
}
