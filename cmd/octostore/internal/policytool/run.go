package policytool

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/octostore/octostore/hooks"
)

// RunReport is what a module says of one request.
type RunReport struct {
	Digest string    `json:"digest"`
	Start  []LogLine `json:"start_logs,omitempty"`
	Answer
}

// Run puts one case to a module.
func Run(ctx context.Context, module Module, limits Limits, config json.RawMessage, c hooks.Case) (RunReport, error) {
	trial, err := module.open(ctx, limits)
	if err != nil {
		return RunReport{}, err
	}
	defer trial.Close()
	if err := trial.Configure(config); err != nil {
		return RunReport{}, fmt.Errorf("%s refuses its configuration: %w", module.Path, err)
	}
	return RunReport{Digest: trial.Digest(), Start: logLines(trial.StartLogs()), Answer: answerOf(trial.Ask(c))}, nil
}
