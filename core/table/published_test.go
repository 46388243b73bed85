package table

import (
	"sync"
	"testing"
	"testing/synctest"
)

// A client that has an answer finds what it says when it reads: the views come first, then
// the journal, then the answers.
func TestAnswersShowInReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		published, goOn := make(chan struct{}), make(chan struct{})
		show := sync.OnceFunc(func() {
			close(published)
			<-goOn
		})
		d := newDiary()
		tab, err := Open(t.Context(), d, Config{Published: func() {
			if len(d.kinds()) > 0 { // not a turn without a commit
				show()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer tab.Close()
		defer close(goOn)
		got := tab.start(t.Context(), try("x"))
		<-published
		synctest.Wait()
		if tab.Get("x").Lease == nil {
			t.Error("the journal shows a grant that the views do not")
		}
		select {
		case o := <-got:
			t.Errorf("answered %+v before the views show it", o)
		default:
		}
	})
}
