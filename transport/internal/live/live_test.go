package live

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// counting is a feed whose view is a number that the test sets, and how often it was rendered.
type counting struct {
	value, rendered atomic.Int64
}

func (c *counting) feed() Feed {
	last := int64(-1)
	return Feed{Every: time.Second, Next: func(context.Context) (Frame, bool) {
		now := c.value.Load()
		if now == last {
			return Frame{}, false
		}
		last = now
		c.rendered.Add(1)
		return Frame{Event: fmt.Append(nil, now)}, true
	}}
}

func next(t *testing.T, r *Reader) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var texts []string
	for _, event := range r.Next(ctx) {
		texts = append(texts, string(event))
	}
	return strings.Join(texts, " ")
}

func TestFeedsAreRenderedOnceForAllReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		var c counting
		var readers []*Reader
		for range 100 {
			r := h.Reader("")
			r.Follow("a", c.feed())
			readers = append(readers, r)
		}
		for value := range int64(5) {
			c.value.Store(value)
			for _, r := range readers {
				if got := next(t, r); got != fmt.Sprint(value) {
					t.Fatalf("got %q, want %d", got, value)
				}
			}
		}
		if n := c.rendered.Load(); n != 5 {
			t.Errorf("rendered %d times for 100 readers, want 5", n)
		}
		if h.Feeds() != 1 {
			t.Errorf("%d feeds", h.Feeds())
		}
		for _, r := range readers {
			r.Close()
		}
		if h.Feeds() != 0 {
			t.Errorf("%d feeds are left without readers", h.Feeds())
		}
	})
}

// A change after a quiet time is shown at once; changes that go on are shown at the pace of the
// feed, and the last of them always.
func TestFeedsHaveAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		var c counting
		r := h.Reader("")
		defer r.Close()
		r.Follow("a", c.feed())
		next(t, r)
		time.Sleep(time.Minute)
		c.value.Add(1)
		changed := time.Now()
		if next(t, r); time.Since(changed) > 2*tick {
			t.Errorf("a change after a quiet minute is shown after %s", time.Since(changed))
		}
		before := c.rendered.Load()
		for range 1000 {
			c.value.Add(1)
			time.Sleep(10 * time.Millisecond)
		}
		if n := c.rendered.Load() - before; n < 9 || n > 10 {
			t.Errorf("rendered %d times in 10 s, want 9 or 10", n)
		}
		time.Sleep(2 * time.Second)
		if got, want := next(t, r), fmt.Sprint(c.value.Load()); got != want {
			t.Errorf("the last that is shown is %s, want %s", got, want)
		}
	})
}

// Very many readers of a feed get its frames at a slower pace.
func TestFeedsSlowDownWithTheirReaders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		var c counting
		for range 500 {
			r := h.Reader("")
			defer r.Close()
			r.Follow("a", c.feed())
		}
		for range 200 {
			c.value.Add(1)
			time.Sleep(100 * time.Millisecond)
		}
		if n := c.rendered.Load(); n > 5 {
			t.Errorf("500 readers got %d frames in 20 s, want one each 5 s", n)
		}
	})
}

// A reader that does not read misses what was replaced, and delays nobody.
func TestReadersThatAreSlowGetTheNewest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		var c counting
		slow, fast := h.Reader(""), h.Reader("")
		defer slow.Close()
		defer fast.Close()
		slow.Follow("a", c.feed())
		fast.Follow("a", c.feed())
		next(t, slow)
		for value := range int64(10) {
			c.value.Store(value)
			if got := next(t, fast); got != fmt.Sprint(value) {
				t.Errorf("got %s, want %d", got, value)
			}
		}
		if got := next(t, slow); got != "9" {
			t.Errorf("the slow reader gets %s, want 9", got)
		}
	})
}

// Of a view that grows, a reader gets what it has not got, whatever it had.
func TestReadersGoOnAfterTheirCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Hub
		var steps, rendered atomic.Int64
		steps.Store(3)
		feed := func() Feed {
			last := int64(0)
			return Feed{Every: time.Second, Next: func(context.Context) (Frame, bool) {
				now := steps.Load()
				if now == last {
					return Frame{}, false
				}
				since := func(cursor string) []byte {
					rendered.Add(1)
					from := 0
					fmt.Sscan(cursor, &from)
					return fmt.Appendf(nil, "%d-%d", from+1, now)
				}
				f := Frame{ID: fmt.Sprint(now), Before: fmt.Sprint(last), Since: since, Event: since(fmt.Sprint(last))}
				last = now
				return f, true
			}}
		}
		var readers []*Reader
		for _, cursor := range []string{"", "", "2", "3"} {
			r := h.Reader(cursor)
			defer r.Close()
			r.Follow("a", feed())
			readers = append(readers, r)
		}
		var got []string
		for range 2 {
			for _, r := range readers {
				got = append(got, next(t, r))
			}
			steps.Add(1)
			time.Sleep(2 * time.Second)
		}
		if want := []string{"1-3", "1-3", "3-3", "4-3", "4-4", "4-4", "4-4", "4-4"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if n := rendered.Load(); n != 6 {
			t.Errorf("rendered %d times; want once for the readers without a cursor, once for each other cursor, and once for each of three frames", n)
		}
	})
}

// Very many different feeds take no more of the processors than a few.
func TestFeedsSlowDownWithTheirNumber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const feeds = 2000
		var h Hub
		var c counting
		r := h.Reader("")
		for i := range feeds {
			r.Follow(fmt.Sprint(i), c.feed())
		}
		next(t, r)
		before := c.rendered.Load()
		for range 1000 {
			c.value.Add(1)
			time.Sleep(100 * time.Millisecond)
		}
		if perSecond := (c.rendered.Load() - before) / 100; perSecond > int64(time.Second/perFeed)+20 {
			t.Errorf("%d feeds are rendered %d times a second", feeds, perSecond)
		}
		r.Close()
	})
}

// Feeds that look long for a change and find none leave the processors to requests, too.
func TestFeedsRestAfterALongLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const feeds, takes = 100, 10 * time.Millisecond
		var h Hub
		var looks atomic.Int64
		r := h.Reader("")
		for i := range feeds {
			r.Follow(fmt.Sprint(i), Feed{Every: time.Second, Next: func(context.Context) (Frame, bool) {
				looks.Add(1)
				time.Sleep(takes)
				return Frame{}, false
			}})
		}
		const during = 100 * time.Second
		time.Sleep(during)
		if used := time.Duration(looks.Load()) * takes; used > during/share+feeds*takes {
			t.Errorf("%d feeds took %s of the processors in %s, want a quarter at most", feeds, used, during)
		}
		r.Close()
	})
}
