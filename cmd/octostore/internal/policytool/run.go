package policytool

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/octostore/octostore/hooks"
)

// RunReport is the answer of a module to one request.
type RunReport struct {
	Digest string    `json:"digest"`
	Start  []LogLine `json:"start_logs,omitempty"`
	Answer
	Advice *FuelAdvice `json:"fuel_advice,omitempty"` // the call used up its fuel, or almost
}

// Run evaluates one case with a module.
func Run(ctx context.Context, module Module, limits Limits, config json.RawMessage, c hooks.Case) (RunReport, error) {
	trial, err := module.open(ctx, limits)
	if err != nil {
		return RunReport{}, err
	}
	defer trial.Close()
	if err := trial.Configure(config); err != nil {
		return RunReport{}, fmt.Errorf("%s refuses its configuration: %w", module.Path, err)
	}
	start := logLines(trial.StartLogs())
	o := trial.Ask(c)
	return RunReport{Digest: trial.Digest(), Start: start, Answer: answerOf(o), Advice: adviseFuel(trial, c, o)}, nil
}
