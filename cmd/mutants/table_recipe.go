package main

const recipe = "sdk-examples/locks/with-lock.sh"

// inRecipe returns the argument for some tests of with-lock.sh.
func inRecipe(tests string) []string {
	return []string{"-short -run=TestWithLock(" + tests + ") ./cmd/octostore/internal/recipes"}
}

// recipeMutants break the recipe for shells.
var recipeMutants = []mutant{
	{
		name: "recipe-any-page", file: recipe,
		old:    `        LC_ALL=C grep -qx '[A-Za-z0-9_-]\{32\} [1-9][0-9]\{0,15\}' "$dir/body" &&` + "\n",
		new:    "",
		breaks: "any line of two words with status 200 is a grant",
		tests:  inRecipe("TakesNothingElse"),
	},
	{
		name: "recipe-unconfirmed", file: recipe,
		old:    "wait_for_lock\nconfirm_lease\n",
		new:    "wait_for_lock\nspan=$confirm until=$((asked + span))\n",
		breaks: "the command starts on a lease that was not renewed",
		tests:  inRecipe("StartsNothing"),
	},
	{
		name: "recipe-many-attempts", file: recipe,
		old:    "        left=$((end - clock))\n",
		new:    "        left=$((end - clock)); new_key\n",
		breaks: "each request is an attempt of its own, and loses the place",
		tests:  inRecipe("WaitsForItsTurn"),
	},
	{
		name: "recipe-leaves-ghosts", file: recipe,
		old:    `|| granted || { acquire 3 0 && granted; }`,
		new:    `|| granted`,
		breaks: "a cancelled waiter stays in the queue behind a proxy",
		tests:  inRecipe("LeavesNoGhost"),
	},
	{
		name: "recipe-stale-success", file: recipe,
		old:    "    0 | 143) status=$lost ;;",
		new:    "    143) status=$lost ;;",
		breaks: "a command that lost its lease is a success",
		tests:  inRecipe("EndsACommand|KeepsTheStatus"),
	},
}
