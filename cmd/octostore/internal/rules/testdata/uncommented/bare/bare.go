package bare

func Function() {}

type Type struct{}

func (*Type) Method()       {}
func (Type) String() string { return "" }
func (Type) hidden()        {}

var Value = 1
