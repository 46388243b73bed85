package auth

// CheckFile reads a tokens file as [Open] does, and returns its number of tokens. Errors
// reveal nothing of the tokens.
func CheckFile(path string) (tokens int, err error) {
	all, err := readFile(path)
	return len(all), err
}
