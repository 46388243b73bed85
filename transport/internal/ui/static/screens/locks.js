// Locks: every lock that is held or waited for, and one of them in detail.

import {
  Command, Confirm, Count, Drawer, Duration, Empty, Facts, Left, Loading, Problem, Table, Tag, Time,
  html, useDebounced, useEffect, useLive, useRecords, useSession, useState,
} from '../components.js';
import { base, lockPath, post, session as who } from '../api.js';

const pageSize = 100;
const orders = [['name', 'Name'], ['waiters', 'Most waiters'], ['wait', 'Longest wait']];

// quote makes a word of a text for a shell.
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function View({ params, go, link }) {
  const { prefix = '', account = '', sort = 'name', after = '', lock = '' } = params;
  const live = useLive({
    show: lock ? 'locks,lock' : 'locks', prefix, account, sort: sort === 'name' ? '' : sort,
    after: sort === 'name' ? after : '', limit: sort === 'name' ? pageSize : '', name: lock,
  });
  const list = live.data.locks;
  useEffect(() => { if (list) performance.mark('locks'); }, [Boolean(list)]); // for who measures
  const change = (next, how) => go({ ...params, ...next }, how);
  const select = (name) => change({ lock: name });
  const filtered = prefix || account;

  return html`<div class=${`split ${lock ? 'open' : ''}`}>
    <section aria-labelledby="locks-title">
      <div class="toolbar">
        <h1 id="locks-title">Locks</h1>
        <${Search} prefix=${prefix} onChange=${(p) => change({ prefix: p, after: '' }, { replace: true })} />
        <label class="inline">Sort by
          <select value=${sort} onChange=${(e) => change({ sort: e.target.value === 'name' ? '' : e.target.value, after: '' })}>
            ${orders.map(([id, title]) => html`<option key=${id} value=${id} selected=${id === sort}>${title}</option>`)}
          </select>
        </label>
        ${account && html`<button type="button" class="quiet chip" onClick=${() => change({ account: '', after: '' })} aria-label=${`Account ${account}: show all accounts`}>account ${account} ✕</button>`}
      </div>
      ${!list && live.state !== 'offline' && html`<${Loading} />`}
      ${live.error && html`<${Stale} live=${live} />`}
      ${list && list.locks.length === 0 && html`<${Nothing} filtered=${filtered} waiting=${sort !== 'name'} after=${after} />`}
      ${list && list.locks.length > 0 && html`
        <${Table} caption="Locks that are held or waited for" columns=${columns(link, params)} rows=${list.locks}
          rowKey=${(l) => l.name} selected=${lock} onOpen=${(l) => select(l.name)} />
        <${Pages} list=${list} sort=${sort} after=${after} onGo=${(a) => change({ after: a })} />`}
    </section>
    ${lock && html`<${Detail} key=${lock} name=${lock} live=${live} onClose=${() => change({ lock: '' })} onAccount=${(a) => change({ account: a, after: '' })} />`}
  </div>`;
}

function columns(link, params) {
  return [
    { id: 'name', title: 'Lock', cell: (l) => html`<a data-row href=${link({ ...params, lock: l.name })}><bdi>${l.name}</bdi></a>` },
    { id: 'holder', title: 'Holder', cell: (l) => (l.lease ? html`<bdi class="clip" title=${l.lease.holder}>${l.lease.holder || '–'}</bdi>` : html`<${Tag}>free<//>`) },
    { id: 'account', title: 'Account', cell: (l) => html`<span class="clip">${l.lease?.account || '–'}</span>` },
    { id: 'since', title: 'Held for', align: 'right', cell: (l) => html`<${Time} at=${l.lease?.granted_at} since />` },
    { id: 'expires', title: 'Expires in', align: 'right', cell: (l) => (l.lease ? html`<${Left} until=${l.lease.expires_at} of=${l.lease.confirm_ms || l.lease.ttl_ms} />` : '–') },
    { id: 'waiters', title: 'Waiters', align: 'right', cell: waiting },
  ];
}

// waiting shows how many wait for a lock, and for how long the first of them has.
function waiting(l) {
  if (!l.waiters_total) return html`<span class="faint">–</span>`;
  return html`${l.waiting_since && html`<span class="faint small wait"><${Time} at=${l.waiting_since} since /></span>`}
    <span class="pill"><${Count} n=${l.waiters_total} /></span>`;
}

