package tracing

import (
	"errors"
	"log/slog"
	"net/url"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"

	"github.com/octostore/octostore/core/sparselog"
)

// logLibrary logs what the library has to say, which would otherwise go to standard error as it is. That
// has the value of a malformed variable, which may be a secret such as OTEL_EXPORTER_OTLP_HEADERS.
func logLibrary(to *sparselog.Log) {
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { to.Log(slog.LevelWarn, "library", "traces", slog.Any("err", err)) }))
	otel.SetLogger(logr.New(librarySink{to}))
}

// librarySink logs the errors of the library, and none of the values beside them.
type librarySink struct{ to *sparselog.Log }

func (librarySink) Init(logr.RuntimeInfo) {}

// Enabled reports that only errors are logged.
func (librarySink) Enabled(int) bool { return false }

func (librarySink) Info(int, string, ...any) {}

func (s librarySink) Error(err error, msg string, _ ...any) {
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err // without the URL, which may have a password
	}
	s.to.Log(slog.LevelWarn, "library "+msg, "a variable of OpenTelemetry cannot be used", slog.String("to", msg), slog.Any("err", err))
}

func (s librarySink) WithValues(...any) logr.LogSink { return s }

func (s librarySink) WithName(string) logr.LogSink { return s }
