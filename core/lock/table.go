package lock

import "context"

type Table struct{}
type Config struct{}

func (t *Table) Acquire(ctx context.Context, a Acquisition) (Grant, error) { panic("") }
func (t *Table) Renew(ctx context.Context, a Renewal) (Grant, error)       { panic("") }
func (t *Table) Release(ctx context.Context, a Release) (Ended, error)     { panic("") }
func (t *Table) Break(ctx context.Context, a Breaking) (Ended, error)      { panic("") }
func (t *Table) Undo(g Grant)                                              { panic("") }
func (t *Table) Append(ctx context.Context, e Event) (Seq, error)          { panic("") }
func (t *Table) Get(n Name) View                                           { panic("") }
func (t *Table) List(q Query) ([]View, Name)                               { panic("") }
func (t *Table) Stats() Stats                                              { panic("") }
func (t *Table) Draining() bool                                            { panic("") }
func (t *Table) Err() error                                                { panic("") }
