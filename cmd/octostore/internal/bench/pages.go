package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// besidePages is another load while pages are open on the server: each is a stream of the views
// that a browser with the page open asks for.
type besidePages struct {
	load
	pages int
}

// pageViews is the stream that an open page has.
const pageViews = "/v1/live?show=locks,activity,server"

func (l *besidePages) run(ctx context.Context, t *target) (*sample, error) {
	open, err := openPages(ctx, t, l.pages)
	if err != nil {
		return nil, err
	}
	s, err := l.load.run(ctx, t)
	return s, errors.Join(err, open.close())
}

// pages are streams that are open.
type pages struct {
	client  *http.Client
	end     context.CancelFunc
	reading sync.WaitGroup
	lost    atomic.Int64 // ended by the server
}

// openPages opens streams, and returns when each has its first event.
func openPages(ctx context.Context, t *target, n int) (*pages, error) {
	ctx, end := context.WithCancel(ctx)
	p := &pages{client: &http.Client{Transport: &http.Transport{DisableCompression: true}}, end: end}
	for range n {
		if err := p.open(ctx, t); err != nil {
			return nil, errors.Join(fmt.Errorf("a page: %w", err), p.close())
		}
	}
	return p, nil
}

func (p *pages) open(ctx context.Context, t *target) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.addr+pageViews, nil)
	if err != nil {
		return err
	}
	if t.token != "" {
		req.Header.Set("Authorization", "Bearer "+t.token)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	events := bufio.NewReaderSize(resp.Body, 64<<10)
	if _, err = events.ReadString('\n'); err != nil || resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return errors.Join(fmt.Errorf("%s: %s", pageViews, resp.Status), err)
	}
	p.reading.Go(func() {
		defer resp.Body.Close()
		io.Copy(io.Discard, events)
		if ctx.Err() == nil {
			p.lost.Add(1)
		}
	})
	return nil
}

// close closes the streams. It returns an error if the server has ended some before.
func (p *pages) close() error {
	p.end()
	p.reading.Wait()
	p.client.CloseIdleConnections()
	if n := p.lost.Load(); n > 0 {
		return fmt.Errorf("the server ended the streams of %d pages", n)
	}
	return nil
}
