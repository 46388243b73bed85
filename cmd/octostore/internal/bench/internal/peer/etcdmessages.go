package peer

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// Numbers of fields in the messages of etcd's rpc.proto and kv.proto.
const (
	answerHeader    protowire.Number = 1 // of every answer
	headerRevision  protowire.Number = 3
	leaseGrantTTL   protowire.Number = 1
	leaseGrantID    protowire.Number = 2 // of the answer
	rangeKey        protowire.Number = 1
	rangeEnd        protowire.Number = 2
	rangeLimit      protowire.Number = 3
	rangeSortOrder  protowire.Number = 5
	rangeSortTarget protowire.Number = 6
	rangeMaxCreated protowire.Number = 13
	rangeKVs        protowire.Number = 2 // of the answer
	kvKey           protowire.Number = 1
	kvCreated       protowire.Number = 2
	putKey          protowire.Number = 1
	putLease        protowire.Number = 3
	deleteKey       protowire.Number = 1
	deleteDeleted   protowire.Number = 2 // of the answer
	txnCompare      protowire.Number = 1
	txnSuccess      protowire.Number = 2
	txnFailure      protowire.Number = 3
	txnSucceeded    protowire.Number = 2 // of the answer
	txnResponses    protowire.Number = 3 // of the answer
	opRange         protowire.Number = 1 // of requests and answers
	opPut           protowire.Number = 2
	compareTarget   protowire.Number = 2
	compareKey      protowire.Number = 3
	compareCreated  protowire.Number = 5
	watchCreate     protowire.Number = 1
	watchedKey      protowire.Number = 1
	watchStart      protowire.Number = 3
	watchEvents     protowire.Number = 11 // of the answer
	eventType       protowire.Number = 1
)

// Values of enumerations.
const (
	eventDelete   = 1
	sortAscend    = 1
	sortDescend   = 2
	sortByCreated = 2 // as the target of a sort
	createdTarget = 1 // as the target of a comparison
)

// number appends a field with a number.
func number(b []byte, field protowire.Number, value int64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(value))
}

// text appends a field with bytes: a text or a message.
func text[T string | []byte](b []byte, field protowire.Number, value T) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), string(value))
}

// under returns a range of the keys that begin with prefix: the first in an order.
func under(prefix string, order int64) []byte {
	end := []byte(prefix)
	end[len(end)-1]++
	b := text(text(nil, rangeKey, prefix), rangeEnd, end)
	b = number(b, rangeLimit, 1)
	return number(number(b, rangeSortOrder, order), rangeSortTarget, sortByCreated)
}

// ownerRange reads the oldest key, which is the owner's.
func ownerRange(prefix string) []byte { return under(prefix, sortAscend) }

// lastBefore reads the newest key that is not newer than a revision.
func lastBefore(prefix string, revision int64) []byte {
	return number(under(prefix, sortDescend), rangeMaxCreated, revision)
}

// tryTransaction is Mutex.tryAcquire: create the key if it is absent, and read the owner.
func tryTransaction(prefix, key string, lease int64) []byte {
	absent := number(text(number(nil, compareTarget, createdTarget), compareKey, key), compareCreated, 0)
	put := text(nil, opPut, number(text(nil, putKey, key), putLease, lease))
	owner := text(nil, opRange, ownerRange(prefix))
	get := text(nil, opRange, text(nil, rangeKey, key))
	b := text(nil, txnCompare, absent)
	b = text(text(b, txnSuccess, put), txnSuccess, owner)
	return text(text(b, txnFailure, get), txnFailure, owner)
}

// parseTry returns the revisions that created the key of the client and that of the owner.
func parseTry(answer []byte) (mine, owner int64, err error) {
	responses := all(answer, txnResponses)
	if len(responses) != 2 {
		return 0, 0, errors.New("a transaction without two answers")
	}
	mine = firstNumber(first(answer, answerHeader), headerRevision)
	if firstNumber(answer, txnSucceeded) == 0 {
		mine = created(responses[0])
	}
	return mine, created(responses[1]), nil
}

// created returns the revision that created the first key of a range in a transaction.
func created(response []byte) int64 {
	return firstNumber(first(first(response, opRange), rangeKVs), kvCreated)
}

func watchKey(key string, revision int64) []byte {
	return text(nil, watchCreate, number(text(nil, watchedKey, key), watchStart, revision))
}

// all returns the fields with bytes of that number in a message. It stops at what is no
// message.
func all(message []byte, field protowire.Number) (values [][]byte) {
	walk(message, func(n protowire.Number, _ int64, value []byte) bool {
		if n == field && value != nil {
			values = append(values, value)
		}
		return true
	})
	return values
}

// first returns the first field with bytes of that number, nil if there is none.
func first(message []byte, field protowire.Number) (found []byte) {
	walk(message, func(n protowire.Number, _ int64, value []byte) bool {
		if n == field && value != nil {
			found = value
		}
		return found == nil
	})
	return found
}

// firstNumber returns the field of that number, 0 if it is absent.
func firstNumber(message []byte, field protowire.Number) (found int64) {
	walk(message, func(n protowire.Number, value int64, text []byte) bool {
		if n == field && text == nil {
			found = value
		}
		return n != field
	})
	return found
}

// walk calls each with the fields of a message until it returns false.
func walk(message []byte, each func(field protowire.Number, value int64, text []byte) bool) {
	for len(message) > 0 {
		field, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return
		}
		message = message[n:]
		var value uint64
		var text []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(message)
		case protowire.BytesType:
			text, n = protowire.ConsumeBytes(message)
			text = text[:len(text):len(text)]
		default:
			n = protowire.ConsumeFieldValue(field, kind, message)
		}
		if n < 0 || !each(field, int64(value), text) {
			return
		}
		message = message[n:]
	}
}