// Search changes the prefix a moment after the last key.
function Search({ prefix, onChange }) {
  const [text, setText] = useState(prefix);
  const settled = useDebounced(text);
  useEffect(() => { if (settled !== prefix) onChange(settled); }, [settled]);
  useEffect(() => { if (prefix !== settled) setText(prefix); }, [prefix]);
  return html`<input type="search" data-search class="search" aria-label="Names that begin with" placeholder="Name begins with…" spellcheck="false" autocomplete="off"
    title="Search by prefix (/)" maxlength="512" value=${text} onInput=${(e) => setText(e.target.value)} />`;
}

const Stale = ({ live }) => html`<div class="banner" role="status">${live.error.status ? live.error.message : 'No connection to the server. What is shown may be out of date.'}</div>`;

function Nothing({ filtered, waiting, after }) {
  if (waiting) return html`<${Empty} title=${filtered ? 'No lock like that is waited for.' : 'No lock is waited for.'} />`;
  if (after) return html`<${Empty} title="There are no more locks." />`;
  if (filtered) return html`<${Empty} title="No lock like that is held or waited for." />`;
  return html`<${Empty} title="No lock is held.">
    <p>Locks appear here while they are held. Take one:</p>
    <${Command} label="Run a command under a lock" line="octostore run deploy/prod -- sleep 30" />
    <${Command} label="Take a lock with curl" line=${curlAcquire('deploy/prod', 'ttl=30s')} />
  <//>`;
}

function Pages({ list, sort, after, onGo }) {
  const n = list.locks.length;
  const say = sort !== 'name' ? `${n} ${n === 1 ? 'lock is' : 'locks are'} waited for` : list.next || after ? `${n} locks on this page` : `${n} ${n === 1 ? 'lock' : 'locks'}`;
  return html`<nav class="pages" aria-label="Pages">
    <span class="faint">${say}</span>
    <span>${after && html`<button type="button" class="quiet small" onClick=${() => onGo('')}>First</button>`}
    ${after && html`<button type="button" class="quiet small" onClick=${() => history.back()}>Previous</button>`}
    ${list.next && html`<button type="button" class="quiet small" onClick=${() => onGo(list.next)}>Next</button>`}</span>
  </nav>`;
}

// --- one lock ---

function Detail({ name, live, onClose, onAccount }) {
  const session = useSession();
  const [breaking, setBreaking] = useState(null); // the lock as it was when its break was asked for
  const lock = live.data.lock?.name === name ? live.data.lock : null;
  return html`<${Drawer} title=${html`<bdi>${name}</bdi>`} label=${`Lock ${name}`} onClose=${onClose}>
    ${!lock && (live.error ? html`<${Problem} error=${live.error} />` : html`<${Loading} />`)}
    ${lock && html`
      <${Lease} lock=${lock} onAccount=${onAccount} />
      ${lock.lease && session.may('break', name) && html`<div class="actions start"><button type="button" class="danger outline" onClick=${() => setBreaking(lock)}>Break…</button></div>`}
      <${Queue} lock=${lock} />
      <${Events} name=${name} again=${`${lock.lease?.fencing_token} ${lock.lease?.expires_at}`} />
      <${Lines} name=${name} lock=${lock} />`}
    ${breaking && html`<${Break} lock=${breaking} onClose=${() => setBreaking(null)} />`}
  <//>`;
}

