//go:build !race

package transport

// checksSpec says that requests and answers are held to openapi.yaml.
const checksSpec = true
