// Audit: the newest records of the audit log, filtered and followed, and the state of its chain.

import {
  Command, Drawer, Empty, Facts, Loading, Problem, Table, Tag, Time, bytes, connection, duration, exact,
  html, useDebounced, useEffect, useGet, useMemo, useRef, useState,
} from '../components.js';
import { download, lines } from '../api.js';
import { Copy, LockLink, Stat, Stats, save } from '../parts.js';
import { csv, justAfter, kinds, merge, ndjson, parse, query, tones } from '../records.js';
import { plural, whole } from '../units.js';

const pageSize = 100;
const mostFollowed = 2000; // then the oldest records leave the list

function View({ params, go }) {
  const { record, paused, ...filter } = params;
  const change = (next, how = { replace: true }) => go({ ...params, ...next }, how);
  const bounded = filter.since === 'between' && Boolean(filter.to);
  const log = useRecords(query(filter), !paused && !bounded);
  const open = log.records?.find((r) => String(r.seq) === record);
  return html`<div class=${`split ${open ? 'open' : ''}`}>
    <section aria-labelledby="audit-title">
      <div class="toolbar"><h1 id="audit-title">Audit</h1>
        <${Follow} log=${log} on=${!paused} bounded=${bounded} onChange=${(on) => change({ paused: on ? '' : 1 })} />
      </div>
      <${Chain} />
      <${Filter} filter=${filter} onChange=${change} />
      <${Problem} error=${log.error} />
      ${!log.records && !log.error && html`<${Loading} />`}
      ${log.records && html`
        <${Exports} log=${log} filter=${filter} />
        <${Records} log=${log} selected=${record} onOpen=${(seq) => change({ record: seq }, {})} />
        <${Prove} />`}
    </section>
    ${open && html`<${Details} key=${record} record=${open} onClose=${() => change({ record: '' })} />`}
  </div>`;
}

// useRecords reads the newest records that match, and follows the log from there.
function useRecords(q, follow) {
  const [log, set] = useState({});
  const key = JSON.stringify(q);
  const next = useRef(''); // cursor after which to go on
  const [read, setRead] = useState('');

  useEffect(() => {
    const stop = new AbortController();
    set((now) => ({ ...now, error: null, loading: true }));
    newest(q, stop.signal).then((found) => {
      next.current = found.closing.last;
      connection.set({ state: 'live', error: null });
      set({ ...found, more: hasMore(found) });
      setRead(key);
    }, (error) => {
      if (stop.signal.aborted) return;
      set({ error });
      connection.set({ state: 'offline', error });
    });
    return () => stop.abort();
  }, [key]);

  useEffect(() => {
    if (read !== key || !follow) return undefined;
    const stop = new AbortController();
    const add = (found) => {
      next.current = String(found.at(-1).seq);
      set((now) => ({ ...now, ...cut(merge(now.records, found), now.more) }));
    };
    keepFollowing(() => ({ ...q, follow: 1, after: next.current }), add, (lost) => {
      set((now) => ({ ...now, lost }));
      connection.set({ state: lost ? 'offline' : 'live', error: lost });
    }, stop.signal);
    return () => stop.abort();
  }, [key, read, follow]);

  const older = async () => {
    const found = await newest({ ...q, until: justAfter(log.records[0].time) });
    set((now) => {
      const records = merge(now.records, found.records);
      return { ...now, records, more: hasMore(found) && records.length > now.records.length, partial: found.closing.incomplete };
    });
  };
  return { ...log, older };
}

// hasMore reports whether older records may match: the server looks at the newest of them only.
const hasMore = ({ records, closing }) => records.length === pageSize || Boolean(closing.incomplete);

const cut = (records, more) => (records.length > mostFollowed ? { records: records.slice(-mostFollowed), more: true } : { records, more });

async function newest(q, signal) {
  const all = [];
  await lines('v1/audit', { ...q, last: pageSize }, (line) => all.push(line), { signal });
  return parse(all);
}

