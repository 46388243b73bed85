package lane

import (
	"net/http"
	"testing"
)

// TestLaneServesOnAfterAParkedAnswer has a handler return without an answer, which follows before or
// after the return, and the client send more requests meanwhile.
func TestLaneServesOnAfterAParkedAnswer(t *testing.T) {
	for name, early := range map[string]bool{"resumed after the return": false, "resumed before the return": true} {
		t.Run(name, func(t *testing.T) {
			parked := make(chan *answer, 1)
			s := newLane(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					say("lane")(w, r)
					return
				}
				a := w.(*answer)
				if early {
					a.Resume(func() { say("late")(w, nil) })
				}
				a.Park()
				parked <- a
			})
			c := s.dial(t).send(acquire + get)
			if a := <-parked; !early {
				in := s.connections()[0]
				eventually(t, "the handler has returned", func() bool { return a.came.Load() == 1 })
				if in.state.Load() != active {
					t.Error("a stop would close a connection whose request waits")
				}
				go a.Resume(func() { say("late")(a, nil) })
			}
			c.want("late").want("lane").send(index).want("rest")
		})
	}
}

// TestLaneClosesAfterAParkedAnswerThatIsAborted has the work of a parked answer panic as handlers do.
func TestLaneClosesAfterAParkedAnswerThatIsAborted(t *testing.T) {
	s := newLane(t, func(w http.ResponseWriter, _ *http.Request) {
		a := w.(*answer)
		a.Park()
		go a.Resume(func() { panic(http.ErrAbortHandler) })
	})
	s.dial(t).send(acquire).wantEnd()
	eventually(t, "the connection is forgotten", func() bool { return len(s.connections()) == 0 })
}
