// Package told says what it is for.
package told

// Kinds of values.
const (
	One = 1
	Two = 2
)

// Type is a type.
type Type[T any] struct{}

// Method is a method.
func (*Type[T]) Method() {}

type hidden struct{}

func (hidden) Method() {}
