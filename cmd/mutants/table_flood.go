package main

// floodMutants let a flood of connections from one address keep others out.
var floodMutants = []mutant{
	{
		name: "flood-has-the-grace", file: "transport/internal/conn/set.go",
		old:    "of.Len() > above && (most == nil",
		new:    "false && (most == nil",
		breaks: "silent connections that come fast keep all other addresses out",
		tests:  []string{"-run=ConnectionsOfAFlood ./transport"},
	},
	{
		name: "flood-cut-in-vain", file: "transport/internal/conn/set.go",
		old:    "	if !last && surplus <= len(c.open)-c.Max {",
		new:    "	if false {",
		breaks: "connections on which a renewal is about to come are cut although that makes no place",
		tests:  []string{"-run=ConnectionsAreNotEvictedInVain ./transport/internal/conn"},
	},
	{
		name: "flood-share-unchecked", file: "transport/internal/conn/set.go",
		old:    "c.largest(max(own, c.share()), last)",
		new:    "c.largest(own, last)",
		breaks: "the silent connections that a network has within its share are cut at once, too",
		tests:  []string{"-run=ConnectionsAreNotEvictedInVain ./transport/internal/conn"},
	},
}
