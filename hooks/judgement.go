package hooks

import (
	"context"
	"sync"

	"github.com/octostore/octostore/hooks/internal/guest"
)

// judgement is the evaluation of one question by the policies, one after the other.
type judgement struct {
	guest.Request
	slots *guestSlots // where it has a slot, which it keeps from one policy to the next; nil: it has none
	spent int64       // fuel, since it has the slot
	// patient means that no client waits: for an observer or an explanation.
	patient bool
}

// judgements is a pool, of zero values.
var judgements = sync.Pool{New: func() any { return new(judgement) }}

// release frees the slot and returns a judgement to the pool, cleared.
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

// slotFuel is the fuel a judgement may spend before it lets others that wait have its slot. Changing
// slots at every policy would cost more than most policies do.
const slotFuel = 500_000

// keepSlot keeps the slot, unless others wait for one: then it waits for the next. After an error it
// has none.
func (j *judgement) keepSlot(ctx context.Context) (waited bool, err error) {
	j.spent = 0
	if waited, err = j.slots.keep(ctx); err != nil {
		j.slots = nil // another judgement has it
	}
	return waited, err
}
