package main

// stackMutants let a guest of a policy have more of the native stack than there is for it.
var stackMutants = []mutant{
	{
		name: "meter-stack-not-taken", file: "hooks/meter/depth.go",
		old:    "	e.out = appendInt(append(e.out, 0x42), -direction*e.frame)       // i64.const\n",
		new:    "	e.out = appendInt(append(e.out, 0x42), 0*direction*e.frame)       // i64.const\n",
		breaks: "a policy that recurses keeps a stack of 100 MB with each instance",
		tests:  []string{"-run=StackOfEndlessRecursion ./hooks/meter"},
	},
	{
		name: "meter-stack-not-put-back", file: "hooks/meter/code.go",
		old:    "point{at: at, stack: calls}, point{at: after, stack: returned})\n",
		new:    "point{at: at, stack: calls})\n",
		breaks: "a policy fails for good when its calls have used up the stack together",
		tests:  []string{"-run=StackIsWholeAgain ./hooks/meter"},
	},
}
