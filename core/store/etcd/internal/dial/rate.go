package dial

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	// rateSpan is over how much of a member's clock its rate is measured at least.
	rateSpan = 2 * time.Second

	// rateTime is how long Rate goes on for an exact answer.
	rateTime = 5 * time.Second

	// exactly is how far the bounds of an exact answer are apart: enough to tell a clock that is wrong by
	// two hundredths.
	exactly = 0.01

	// lookEvery is how exactly the beginning of a second is seen.
	lookEvery = 5 * time.Millisecond
)

var errNotMeasured = errors.New("the time that etcd says did not go on")

// Rate measures how fast the clock of a member runs beside this machine's: 1 is as fast. It looks at the
// times of the member's HTTP answers, and takes about five seconds at most. Where the answers are slow
// there are several rates that fit what was seen; of these it is the one nearest to 1.
func Rate(ctx context.Context, endpoint string, tls *tls.Config) (float64, error) {
	transport := &http.Transport{TLSClientConfig: tls}
	defer transport.CloseIdleConnections()
	d := dates{client: &http.Client{Transport: transport}, url: strings.TrimSuffix(endpoint, "/") + "/version"}
	var seconds []second
	best := bounds{}
	for began := time.Now(); time.Since(began) < rateTime; {
		latest, err := d.nextSecond(ctx)
		if err != nil {
			return 0, err
		}
		for _, earlier := range seconds {
			if rate, is := earlier.until(latest); is && (best == bounds{} || rate.apart() < best.apart()) {
				best = rate
			}
		}
		if best != (bounds{}) && best.apart() <= exactly {
			break
		}
		seconds = append(seconds, latest)
	}
	if best == (bounds{}) {
		return 0, errNotMeasured
	}
	return min(max(1, best.least), best.most), nil
}

// bounds are the rates that fit what was seen.
type bounds struct{ least, most float64 }

func (b bounds) apart() float64 { return b.most - b.least }

// second is a second of the member's clock, which began at some time between two of this machine's.
type second struct {
	shown         time.Time
	after, before time.Time
}

// until returns what the rate was between two seconds, unless they are too close to each other.
func (s second) until(later second) (bounds, bool) {
	passed, least := float64(later.shown.Sub(s.shown)), float64(later.after.Sub(s.before))
	if passed < float64(rateSpan) || least <= 0 {
		return bounds{}, false
	}
	return bounds{least: passed / float64(later.before.Sub(s.after)), most: passed / least}, true
}

// dates asks for the time in the header of an HTTP answer.
type dates struct {
	client *http.Client
	url    string
}

// nextSecond waits until the member's clock shows another second.
func (d *dates) nextSecond(ctx context.Context) (second, error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	asked, old, err := d.date(ctx)
	for err == nil {
		select {
		case <-ctx.Done():
			return second{}, ctx.Err()
		case <-tick.C:
		}
		after := asked
		var shown time.Time
		if asked, shown, err = d.date(ctx); err == nil && !shown.Equal(old) {
			return second{shown: shown, after: after, before: time.Now()}, nil
		}
	}
	return second{}, err
}

// date returns when it asked the member for the time, and what the answer was.
func (d *dates) date(ctx context.Context) (asked, date time.Time, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, d.url, http.NoBody)
	if err != nil {
		return asked, date, err
	}
	asked = time.Now()
	resp, err := d.client.Do(req)
	if err != nil {
		return asked, date, fmt.Errorf("ask etcd for the time: %w", err)
	}
	defer resp.Body.Close()
	date, err = http.ParseTime(resp.Header.Get("Date"))
	return asked, date, err
}
