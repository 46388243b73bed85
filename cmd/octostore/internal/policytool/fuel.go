package policytool

import (
	"fmt"

	"github.com/octostore/octostore/hooks"
)

// FuelAdvice says that a call used up its fuel, or almost, and how much is enough.
type FuelAdvice struct {
	Fuel  int64 `json:"fuel"`          // of a call, as it was set
	Needs int64 `json:"needs"`         // by the call on a fresh instance; 0: more than any call may have
	Set   int64 `json:"set,omitempty"` // what to set fuel to; 0: it cannot be set higher
}

// roundFuel is the step to which advice is rounded up.
const roundFuel = 100_000

// adviseFuel returns advice about the fuel of a call, or nil if a fifth is left. The extra fuel of a
// first call does not count, because mode shadow does not give it.
func adviseFuel(t *hooks.Trial, c hooks.Case, o hooks.Outcome) *FuelAdvice {
	a := &FuelAdvice{Fuel: t.Fuel(), Needs: o.Fuel}
	if o.FaultKind == "out_of_fuel" {
		a.Needs = t.Needs(c)
	}
	if a.Needs > 0 && a.Needs <= a.Fuel/5*4 {
		return nil
	}
	if set := (a.Needs + a.Needs/2 + roundFuel - 1) / roundFuel * roundFuel; a.Needs > 0 && a.Fuel < hooks.MaxFuel {
		a.Set = min(set, hooks.MaxFuel)
	}
	return a
}

func (a *FuelAdvice) String() string {
	switch {
	case a.Needs == 0:
		return fmt.Sprintf("needs more than %d units of fuel, which no call may have; the policy has to do less", hooks.MaxFuel)
	case a.Set == 0:
		return fmt.Sprintf("needs %d units of fuel, and no call may have more than %d; the policy has to do less", a.Needs, hooks.MaxFuel)
	}
	return fmt.Sprintf("needs %d units of fuel, and a call has %d; set fuel to %d", a.Needs, a.Fuel, a.Set)
}