function Lease({ lock, onAccount }) {
  const l = lock.lease;
  if (!l) return html`<p class="state"><${Tag} tone="good">free<//> ${lock.waiters_total > 0 ? 'The next waiter is being asked.' : 'Nothing holds this lock.'}</p>`;
  const metadata = Object.entries(l.metadata || {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return html`
    <p class="state"><${Tag} tone="warn">held<//> <${Left} until=${l.expires_at} of=${l.confirm_ms || l.ttl_ms} /></p>
    ${l.reason && html`<p class="reason"><bdi>${l.reason}</bdi></p>`}
    <${Facts} of=${[
    ['Holder', html`<bdi>${l.holder || '–'}</bdi>`],
    ['Account', html`<button type="button" class="textlink" title="Show the locks of this account" onClick=${() => onAccount(l.account)}>${l.account}</button>`],
    ['Held for', html`<${Time} at=${l.granted_at} since />`],
    ['TTL', html`<${Duration} ms=${l.ttl_ms} />`],
    ['Confirmed', l.confirm_ms ? 'not yet' : ''],
    ['Fencing token', html`<code>${l.fencing_token}</code>`],
  ]} />
    ${metadata.length > 0 && html`<h3>Metadata</h3><${Facts} of=${metadata.map(([key, value]) => [html`<code>${key}</code>`, html`<bdi>${value || '–'}</bdi>`])} />`}`;
}

function Queue({ lock }) {
  if (!lock.waiters_total) return html`<h3>Queue</h3><p class="faint">Nothing waits for this lock.</p>`;
  const more = lock.waiters_total - lock.waiters.length;
  return html`<h3>Queue <span class="faint">${lock.waiters_total}</span></h3>
    <ol class="queue">${lock.waiters.map((w) => html`<li key=${w.position}>
      <span class="place">${w.position}</span>
      <span class="text"><span class="line"><bdi>${w.holder || '–'}</bdi> <span class="faint">${w.account}</span>
        ${w.priority && html`<${Tag}>${w.priority}<//>`}${w.away && html`<${Tag} tone="warn">away<//>`}</span>
        ${w.reason && html`<bdi class="faint small">${w.reason}</bdi>`}</span>
      <span class="small"><${Time} at=${w.since} since /></span></li>`)}</ol>
    ${more > 0 && html`<p class="faint">and ${more} more</p>`}`;
}

// Events shows the newest records of this lock. again: changes when there may be new ones.
function Events({ name, again }) {
  const session = useSession();
  const may = session.may('audit', name);
  const { data, error } = useRecords(may ? { name, last: eventsShown } : null, again);
  const records = data?.toReversed();
  if (!may) return html`<h3>Events</h3><p class="faint">The audit log needs the scope <code>audit</code>.</p>`;
  return html`<h3>Events</h3>
    <${Problem} error=${error} />
    ${records && records.length === 0 && html`<p class="faint">No records.</p>`}
    ${records && html`<ol class="events">${records.map((r) => html`<li key=${r.seq}>
      <${Tag} tone=${tones[r.kind]}>${r.kind}<//>
      <span class="text"><bdi>${r.by || r.holder || r.account}</bdi>${r.cause && html` <bdi class="faint small">${r.cause}</bdi>`}</span>
      <span class="small faint"><${Time} at=${r.time} /></span></li>`)}</ol>`}`;
}

const eventsShown = 12;
const tones = { granted: 'good', broken: 'bad', denied: 'bad', undone: 'warn', expired: 'warn' };

const auth = () => (who.whoami?.tokens ? ' -H "Authorization: Bearer $OCTOSTORE_TOKEN"' : '');

const curlAcquire = (name, query) => `curl -f -X POST${auth()} ${quote(`${base.href}v1/locks/${name}/acquire?${query}`)}`;

const verbLast = /(^|\/)(acquire|renew|release|break)$/;

// curlShow asks for the name in the query if its last segment would be taken for a verb.
function curlShow(name) {
  const path = verbLast.test(name) ? `v1/locks?name=${encodeURIComponent(name)}` : `v1/locks/${name}`;
  return `curl -f${auth()} ${quote(base.href + path)}`;
}

// octostore writes a command line. A name may begin with a dash: after -- it is no flag.
function octostore(verb, flags, name, command) {
  const words = name.startsWith('-') ? [flags, '--', quote(name), command] : [flags, quote(name), command && `-- ${command}`];
  return ['octostore', verb, ...words].filter(Boolean).join(' ');
}

function Lines({ name, lock }) {
  const session = useSession();
  return html`<h3>The same in a shell</h3>
    <${Command} label="Run a command under this lock" line=${octostore('run', '--wait 30s', name, 'COMMAND')} />
    <${Command} label="Acquire it with curl, and wait for it" line=${curlAcquire(name, 'ttl=60s&wait=30s')} />
    <${Command} label="Show it with curl" line=${curlShow(name)} />
    ${lock.lease && session.may('break', name) && html`<${Command} label="Break this lease" line=${octostore('break', `--token ${lock.lease.fencing_token} --reason TEXT`, name)} />`}`;
}

// Break asks for a reason and breaks that lease, whatever has become of the lock meanwhile: the
// fencing token keeps a later lease from being broken.
function Break({ lock, onClose }) {
  const submit = ({ reason }) => post(lockPath(lock.name, 'break'), { reason, fencing_token: lock.lease.fencing_token });
  return html`<${Confirm} title="Break this lease?" ask="reason" danger action="Break the lease" onConfirm=${submit} onClose=${onClose}>
    <p><bdi class="strong">${lock.name}</bdi> is held by <bdi class="strong">${lock.lease.holder || lock.lease.account}</bdi> (${lock.lease.account}).
    Its holder is not told before its next renewal: what it does until then is not stopped.</p>
  <//>`;
}

export default { id: 'locks', title: 'Locks', needs: 'read', View };
