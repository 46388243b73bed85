package tracing

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// The exporters of OTEL_TRACES_EXPORTER.
const (
	exporterNone    = "none"
	exporterOTLP    = "otlp"
	exporterConsole = "console"
)

// exporterOf returns the exporter that the variables ask for, and why it is none although they ask for
// one. Without any variable it is none.
func exporterOf(getenv func(string) string) (name, why string) {
	if strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") {
		return exporterNone, ""
	}
	name = getenv("OTEL_TRACES_EXPORTER")
	if name == "" && (getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != "") {
		name = exporterOTLP
	}
	switch name {
	case "", exporterNone:
		return exporterNone, ""
	case exporterConsole:
		return exporterConsole, ""
	case exporterOTLP:
	default:
		return exporterNone, fmt.Sprintf("OTEL_TRACES_EXPORTER=%q is none of otlp, console and none", name)
	}
	protocol := getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
	if protocol == "" {
		protocol = getenv("OTEL_EXPORTER_OTLP_PROTOCOL")
	}
	if protocol != "" && protocol != "http/protobuf" {
		return exporterNone, fmt.Sprintf("the OTLP protocol %q is not supported; use http/protobuf, usually on port 4318", protocol)
	}
	return exporterOTLP, ""
}

// newExporter returns an exporter. It does not connect yet. The library reads the other variables of
// OTLP itself, from the environment.
func newExporter(ctx context.Context, name string, cfg Config) (sdk.SpanExporter, error) {
	if name == exporterConsole {
		return stdouttrace.New(stdouttrace.WithWriter(cfg.Console))
	}
	return otlptracehttp.New(ctx)
}

// resourceOf describes this process, as OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add to or replace.
func resourceOf(ctx context.Context, cfg Config) *resource.Resource {
	r, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", "octostore"), attribute.String("service.version", cfg.Version)),
		resource.WithFromEnv(),
	)
	if err != nil {
		cfg.Logger.Warn("traces describe this process in part only", "err", err)
	}
	return r
}