// keepFollowing adds what is new, at most four times a second, and goes on where it was when the
// connection ends. A hidden tab does not follow.
async function keepFollowing(params, add, report, signal) {
  const visible = () => document.visibilityState !== 'hidden';
  for (let pause = 500; !signal.aborted; pause = Math.min(pause * 2, 15_000)) {
    if (visible()) {
      const current = new AbortController();
      const end = () => (signal.aborted || !visible()) && current.abort();
      signal.addEventListener('abort', end);
      document.addEventListener('visibilitychange', end);
      let waiting = [];
      const flush = () => {
        if (waiting.length && !signal.aborted) add(waiting);
        waiting = [];
      };
      const timer = setInterval(flush, 250);
      try {
        await lines('v1/audit', params(), (line) => {
          if (pause > 500) report(null);
          pause = 500;
          waiting.push(...parse([line]).records);
        }, { signal: current.signal });
      } catch (error) {
        if (!current.signal.aborted) report(error);
      }
      clearInterval(timer);
      flush();
      signal.removeEventListener('abort', end);
      document.removeEventListener('visibilitychange', end);
    }
    await new Promise((done) => { setTimeout(done, pause); });
  }
}

// --- the filter ---

function Filter({ filter, onChange }) {
  const { prefix = '', account = '', kind = '', since = '', from = '', to = '' } = filter;
  const any = prefix || account || kind || since;
  const clear = () => onChange({ prefix: '', account: '', kind: '', since: '', from: '', to: '' });
  return html`<form class="filter" aria-label="Filter records" onSubmit=${(e) => e.preventDefault()}>
    <${Text} label="Lock begins with" value=${prefix} placeholder="deploy/" search onChange=${(v) => onChange({ prefix: v })} />
    <${Text} label="Account" value=${account} placeholder="any" onChange=${(v) => onChange({ account: v })} />
    <${Kinds} chosen=${kind ? kind.split(',') : []} onChange=${(list) => onChange({ kind: list.join(',') })} />
    <label>Time
      <select name="since" value=${since} onChange=${(e) => onChange({ since: e.target.value, from: '', to: '' })}>
        ${[['', 'any'], ['15m', 'last 15 minutes'], ['1h', 'last hour'], ['24h', 'last 24 hours'], ['168h', 'last 7 days'], ['between', 'between…']].map(([v, text]) => html`
          <option key=${v} value=${v} selected=${v === since}>${text}</option>`)}
      </select>
    </label>
    ${since === 'between' && html`
      <label>From<input type="datetime-local" step="1" value=${from} onChange=${(e) => onChange({ from: e.target.value })} /></label>
      <label>To<input type="datetime-local" step="1" value=${to} onChange=${(e) => onChange({ to: e.target.value })} /></label>`}
    <button type="button" class="quiet" disabled=${!any} onClick=${clear}>Clear</button>
  </form>`;
}

// Text is a field that tells of a change a moment after the last key.
function Text({ label, value, placeholder, search, onChange }) {
  const [text, setText] = useState(value);
  const settled = useDebounced(text);
  useEffect(() => { if (settled !== value) onChange(settled); }, [settled]);
  useEffect(() => { if (value !== settled) setText(value); }, [value]);
  return html`<label>${label}<input data-search=${search} value=${text} placeholder=${placeholder} maxlength="512" spellcheck="false" autocomplete="off" onInput=${(e) => setText(e.target.value)} /></label>`;
}

