// The parts that screens are made of. Texts of clients go into the page as text nodes and
// attributes only.

import { html, useEffect, useLayoutEffect, useMemo, useRef, useState } from './vendor/preact.js';
import { get, serverNow, session, signal, stream, text } from './api.js';

export { html };

// useSignal renders again when the signal changes, and returns its value.
export function useSignal(of) {
  const [, render] = useState(0);
  useEffect(() => of.subscribe(() => render((n) => n + 1)), [of]);
  return of.value;
}

// useSession renders again when another user logs in, and returns the session.
export function useSession() {
  const [, render] = useState(0);
  useEffect(() => session.subscribe(() => render((n) => n + 1)), []);
  return session;
}

// connection is the state of the stream of the screen, for the shell to show.
export const connection = signal({ state: 'connecting', error: null });

const bucketsKept = 360;

// merged adds what an event of the stream says to what is known. The clock of a server may be set
// back: then it sends its steps anew, with earlier times, and those of before are wrong.
export function merged(data, event, value) {
  const newest = data.activity?.buckets.at(-1)?.at;
  if (event !== 'activity' || !newest || value.buckets.at(-1)?.at < newest) return { ...data, [event]: value };
  const buckets = new Map(data.activity.buckets.map((b) => [b.at, b]));
  for (const b of value.buckets) buckets.set(b.at, b);
  const sorted = [...buckets.values()].sort((a, b) => (a.at < b.at ? -1 : 1)).slice(-bucketsKept);
  return { ...data, activity: { ...value, buckets: sorted } };
}

// useLive follows /v1/live with the parameters of the screen, over the one stream of the page. It
// returns the latest data by event, when each came, and the state of the stream. After a change of
// the parameters, the data of before stay until new ones arrive.
export function useLive(params) {
  const key = JSON.stringify(params);
  const [live, set] = useState({ data: {}, state: 'connecting', error: null, key });
  const token = useSession().token;
  useEffect(() => {
    const stop = new AbortController();
    const on = (event, value, error) => {
      if (stop.signal.aborted || event === 'ping') return;
      if (event === 'state') {
        connection.set({ state: value, error: error || null });
        set((now) => ({ ...now, state: value, error: error || null }));
        return;
      }
      set((now) => ({ ...now, key, data: merged(now.data, event, value) }));
    };
    stream('v1/live', params, on, { signal: stop.signal });
    return () => stop.abort();
  }, [key, token]);
  return live;
}

// useGet loads an answer, again when the parameters or `again` change. It returns
// {data, error, loading}.
export function useGet(path, params, again) {
  const [got, set] = useState({ data: null, error: null, loading: true });
  const key = JSON.stringify([path, params, again]);
  const token = useSession().token;
  useEffect(() => {
    if (!path) return undefined;
    const stop = new AbortController();
    set((now) => ({ ...now, loading: true }));
    get(path, params, { signal: stop.signal }).then(
      (data) => set({ data, error: null, loading: false }),
      (error) => stop.signal.aborted || set({ data: null, error, loading: false }),
    );
    return () => stop.abort();
  }, [key, token]);
  return got;
}

// useRecords loads records of the audit log, as useGet does: {data: [record…], error, loading}.
// An empty path loads nothing. Lines that are no records, such as the first and the last, have no
// seq and are left out.
export function useRecords(params, again) {
  const [got, set] = useState({ data: null, error: null, loading: true });
  const key = JSON.stringify([params, again]);
  const token = useSession().token;
  useEffect(() => {
    if (!params) return undefined;
    const stop = new AbortController();
    set((now) => ({ ...now, loading: true }));
    text('v1/audit', params, { signal: stop.signal }).then(
      (body) => set({ data: body.split('\n').filter(Boolean).map((line) => JSON.parse(line)).filter((r) => r.seq), error: null, loading: false }),
      (error) => stop.signal.aborted || set({ data: null, error, loading: false }),
    );
    return () => stop.abort();
  }, [key, token]);
  return got;
}

// --- time ---

const second = signal(0);
setInterval(() => { if (document.visibilityState !== 'hidden') second.set(second.value + 1); }, 1000);

const units = [['d', 86_400_000], ['h', 3_600_000], ['min', 60_000], ['s', 1000]];

