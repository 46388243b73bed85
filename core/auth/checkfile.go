package auth

// CheckFile reads a tokens file as [Open] does, and returns how many tokens it has. Its
// errors show nothing of them.
func CheckFile(path string) (tokens int, err error) {
	all, err := readFile(path)
	return len(all), err
}
