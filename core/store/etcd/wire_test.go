package etcd

import (
	"context"
	"sync"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// wire is the way to etcd, on which writes get lost or come late.
type wire struct {
	clientv3.KV

	mu   sync.Mutex
	next func(context.Context, clientv3.Op) (clientv3.OpResponse, error) // of the next write
}

func (w *wire) Do(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
	if isWrite(op) {
		if f := w.take(); f != nil {
			return f(ctx, op)
		}
	}
	return w.KV.Do(ctx, op)
}

func (w *wire) take() func(context.Context, clientv3.Op) (clientv3.OpResponse, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.next
	w.next = nil
	return f
}

func (w *wire) set(f func(context.Context, clientv3.Op) (clientv3.OpResponse, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = f
}

func isWrite(op clientv3.Op) bool {
	if !op.IsTxn() {
		return op.IsPut() || op.IsDelete()
	}
	_, then, _ := op.Txn()
	for _, o := range then {
		if isWrite(o) {
			return true
		}
	}
	return false
}

// lose makes the next write get no answer.
func (w *wire) lose(applied bool, meanwhile func()) {
	w.set(func(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		if applied {
			if _, err := w.KV.Do(ctx, op); err != nil {
				return clientv3.OpResponse{}, err
			}
		}
		meanwhile()
		return clientv3.OpResponse{}, context.DeadlineExceeded
	})
}

// hold keeps the next write back, and returns what delivers it. It may be delivered twice.
func (w *wire) hold(meanwhile func()) (deliver func()) {
	var held clientv3.Op
	w.set(func(_ context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		held = op
		meanwhile()
		return clientv3.OpResponse{}, context.DeadlineExceeded
	})
	return func() { _, _ = w.KV.Do(context.Background(), held) } // whatever becomes of it
}

// answer makes the next write get an error, applied or not.
func (w *wire) answer(err error, applied bool) {
	w.set(func(ctx context.Context, op clientv3.Op) (clientv3.OpResponse, error) {
		if applied {
			if _, err := w.KV.Do(ctx, op); err != nil {
				return clientv3.OpResponse{}, err
			}
		}
		return clientv3.OpResponse{}, err
	})
}

// answers makes the next n writes get an error. Each calls meanwhile first.
func (w *wire) answers(n int, err error, meanwhile func(n int)) {
	var next func(context.Context, clientv3.Op) (clientv3.OpResponse, error)
	next = func(context.Context, clientv3.Op) (clientv3.OpResponse, error) {
		meanwhile(n)
		if n--; n > 0 {
			w.set(next)
		}
		return clientv3.OpResponse{}, err
	}
	w.set(next)
}
