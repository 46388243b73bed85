package dial

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// rateSpan is over how much of a member's clock its rate is measured: enough to tell a clock
// that is wrong by a hundredth.
const rateSpan = 2 * time.Second

// lookEvery is how exactly the beginning of a second is seen.
const lookEvery = 10 * time.Millisecond

// Rate measures how fast the clock of a member runs beside this machine's: 1 is as fast. It
// looks at the times of the member's HTTP answers, and takes up to five seconds.
func Rate(ctx context.Context, endpoint string, tls *tls.Config) (float64, error) {
	transport := &http.Transport{TLSClientConfig: tls}
	defer transport.CloseIdleConnections()
	c := dates{client: &http.Client{Transport: transport}, url: strings.TrimSuffix(endpoint, "/") + "/version"}
	first, seenFirst, err := c.nextSecond(ctx)
	if err != nil {
		return 0, err
	}
	for {
		second, seen, err := c.nextSecond(ctx)
		if err != nil {
			return 0, err
		}
		if passed := second.Sub(first); passed >= rateSpan {
			return float64(passed) / float64(seen.Sub(seenFirst)), nil
		}
	}
}

// dates asks for the time in the header of an HTTP answer.
type dates struct {
	client *http.Client
	url    string
}

// nextSecond waits until the member's clock shows another second, and returns what it shows
// and when that was seen.
func (d *dates) nextSecond(ctx context.Context) (date, seen time.Time, err error) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	before, err := d.date(ctx)
	for err == nil {
		select {
		case <-ctx.Done():
			return date, seen, ctx.Err()
		case <-tick.C:
		}
		if date, err = d.date(ctx); err == nil && !date.Equal(before) {
			return date, time.Now(), nil
		}
	}
	return date, seen, err
}

func (d *dates) date(ctx context.Context) (time.Time, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, d.url, http.NoBody)
	if err != nil {
		return time.Time{}, err
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask etcd for the time: %w", err)
	}
	defer resp.Body.Close()
	return http.ParseTime(resp.Header.Get("Date"))
}
