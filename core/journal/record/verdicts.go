package record

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/octostore/octostore/core/lock"
)

// Verdicts are what policies decided, as the record of an event has them. A policy of the
// set that covers the request and has no verdict allowed it in silence; records of older
// versions have those verdicts, too.
type Verdicts []lock.Verdict

// UnmarshalJSON reads what [Seal] wrote.
func (vs *Verdicts) UnmarshalJSON(text []byte) error {
	var all []struct {
		lock.Verdict // members whose names and types are the same

		CapTTL  int64  `json:"cap_ttl_ms"`
		CapWait *int64 `json:"cap_wait_ms"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	*vs = make(Verdicts, 0, len(all))
	for i := range all {
		v := all[i].Verdict
		v.CapTTL = time.Duration(all[i].CapTTL) * time.Millisecond
		if wait := all[i].CapWait; wait != nil {
			v.CapWait, v.LowersWait = time.Duration(*wait)*time.Millisecond, true
		}
		*vs = append(*vs, v)
	}
	return nil
}

func appendVerdicts(b []byte, verdicts []lock.Verdict) []byte {
	if len(verdicts) == 0 {
		return b
	}
	b = append(b, `,"verdicts":[`...)
	for i, v := range verdicts {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"policy":`...)
		b = appendString(b, v.Policy)
		b = appendText(b, "digest", v.Digest)
		b = appendText(b, "at", v.At)
		b = appendText(b, "mode", v.Mode)
		b = appendText(b, "verdict", v.Verdict)
		b = appendText(b, "reason", v.Reason)
		b = appendText(b, "priority", v.Priority)
		b = appendMillis(b, "cap_ttl_ms", v.CapTTL)
		if v.LowersWait {
			b = append(b, `,"cap_wait_ms":`...)
			b = strconv.AppendInt(b, v.CapWait.Milliseconds(), 10)
		}
		b = append(b, `,"fuel":`...)
		b = strconv.AppendInt(b, v.Fuel, 10)
		b = append(b, '}')
	}
	return append(b, ']')
}
