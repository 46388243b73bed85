package bench

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPagesAreOpenBesideTheLoad(t *testing.T) {
	for _, ends := range []bool{false, true} {
		target := &target{addr: strings.TrimPrefix(serveFake(t, &fake{endsPages: ends}), "http://"), client: http.DefaultClient}
		l := &besidePages{&acquirePairs{timing{duration: 50 * time.Millisecond}, 1}, 3}
		s, err := l.run(t.Context(), target)
		if s == nil || s.operations == 0 || (err != nil) != ends {
			t.Errorf("server ends streams: %v; sample %v, error %v", ends, s, err)
		}
	}
}