// duration writes milliseconds for people: 1 h 5 min, 42 s, 0.3 s.
export function duration(ms) {
  if (!Number.isFinite(ms)) return '–';
  if (ms < 1000) return ms < 1 ? '0 s' : `${Math.round(ms)} ms`;
  const at = units.findIndex(([, size]) => ms >= size);
  const [unit, size] = units[at];
  const whole = Math.floor(ms / size);
  const next = units[at + 1];
  const rest = next && whole < 10 ? Math.floor((ms % size) / next[1]) : 0;
  return rest ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

// Duration shows milliseconds.
export const Duration = ({ ms }) => html`<span class="number" title=${Number.isFinite(ms) ? `${Math.round(ms)} ms` : ''}>${duration(ms)}</span>`;

// Time shows when something was or will be: "3 min ago", "in 42 s"; the exact time is its title.
// since: without "ago".
export function Time({ at, since = false }) {
  useSignal(second);
  if (!at) return html`<span class="faint">–</span>`;
  const then = Date.parse(at);
  const ms = serverNow() - then;
  const text = since ? duration(Math.max(0, ms)) : ms >= 0 ? `${duration(ms)} ago` : `in ${duration(-ms)}`;
  return html`<time datetime=${at} title=${exact(at)} class="number">${ms < 1000 && ms > -1000 && !since ? 'now' : text}</time>`;
}

// exact writes a time in full, in the time zone of the browser.
export const exact = (at) => new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' });

// Left shows how much of a lease of so many ms is left, as a number and as a bar.
export function Left({ until, of }) {
  useSignal(second);
  const left = Math.max(0, Date.parse(until) - serverNow());
  const share = Math.min(1, left / Math.max(1, of));
  return html`<span class=${`left ${share < 0.15 ? 'soon' : ''}`} title=${exact(until)}>
    <span class="number">${left > 0 ? duration(left) : 'ending'}</span>
    <span class="bar" aria-hidden="true"><span style=${{ width: `${(share * 100).toFixed(1)}%` }}></span></span>
  </span>`;
}

const groups = new Intl.NumberFormat('en', { useGrouping: true });

// Count shows a number. none: what is shown for 0.
export const Count = ({ n, none }) => html`<span class=${`number ${n ? '' : 'faint'}`}>${n || none === undefined ? groups.format(n ?? 0) : none}</span>`;

// bytes writes a size for people.
export function bytes(n) {
  if (!Number.isFinite(n)) return '–';
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (n >= 1024 && at < names.length - 1) { n /= 1024; at += 1; }
  return `${n < 10 && at ? n.toFixed(1) : Math.round(n)} ${names[at]}`;
}

// --- states ---

// Empty says that there is nothing, and what to do about it.
export const Empty = ({ title, children }) => html`<div class="empty"><p class="title">${title}</p>${children}</div>`;

// Problem shows an error of the API.
export function Problem({ error, retry }) {
  if (!error) return null;
  return html`<div class="problem" role="alert">
    <p>${error.message}</p>
    ${error.requestID && html`<p class="faint small">request <code>${error.requestID}</code></p>`}
    ${retry && html`<button type="button" class="quiet" onClick=${retry}>Try again</button>`}
  </div>`;
}

// Loading takes the place of data that have not come yet; it appears only if that takes a while.
export const Loading = () => html`<p class="loading" role="status">Loading…</p>`;

// Tag is a short word in a box. tone: good, warn, bad or nothing.
export const Tag = ({ tone, children }) => html`<span class=${`tag ${tone || ''}`}>${children}</span>`;

// --- dialogs ---

// Confirm asks before something is done that cannot be undone. onConfirm gets {reason} and may
// return a promise: its error is shown, and its end closes the dialog. ask: 'reason' asks for one.
export function Confirm({ title, ask, danger, action = 'Confirm', children, onConfirm, onClose }) {
  const ref = useRef();
  const [reason, setReason] = useState('');
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useLayoutEffect(() => {
    const before = document.activeElement;
    ref.current.showModal();
    return () => before?.focus?.();
  }, []);
  const submit = async (e) => {
    e.preventDefault();
    setBusy(true);
    setError(null);
    try {
      await onConfirm({ reason: reason.trim() });
      onClose();
    } catch (err) {
      setError(err);
      setBusy(false);
    }
  };
  return html`<dialog ref=${ref} class="confirm" aria-labelledby="confirm-title" onCancel=${(e) => { e.preventDefault(); onClose(); }}>
    <form onSubmit=${submit} method="dialog">
      <h2 id="confirm-title">${title}</h2>
      <div class="body">${children}</div>
      ${ask === 'reason' && html`<label>Reason, for the audit log
        <input name="reason" required maxlength="512" autocomplete="off" value=${reason} onInput=${(e) => setReason(e.target.value)} />
      </label>`}
      <${Problem} error=${error} />
      <div class="actions">
        <button type="button" class="quiet" onClick=${onClose}>Cancel</button>
        <button type="submit" class=${danger ? 'danger' : ''} disabled=${busy || (ask === 'reason' && !reason.trim())} aria-busy=${busy ? 'true' : undefined}>${action}</button>
      </div>
    </form>
  </dialog>`;
}

// Drawer shows the details of one thing beside the list, and over it on a narrow screen. Escape
// closes it, and the focus returns to where it was.
export function Drawer({ title, label, onClose, children }) {
  const ref = useRef();
  useLayoutEffect(() => {
    const before = document.activeElement;
    ref.current.focus({ preventScroll: true });
    return () => { if (before?.isConnected) before.focus({ preventScroll: true }); };
  }, []);
  useEffect(() => {
    const onKey = (e) => {
      if (e.key !== 'Escape' || e.defaultPrevented || document.querySelector('dialog[open]')) return;
      e.preventDefault();
      onClose();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [onClose]);
  return html`<aside class="drawer" role="region" aria-label=${label || title}>
    <header>
      <h2 tabindex="-1" ref=${ref}>${title}</h2>
      <button type="button" class="quiet icon" aria-label="Close" title="Close (Esc)" onClick=${onClose}>✕</button>
    </header>
    <div class="content">${children}</div>
  </aside>`;
}

// --- tables ---

// Table shows rows. A column is {id, title, cell(row), align: 'right', wide}; the cell of the first
// column should have the link that opens the row. The arrow keys move between rows; a click
// anywhere on a row opens it. On a narrow screen each row becomes a card.
export function Table({ columns, rows, rowKey, onOpen, selected, caption }) {
  const move = (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    if (!step || e.altKey || e.ctrlKey || e.metaKey) return;
    const links = [...e.currentTarget.querySelectorAll('tbody tr [data-row]')];
    const at = links.indexOf(document.activeElement);
    const next = links[at + step];
    if (at < 0 || !next) return;
    e.preventDefault();
    next.focus();
  };
  const click = (row) => (e) => {
    if (!onOpen || e.target.closest('a, button, input') || String(getSelection())) return;
    onOpen(row);
  };
  return html`<div class="scroll"><table onKeyDown=${move}>
    <caption class="hidden">${caption}</caption>
    <thead><tr>${columns.map((c) => html`<th key=${c.id} scope="col" class=${`${c.align || ''} ${c.id}`}>${c.title}</th>`)}</tr></thead>
    <tbody>${rows.map((row) => html`<tr key=${rowKey(row)} class=${`${onOpen ? 'opens' : ''} ${selected !== undefined && rowKey(row) === selected ? 'selected' : ''}`} onClick=${click(row)}>
      ${columns.map((c) => html`<td key=${c.id} data-label=${c.title} class=${`${c.align || ''} ${c.id}`}>${c.cell(row)}</td>`)}
    </tr>`)}</tbody>
  </table></div>`;
}

// Facts shows names and values: [[name, value]…]; those without a value are left out.
export const Facts = ({ of }) => html`<dl class="facts">${of.filter(([, v]) => v !== undefined && v !== null && v !== '').map(([name, value]) => html`
  <div key=${name}><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;

// Command shows a command line, and copies it.
export function Command({ label, line }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(line);
      setCopied(true);
      setTimeout(() => setCopied(false), 1500);
    } catch { /* without a clipboard, the line can be selected */ }
  };
  return html`<figure class="command">
    <figcaption>${label}</figcaption>
    <pre tabindex="0" aria-label=${label}><code>${line}</code></pre>
    <button type="button" class="quiet small" onClick=${copy} aria-label=${`Copy: ${label}`}>${copied ? 'Copied' : 'Copy'}</button>
  </figure>`;
}

// useDebounced returns the value once it has not changed for a while.
export function useDebounced(value, ms = 200) {
  const [settled, set] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => set(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

export { useEffect, useLayoutEffect, useMemo, useRef, useState };
