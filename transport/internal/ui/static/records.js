// Records of the audit log in the browser: which are asked for, and files of exactly those.

// kinds are the kinds of records, by what they are about.
export const kinds = {
  leases: ['granted', 'renewed', 'released', 'expired', 'broken', 'undone'],
  refusals: ['denied', 'policy_error', 'conflict', 'abandoned'],
  policies: ['policies_loaded', 'observer_parked', 'observer_gap'],
  access: ['token_created', 'token_revoked', 'auth_failed'],
  server: ['started', 'stopped', 'drained', 'backed_up', 'checkpoint', 'pruned'],
};

// tones say which kinds are good or bad news.
export const tones = {
  granted: 'good', expired: 'warn', undone: 'warn', conflict: 'warn', drained: 'warn', observer_gap: 'warn',
  broken: 'bad', denied: 'bad', policy_error: 'bad', auth_failed: 'bad', observer_parked: 'bad',
};

// query returns the parameters of /v1/audit for a filter {prefix, account, kind, since, from, to}.
export function query({ prefix, account, kind, since, from, to }) {
  if (since !== 'between') return { prefix, account, kind, since };
  return { prefix, account, kind, since: from && new Date(from).toISOString(), until: to && new Date(to).toISOString() };
}

// parse reads lines of an export: {opening, records, closing}, each with its line as `raw`.
export function parse(lines) {
  const found = { opening: null, records: [], closing: null };
  for (const raw of lines) {
    if (raw === '') continue;
    const value = { ...JSON.parse(raw), raw };
    if ('export' in value) found.opening = value;
    else if ('end' in value) found.closing = value;
    else found.records.push(value);
  }
  return found;
}

// merge adds records to others by their sequence numbers, oldest first.
export function merge(known, more) {
  if (!more.length) return known;
  if (!known.length || more[0].seq > known.at(-1).seq) return known.concat(more);
  const bySeq = new Map([...more, ...known].map((r) => [r.seq, r]));
  return [...bySeq.values()].sort((a, b) => a.seq - b.seq);
}

// justAfter returns the time a microsecond later; records have microseconds.
export function justAfter(time) {
  const [, seconds, fraction = ''] = /^(.*?)(?:\.(\d+))?Z$/.exec(time);
  const micros = Number(fraction.slice(0, 6).padEnd(6, '0')) + 1;
  if (micros < 1e6) return `${seconds}.${String(micros).padStart(6, '0')}Z`;
  return new Date(Date.parse(`${seconds}Z`) + 1000).toISOString();
}

// ndjson returns the lines of records as the server sent them, after the line that opened the
// answer: it says that they are a selection, so nothing takes them for the whole log.
export const ndjson = (opening, records) => [opening, ...records].map(({ raw }) => `${raw}\n`).join('');

// columns are those of the server's CSV, which /v1/audit?format=csv gives.
const columns = [
  'seq', 'time', 'kind', 'name', 'token', 'account', 'holder', 'reason', 'metadata', 'ttl_ms', 'waited_ms', 'held_ms',
  'expires_at', 'by', 'token_id', 'remote_addr', 'user_agent', 'request_id', 'trace_id', 'cause', 'notes', 'verdicts',
  'confirm_ms', 'priority', 'policy_set', 'policy_set_at_grant', 'policies', 'replaced',
];

// csv returns the rows that the server would send for these records.
export function csv(records) {
  const rows = [columns, ...records.map((r) => columns.map((c) => cell(r[c])))];
  return rows.map((row) => `${row.map(quoted).join(',')}\n`).join('');
}

// formula matches a text with which some spreadsheet would begin to calculate.
const formula = /^[=+\-@;\t\r\n\u00a0\u3000 \uff1d\uff0b\uff0d\uff20\uff1b]/;

function cell(value) {
  if (value === undefined) return '';
  if (typeof value !== 'string') return JSON.stringify(value);
  return formula.test(value) ? `'${value}` : value;
}

const quoted = (text) => (/["\n\r,]|^\s|^\\\.$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
