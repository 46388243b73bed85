package tracing

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"

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

// librarySink logs what the library has against variables, and none of their values.
type librarySink struct{ to *sparselog.Log }

func (librarySink) Init(logr.RuntimeInfo) {}

const unusable = "a variable of OpenTelemetry cannot be used"

// infoLevel is the level of the library's Info. Its Debug is above, and would come with every batch.
const infoLevel = 4

// Enabled reports which lines the library may write.
func (librarySink) Enabled(level int) bool { return level <= infoLevel }

// Info logs a line about a number that is none. It has the variable before its value.
func (s librarySink) Info(_ int, msg string, pairs ...any) {
	if strings.HasPrefix(msg, "Got invalid value") && len(pairs) > 0 {
		s.to.Log(slog.LevelWarn, fmt.Sprint("library ", pairs[0]), unusable, slog.Any("variable", pairs[0]), slog.String("why", msg))
	}
}

func (s librarySink) Error(err error, msg string, _ ...any) {
	if of, is := errors.AsType[*url.Error](err); is {
		err = of.Err // without the URL, which may have a password
	}
	s.to.Log(slog.LevelWarn, "library "+msg, unusable, slog.String("to", msg), slog.Any("err", err))
}

func (s librarySink) WithValues(...any) logr.LogSink { return s }

func (s librarySink) WithName(string) logr.LogSink { return s }
