package api

import _ "embed"

// OpenAPI is the OpenAPI 3.1 description of the API, as YAML. A server offers it at
// /openapi.yaml.
//
//go:embed openapi.yaml
var OpenAPI []byte
