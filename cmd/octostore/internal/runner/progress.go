package runner

import (
	"context"
	"errors"
	"time"

	"github.com/octostore/octostore/transport/api"
	"github.com/octostore/octostore/transport/client"
)

const (
	silent     = 400 * time.Millisecond // a wait as short as this needs no words
	pollOften  = 2 * time.Second        // on a terminal
	pollSeldom = 10 * time.Second       // elsewhere
	repeat     = 30 * time.Second       // a line at least this often
)

// progress says how it goes while a run waits for its lock.
type progress struct {
	run   *Run
	began time.Time

	news  chan client.Waiting
	polls chan api.Lock
	done  chan struct{}

	now     situation
	retryAt time.Time // until then a problem is not over, whatever a poll says
	said    string    // key of the situation that was said last
	saidAt  time.Time
}

// watchWait starts to say how a wait goes, until the function it returns is called.
func (r *Run) watchWait(ctx context.Context) (waiting func(client.Waiting), stop func()) {
	if r.Quiet {
		return nil, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &progress{
		run: r, began: time.Now(),
		news: make(chan client.Waiting), polls: make(chan api.Lock), done: make(chan struct{}),
	}
	polled := make(chan struct{})
	go func() { defer close(polled); p.poll(ctx) }()
	go func() { defer close(p.done); p.watch(ctx) }()
	tell := func(w client.Waiting) {
		select {
		case p.news <- w:
		case <-ctx.Done():
		}
	}
	return tell, func() {
		cancel()
		<-p.done
		<-polled
		r.report.draw("")
	}
}

func (p *progress) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	first := time.After(silent)
	speaking := false
	for {
		select {
		case w := <-p.news:
			p.hear(w, time.Now())
		case l := <-p.polls:
			p.see(l, time.Now())
			if !speaking { // the first poll is made when it is time to speak
				speaking, first = true, nil
			}
		case <-first:
			first = time.After(silent) // the poll has that long to answer
			if speaking {
				first = nil
			}
			speaking = true
			continue
		case <-tick.C:
			speaking = true
		case <-ctx.Done():
			return
		}
		if speaking && ctx.Err() == nil {
			p.say(time.Now())
		}
	}
}

// poll reads the lock while it waits. Without the permission to read it, the answers to the
// acquires have to do.
func (p *progress) poll(ctx context.Context) {
	pause := silent
	for {
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = pollSeldom
		if p.run.report.line != nil {
			pause = pollOften
		}
		asked, cancel := context.WithTimeout(ctx, pollSeldom)
		l, err := p.run.Server.Lock(asked, p.run.Name, client.QueuePage{})
		cancel()
		if refused, is := errors.AsType[*client.Error](err); is && refused.Status/100 == 4 && refused.Status != 429 {
			return
		}
		if err != nil {
			continue
		}
		select {
		case p.polls <- l:
		case <-ctx.Done():
			return
		}
	}
}

// hear takes what the client says about an answer or a failure that it waits out.
func (p *progress) hear(w client.Waiting, now time.Time) {
	if w.Held != nil {
		p.now = situation{lease: w.Held.Lease, seen: now, position: w.Held.Position, waiters: w.Held.Waiters}
		return
	}
	if w.Err == nil {
		return
	}
	p.now.problem, p.now.kind = w.Err.Error(), "unreachable"
	if answered, is := errors.AsType[*client.Error](w.Err); is {
		p.now.kind = "answer " + string(answered.Code)
	}
	p.retryAt = now.Add(w.RetryIn + silent)
}

// see takes a lock that was read.
func (p *progress) see(l api.Lock, now time.Time) {
	if p.now.problem != "" && now.Before(p.retryAt) {
		return
	}
	p.now = situation{lease: l.Lease, seen: now, waiters: l.WaitersTotal}
	for _, w := range l.Waiters {
		if w.Holder == p.run.Holder && w.Reason == p.run.Reason {
			p.now.position = w.Position
			return
		}
	}
}

// say draws the living line on a terminal. Elsewhere it writes a line if something has changed,
// and every 30 s.
func (p *progress) say(now time.Time) {
	waited := now.Sub(p.began)
	text := p.now.sentence(p.run.Name, waited, now)
	report := p.run.report
	if report.line != nil {
		report.draw(text)
		return
	}
	if key := p.now.key(); key == p.said && now.Sub(p.saidAt) < repeat {
		return
	} else {
		p.said, p.saidAt = key, now
	}
	report.event(p.event(waited, now))
	report.note("%s", text)
}

// event is what --json says of the situation.
func (p *progress) event(waited time.Duration, now time.Time) Event {
	e := Event{
		Event: KindWaiting, WaitedMS: waited.Milliseconds(),
		Position: p.now.position, Waiters: p.now.waiters, Error: p.now.problem,
	}
	if l := p.now.lease; l != nil && p.now.problem == "" {
		since, left := p.now.held(now)
		e.Holder, e.Account, e.HeldMS, e.ExpiresInMS = l.Holder, l.Account, since.Milliseconds(), left.Milliseconds()
	}
	return e
}
