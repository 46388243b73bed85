package runner

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
)

// interrupted is the cause of a context that a signal has ended.
type interrupted struct{ signal os.Signal }

func (i *interrupted) Error() string { return "stopped by " + signalName(i.signal) }

// untilSignal returns a context that ends with the first signal that asks to stop. Signals that
// were ignored when this process started stay ignored: nohup means it. The function ends the
// watch; signals then are somebody else's.
func untilSignal(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 1)
	for _, s := range stopSignals {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-signals:
			signal.Stop(signals) // the next one ends this process at once
			cancel(&interrupted{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-done
	}
}

// asksToStop reports whether a signal is one that ends a context of untilSignal.
func asksToStop(s os.Signal) bool { return slices.Contains(stopSignals, s) }

// signalOf returns the signal that has ended a context of untilSignal, or nil.
func signalOf(ctx context.Context) os.Signal {
	if i, is := errors.AsType[*interrupted](context.Cause(ctx)); is {
		return i.signal
	}
	return nil
}
