package auth

// Prune is one run of what deletes ended tokens.
var Prune = (*Tokens).prune