function Kinds({ chosen, onChange }) {
  const box = useRef();
  const close = () => { box.current.open = false; };
  const toggle = (kind, on) => onChange(on ? [...chosen, kind] : chosen.filter((k) => k !== kind));
  const leave = (e) => { if (e.relatedTarget && !box.current.contains(e.relatedTarget)) close(); };
  const escape = (e) => {
    if (e.key !== 'Escape' || !box.current.open) return;
    e.preventDefault();
    close();
    box.current.querySelector('summary').focus();
  };
  useEffect(() => {
    const outside = (e) => { if (!box.current.contains(e.target)) close(); };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, []);
  return html`<div class="field"><span id="kind-label">Kind</span>
    <details class="menu" ref=${box} onFocusOut=${leave} onKeyDown=${escape}>
      <summary aria-labelledby="kind-label kind-chosen"><span id="kind-chosen">${chosen.length === 0 ? 'any' : chosen.length < 3 ? chosen.join(', ') : `${chosen.length} kinds`}</span></summary>
      <div class="choices">${Object.entries(kinds).map(([group, list]) => html`<fieldset key=${group}><legend>${group}</legend>
        ${list.map((k) => html`<label key=${k} class="check"><input type="checkbox" value=${k} checked=${chosen.includes(k)} onChange=${(e) => toggle(k, e.target.checked)} />${k}</label>`)}
      </fieldset>`)}</div>
    </details></div>`;
}

function Follow({ log, on, bounded, onChange }) {
  const following = on && !bounded;
  const text = bounded ? 'Not followed: the time has an end' : log.lost ? 'Connection lost, trying again' : on ? 'New records appear at the top' : 'New records do not appear';
  return html`<span class="faint small" role="status">${text}</span>
    <button type="button" class="quiet small follow" aria-pressed=${String(following)} disabled=${bounded} onClick=${() => onChange(!on)}>
      <span class=${`dot ${following ? (log.lost ? 'bad' : 'live') : 'off'}`} aria-hidden="true"></span>Follow</button>`;
}

// --- the records ---

// Exports offers files: of exactly the records that are shown, or of all that match.
function Exports({ log, filter }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const n = log.records.length;
  const name = (format) => `octostore-audit-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}.${format}`;
  const all = async (format) => {
    setBusy(true);
    setError(null);
    await download('v1/audit', { ...query(filter), format }, name(format)).catch(setError);
    setBusy(false);
  };
  return html`<div class="exports">
    <span class="count">${plural(n, 'record')} shown${log.more ? ', newest first' : ', all that match'}</span>
    <span class="set"><span class="faint">Export what is shown</span>
      <button type="button" class="quiet small" aria-label="NDJSON of what is shown" disabled=${!n} onClick=${() => save(ndjson(log.opening, log.records), 'application/x-ndjson', name('ndjson'))}>NDJSON</button>
      <button type="button" class="quiet small" aria-label="CSV of what is shown" disabled=${!n} onClick=${() => save(csv(log.records), 'text/csv', name('csv'))}>CSV</button></span>
    <span class="set"><span class="faint">or all that match</span>
      <button type="button" class="quiet small" disabled=${busy} aria-busy=${busy ? 'true' : undefined} aria-label="NDJSON of all that match" onClick=${() => all('ndjson')}>NDJSON</button>
      <button type="button" class="quiet small" disabled=${busy} aria-label="CSV of all that match" onClick=${() => all('csv')}>CSV</button></span>
  </div><${Problem} error=${error} />`;
}

const list = [
  {
    id: 'when', title: 'Time',
    cell: (r) => html`<button type="button" data-row class="textlink plain number" title=${r.time}>${clockOf(r.time)}<span class="hidden"> ${r.kind}: details</span></button>`,
  },
  { id: 'kind', title: 'Kind', cell: (r) => html`<${Tag} tone=${tones[r.kind]}>${r.kind}<//>` },
  { id: 'name', title: 'Lock', cell: (r) => (r.name ? html`<${LockLink} name=${r.name} />` : html`<span class="faint">–</span>`) },
  { id: 'account', title: 'Account', cell: (r) => html`<span class="clip" title=${r.account || r.by}>${r.account || r.by || html`<span class="faint">–</span>`}</span>` },
  { id: 'holder', title: 'Holder', cell: (r) => html`<bdi class="clip" title=${r.holder}>${r.holder || '–'}</bdi>` },
  { id: 'what', title: 'What and why', cell: (r) => html`<${What} r=${r} />` },
];

const today = (at) => at.toDateString() === new Date().toDateString();

function clockOf(time) {
  const at = new Date(time);
  const clock = `${at.toLocaleTimeString('sv')}.${String(at.getMilliseconds()).padStart(3, '0')}`;
  return today(at) ? clock : `${at.toLocaleDateString('sv')} ${clock}`;
}

function What({ r }) {
  const facts = [
    r.waited_ms > 0 && `waited ${duration(r.waited_ms)}`,
    r.held_ms !== undefined && `held ${duration(r.held_ms)}`,
    r.kind === 'granted' && `for ${duration(r.ttl_ms)}`,
    r.by && r.by !== r.account && `by ${r.by}`,
  ].filter(Boolean).join(', ');
  const why = [r.cause, r.reason].filter(Boolean);
  return html`<span class="what">${facts && html`<span class="faint number">${facts}</span>`}${why.map((text, i) => html` <bdi class=${i ? 'faint' : ''} title=${text}>${text}</bdi>`)}</span>`;
}

function Records({ log, selected, onOpen }) {
  const [busy, setBusy] = useState(false);
  const rows = useMemo(() => log.records.toReversed(), [log.records]);
  const older = async () => {
    setBusy(true);
    await log.older().catch(() => {});
    setBusy(false);
  };
  const click = (e) => {
    const button = e.target.closest('button[data-row]');
    if (!button) return;
    const at = [...button.closest('tbody').children].indexOf(button.closest('tr'));
    onOpen(rows[at].seq);
  };
  if (!rows.length && log.closing?.incomplete) {
    return html`<${Empty} title=${`None of the newest ${whole(log.closing.searched)} records matches.`}><p>Choose a time, or export all that match.</p><//>`;
  }
  if (!rows.length) return html`<${Empty} title="No record matches."><p>Change the filter, or wait: new records appear here.</p><//>`;
  return html`<div class="records" onClick=${click}>
    <${Table} caption="Records, newest first" columns=${list} rows=${rows} rowKey=${(r) => String(r.seq)} selected=${selected} onOpen=${(r) => onOpen(r.seq)} /></div>
    ${log.more && html`<p class="more"><button type="button" class="quiet" disabled=${busy} onClick=${older}>Show older records</button></p>`}`;
}

// --- one record ---

const hidden = ['raw', 'kind', 'seq', 'verdicts', 'notes', 'metadata', 'policies', 'replaced'];

function Details({ record: r, onClose }) {
  const plain = Object.entries(r).filter(([k]) => !hidden.includes(k));
  return html`<${Drawer} title=${html`<${Tag} tone=${tones[r.kind]}>${r.kind}<//> <span class="number">${r.seq}</span>`} label=${`Record ${r.seq}`} onClose=${onClose}>
    <${Facts} of=${plain.map(([k, v]) => [html`<code>${k}</code>`, shown(k, v)])} />
    ${r.metadata && html`<h3>Metadata</h3><${Facts} of=${Object.entries(r.metadata).map(([k, v]) => [html`<code>${k}</code>`, html`<bdi>${v || '–'}</bdi>`])} />`}
    ${r.verdicts && html`<h3>Verdicts of policies</h3><ul class="verdicts">${r.verdicts.map((v, i) => html`<${Verdict} key=${i} v=${v} />`)}</ul>`}
    ${r.notes && html`<h3>Notes of policies</h3><${Facts} of=${r.notes.map((n) => [html`<bdi>${n.policy}</bdi> <code>${n.key}</code>`, html`<bdi>${n.value}</bdi>`])} />`}
    ${r.policies && html`<h3>Policies in force</h3><${Set_} of=${r.policies} />`}
    ${r.replaced && html`<h3>Policies before</h3><${Set_} of=${r.replaced.policies} />`}
    <h3>Line in the audit log</h3>
    <pre class="raw" tabindex="0" aria-label="Line in the audit log"><code>${r.raw}</code></pre>
  <//>`;
}

function shown(key, value) {
  if (key === 'name') return html`<${LockLink} name=${value} />`;
  if (key === 'time') return html`${exact(value)} <span class="faint">(<${Time} at=${value} />)</span>`;
  if (key.endsWith('_ms')) return html`${duration(value)} <span class="faint">(${whole(value)} ms)</span>`;
  if (typeof value === 'object') return html`<code>${JSON.stringify(value)}</code>`;
  return html`<bdi>${String(value)}</bdi>`;
}

function Verdict({ v }) {
  const facts = [
    `at ${v.at}`, v.mode === 'shadow' && 'in shadow mode', v.cap_ttl_ms && `ttl lowered to ${duration(v.cap_ttl_ms)}`,
    v.cap_wait_ms !== undefined && `wait lowered to ${duration(v.cap_wait_ms)}`, v.priority && `priority ${v.priority}`, v.fuel && `fuel ${whole(v.fuel)}`,
  ].filter(Boolean).join(', ');
  return html`<li><${Tag} tone=${v.verdict === 'allow' ? 'good' : 'bad'}>${v.verdict}<//> <bdi class="strong">${v.policy}</bdi> <span class="faint small">${facts}</span>
    ${v.reason && html`<bdi class="why">${v.reason}</bdi>`}</li>`;
}

const Set_ = ({ of = [] }) => html`<ul class="verdicts">${of.map((p) => html`<li key=${p.policy}><bdi class="strong">${p.policy}</bdi> <${Tag}>${p.mode}<//>
  <span class="faint small">${p.hooks?.join(', ')} <code>${p.digest}</code></span></li>`)}</ul>`;

// Prove shows how to verify the log on another machine.
const Prove = () => html`<details class="prove"><summary>Prove that no record was changed or left out</summary>
  <p class="faint small">What the page exports is a selection. An export without filters is the whole log with its hash chain and signatures: verify it on another machine, with the signing key that you kept there.</p>
  <${Command} label="Export the log" line="octostore audit export -o audit.ndjson" />
  <${Command} label="Verify the file" line="octostore audit verify --key KEY audit.ndjson" /></details>`;

// --- the whole log ---

// Chain shows the extent of the log, and how far it is signed.
function Chain() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState !== 'hidden' && setTurn((n) => n + 1), 5000);
    return () => clearInterval(timer);
  }, []);
  const { data, error } = useGet('v1/audit/state', {}, turn);
  const last = useRef();
  if (data) last.current = data;
  const s = last.current;
  if (!s) return error ? html`<${Problem} error=${error} />` : html`<${Stats} label="State of the audit log"><${Stat} label="Newest record" value="–" note="…" /><//>`;
  const kept = [s.retention_ms && `for ${duration(s.retention_ms)}`, s.max_bytes && `up to ${bytes(s.max_bytes)}`].filter(Boolean).join(', ');
  const lagging = s.observers?.filter((o) => o.lag_ms > 60_000).length;
  return html`<${Stats} label="State of the audit log">
    <${Stat} label="Newest record" value=${html`<${Time} at=${s.head_at} />`} note=${s.head || 'none yet'} />
    <${Stat} label="Oldest record" value=${html`<${Time} at=${s.oldest_at} />`} note=${s.oldest || 'none yet'} />
    <${Stat} label="Signed up to" tone=${s.checkpoint ? 'good' : ''} value=${s.checkpoint ? html`<${Time} at=${s.checkpoint.at} />` : 'not yet'} note=${s.checkpoint ? `record ${s.checkpoint.seq}` : 'a checkpoint comes within a minute'} />
    <${Stat} label="Signing key" value=${html`<${Copy} text=${s.public_key} shown=${`${s.public_key.slice(0, 10)}…`} label="the signing key" />`} note="keep a copy on another machine" />
    <${Stat} label="Recorded" value=${s.level} note=${kept ? `kept ${kept}` : 'kept forever'} />
    ${s.archive && html`<${Stat} label="Archived up to" tone=${s.archive.failing_since ? 'bad' : ''} value=${s.archive.failing_since ? 'failing' : html`<${Time} at=${s.archive.newest_at} />`} note=${s.archive.failing_since ? html`since <${Time} at=${s.archive.failing_since} />; nothing is pruned` : `${s.archive.files} files`} />`}
    ${s.observers?.length > 0 && html`<${Stat} label="Observing policies" tone=${lagging ? 'warn' : ''} value=${s.observers.length} note=${lagging ? `${lagging} more than a minute behind` : 'up to date'} />`}
  <//>`;
}

export default { id: 'audit', title: 'Audit', needs: 'audit', View };
