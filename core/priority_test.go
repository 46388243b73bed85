package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core"
	"github.com/octostore/octostore/core/lock"
)

// lane gives a request the priority that its holder begins with; others have none.
func lane(q core.Question) (core.Decision, error) {
	word, _, _ := strings.Cut(q.Asked.Holder, "-")
	for _, p := range lock.Priorities() {
		if p.String() == word {
			said := lock.Verdict{Policy: "lane", At: "request", Mode: "enforce", Verdict: "allow", Priority: word}
			return core.Decision{Priority: p, SetPriority: true, Opinion: lock.Opinion{Verdicts: []lock.Verdict{said}}}, nil
		}
	}
	return core.Decision{}, nil
}

// waits has a holder wait for the lock, and gives it back as soon as it has it. The holder
// is told to got.
func (h house) waits(t *testing.T, ctx context.Context, holder, key string, got chan<- string) {
	go func() {
		g, err := h.Acquire(ctx, me, core.AcquireRequest{Name: "prod/a", Holder: holder, Wait: time.Minute, Key: key})
		if err != nil {
			got <- fmt.Sprint(holder, " ", err)
			return
		}
		got <- g.Lease.Holder
		h.mustRelease(t, g)
	}()
	synctest.Wait()
}

func TestPriorityOfPoliciesDecidesWhoIsNext(t *testing.T) {
	for name, grant := range map[string]func(core.Question) (core.Decision, error){
		"at the request": nil,
		// A priority given at the turn has no effect: the request keeps its place.
		"at the turn": func(core.Question) (core.Decision, error) {
			return core.Decision{Priority: lock.Back, SetPriority: true}, nil
		},
	} {
		guard := &scripted{request: lane, grant: grant}
		inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
			g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a", Holder: "back-0"})
			got := make(chan string, 10)
			for _, holder := range []string{"back-1", "silent-1", "front-1", "normal-1", "back-2", "front-2", "silent-2"} {
				h.waits(t, t.Context(), holder, "", got)
			}
			view, err := h.Queue(t.Context(), me, "prod/a", 0, 10)
			if err != nil {
				t.Fatal(err)
			}
			queue := ""
			for _, w := range view.Queue {
				queue += fmt.Sprintf("%d %s %s; ", w.Position, w.Holder, w.Priority)
			}
			if want := "1 front-1 front; 2 front-2 front; 3 silent-1 normal; 4 normal-1 normal; 5 silent-2 normal; 6 back-1 back; 7 back-2 back; "; queue != want {
				t.Errorf("%s:\n got %s\nwant %s", name, queue, want)
			}
			h.mustRelease(t, g)
			synctest.Wait()
			close(got)
			var order []string
			for holder := range got {
				order = append(order, holder)
			}
			if s := strings.Join(order, " "); s != "front-1 front-2 silent-1 normal-1 silent-2 back-1 back-2" {
				t.Errorf("%s: the lock goes to %s", name, s)
			}
			record := h.record(t)
			for _, want := range []string{
				`"holder":"front-2","ttl_ms":60000,"priority":"front","verdicts":[{"policy":"lane","at":"request","mode":"enforce","verdict":"allow","priority":"front"`,
				`"holder":"back-2","ttl_ms":60000,"priority":"back",`,
				`"holder":"normal-1","ttl_ms":60000,"verdicts":[{"policy":"lane","at":"request","mode":"enforce","verdict":"allow","priority":"normal"`,
				`"holder":"back-0","ttl_ms":60000,"verdicts":`, // it has not waited
			} {
				if !strings.Contains(record, want) {
					t.Errorf("%s: %s is not on record: %s", name, want, record)
				}
			}
		})
	}
}

// An attempt that asks again is judged again, since it has no lease yet, and keeps the
// place and the class it has.
func TestPriorityStaysWithTheAttempt(t *testing.T) {
	const key = "0123456789abcdef"
	said := lock.Back
	guard := &scripted{request: func(q core.Question) (core.Decision, error) {
		if q.Asked.Holder == "keyed" {
			return core.Decision{Priority: said, SetPriority: true}, nil
		}
		return lane(q)
	}}
	inHouse(t, core.Config{Guard: guard}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
		got := make(chan string, 10)
		ctx, hangUp := context.WithCancel(t.Context())
		h.waits(t, ctx, "keyed", key, got)
		h.waits(t, t.Context(), "normal-1", "", got)
		h.waits(t, t.Context(), "back-1", "", got)
		hangUp()
		synctest.Wait()
		said = lock.Front
		h.waits(t, t.Context(), "keyed", key, got)
		h.mustRelease(t, g)
		synctest.Wait()
		close(got)
		var order []string
		for holder := range got {
			order = append(order, holder)
		}
		if want := fmt.Sprint([]string{"keyed " + lock.ErrGone.Error(), "normal-1", "keyed", "back-1"}); fmt.Sprint(order) != want {
			t.Errorf("got %v, want %v", order, want)
		}
	})
}

// A try does not pass a listening waiter, whatever their classes.
func TestPriorityOfATryPassesNobody(t *testing.T) {
	inHouse(t, core.Config{Guard: &scripted{request: lane, grant: func(core.Question) (core.Decision, error) {
		time.Sleep(10 * time.Second) // the lock is free, and the called waiter thinks
		return core.Decision{}, nil
	}}}, func(t *testing.T, h house) {
		g := h.mustAcquire(t, core.AcquireRequest{Name: "prod/a"})
		got := make(chan string, 1)
		h.waits(t, t.Context(), "back-1", "", got)
		h.mustRelease(t, g)
		for range 15 {
			time.Sleep(700 * time.Millisecond)
			synctest.Wait()
			if len(got) > 0 {
				break
			}
			var held *lock.HeldError
			if _, err := h.Acquire(t.Context(), me, core.AcquireRequest{Name: "prod/a", Holder: "front-1"}); !errors.As(err, &held) || held.Lease != nil {
				t.Fatalf("a try with a priority is answered %v", err)
			}
		}
		if holder := <-got; holder != "back-1" {
			t.Errorf("%s has the lock", holder)
		}
	})
}
