package main

// meterMutants let a guest of a policy have more time or memory than it is given.
var meterMutants = []mutant{
	{
		name: "meter-callers-unchecked", file: "hooks/meter/code.go",
		old:    "f = newBody(start, entry, locals, t)",
		new:    "f = newBody(start, maxUnchecked, locals, t)",
		breaks: "a guest that recursed works 10,000 units on the way back from every call",
		tests:  []string{"-run=FuelIsNotOverdrawn ./hooks/meter"},
	},
	{
		name: "meter-compiler-unbounded", file: "hooks/meter/module.go",
		old:    "	w.load.check(len(body))\n",
		new:    "",
		breaks: "a small module keeps the compiler busy for minutes",
		tests:  []string{"-run=WorkOfTheCompiler ./hooks/meter"},
	},
	{
		name: "meter-host-memory-free", file: "hooks/meter/account.go",
		old:    "		if bytes <= limit {",
		new:    "		if true {",
		breaks: "a small module takes a GiB of the host for each instance",
		tests:  []string{"-run=MemoryOfTheHost ./hooks/meter"},
	},
	{
		name: "meter-remainder-overflows", file: "hooks/meter/remainder.go",
		old:    "if op == opI32RemS || op == opI64RemS {",
		new:    "if false {",
		breaks: "the least integer modulo -1 traps where remainders are rewritten",
		tests:  []string{"-run=Remainders ./hooks/meter"},
	},
}
