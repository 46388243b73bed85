package lane

import (
	"net/http"
	"sync/atomic"
	"time"
)

// date is the value of Date for one second.
type date struct {
	second int64
	text   string
}

var lastDate atomic.Pointer[date]

// appendDate appends the value of Date. All answers of a second share it.
func appendDate(to []byte, now time.Time) []byte {
	d := lastDate.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{now.Unix(), now.UTC().Format(http.TimeFormat)}
		lastDate.Store(d)
	}
	return append(to, d.text...)
}
