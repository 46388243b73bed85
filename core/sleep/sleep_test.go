package sleep_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/octostore/octostore/core/sleep"
)

func TestForEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for _, tt := range []struct {
			name    string
			d, took time.Duration
			want    error
		}{
			{"a second", time.Second, time.Second, nil},
			{"no time", 0, 0, nil},
			{"a time that is over", -time.Second, 0, nil},
			{"longer than the context", time.Hour, 59 * time.Second, context.DeadlineExceeded},
			{"after the context", time.Second, 0, context.DeadlineExceeded},
			{"no time after the context", 0, 0, context.DeadlineExceeded},
		} {
			began := time.Now()
			if err := sleep.For(ctx, tt.d); !errors.Is(err, tt.want) || time.Since(began) != tt.took {
				t.Errorf("%s: %v after %s, want %v after %s", tt.name, err, time.Since(began), tt.want, tt.took)
			}
		}
	})
}
