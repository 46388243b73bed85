package hooks

import (
	"context"
	"sync"

	"github.com/octostore/octostore/hooks/internal/guest"
)

// judgement is one question on its way through the policies, one after the other.
type judgement struct {
	guest.Request
	slots *guestSlots // nil: it has no slot; it is kept from one policy to the next
	spent int64       // fuel, on this slot
	// patient means that no client waits: that of an observer or an explanation.
	patient bool
}

// judgements are used again for other questions. What is in the pool is zero.
var judgements = sync.Pool{New: func() any { return new(judgement) }}

// release ends a judgement that came from the pool. Nothing of it is kept.
func (j *judgement) release() {
	j.freeSlot()
	*j = judgement{}
	judgements.Put(j)
}

func (j *judgement) freeSlot() {
	if j.slots != nil {
		j.slots.done(false)
		j.slots = nil
	}
}

// slotFuel is how much fuel a judgement spends on one slot before others that wait come first.
// Changing places at every policy would cost more than most policies do.
const slotFuel = 500_000

// keepSlot goes on with the slot of a judgement that has used it for long, unless others wait
// for one: then it waits for the next. After an error it has none.
func (j *judgement) keepSlot(ctx context.Context) (waited bool, err error) {
	j.spent = 0
	if waited, err = j.slots.keep(ctx); err != nil {
		j.slots = nil // another has it
	}
	return waited, err
}
