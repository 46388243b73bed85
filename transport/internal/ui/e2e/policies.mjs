// Policies for the browser tests: modules that are kept in the repository, so nothing is compiled.

import { fileURLToPath } from 'node:url';

const module = (name) => fileURLToPath(new URL(`../../../../hooks/testdata/abi-v1/${name}/${name}.wasm`, import.meta.url));

// ticket denies requests without a ticket (metadata ticket=…).
export const ticket = { name: 'ticket', module: module('ticket-wat'), match: ['deploy/**'] };

// echo denies a request with the text that its metadata ask for: show=reason denies with the
// reason. A text that is not known becomes a note.
export const echo = { name: 'echo', module: module('all'), match: ['echo/**'], config: { a: 1 } };

// withPolicies are the options of a server with these policies.
export const withPolicies = (policies, options = {}) => ({
  ...options,
  files: { 'policies.json': JSON.stringify({ policies }) },
  settings: { OCTOSTORE_POLICIES: 'policies.json', ...options.settings },
});
