package main

// shareMutants break what one client behind a proxy must not take from the others, and
// what the log and the listeners tell.
var shareMutants = []mutant{
	{
		name: "login-share-for-junk", file: "transport/login/web.go",
		old:    "	ticket, err := g.ticket(r, c.State, now)\n",
		new:    "	ticket, err := g.ticket(r, c.State, now)\n	if err := allowed(mayAsk); err != nil {\n		return Token{}, err\n	}\n",
		breaks: "callbacks that lead nowhere keep everybody behind a proxy from logging in",
		tests:  []string{"-run=LoginsAreNotUsedUp ./transport"},
	},
	{
		name: "login-share-unasked", file: "transport/login/web.go",
		old:    "if err = allowed(mayAsk); err == nil {",
		new:    "if true {",
		breaks: "one address has GitHub asked about codes as fast as it answers",
		tests:  []string{"-run=LoginsOfOneAddressInBrowsers ./transport"},
	},
	{
		name: "device-share-unasked", file: "transport/login/device.go",
		old:    "if err := allowed(mayAsk); err != nil {",
		new:    "if false {\n		err := errors.New(\"\")",
		breaks: "one address has GitHub asked for codes as fast as it answers",
		tests:  []string{"-run=LoginsOfOneAddressAreLimited ./transport"},
	},
}
