// Server: its state, its disk, its limits and settings; drain it, and take a backup.

import { Confirm, Loading, Problem, Table, Tag, Time, bytes, duration, html, useLive, useState } from '../components.js';
import { download, post } from '../api.js';
import { Copy, Meter, Stale, Stat, Stats } from '../parts.js';
import { amount, latency, plural, whole } from '../units.js';

function View() {
  const live = useLive({ show: 'server' });
  const s = live.data.server;
  const [draining, setDraining] = useState(false);
  const [moving, setMoving] = useState(false);
  return html`<section aria-labelledby="server-title">
    <div class="toolbar"><h1 id="server-title">Server</h1>
      ${s && html`<${Backup} />
        <button type="button" class="danger outline" disabled=${s.status.status === 'draining'} onClick=${() => setDraining(true)}>Drain…</button>`}
    </div>
    ${live.error && html`<${Stale} live=${live} shown=${s} />`}
    ${!s && !live.error && html`<${Loading} />`}
    ${s && html`
      ${s.status.status === 'draining' && html`<div class="banner" role="status">This server is draining${s.drained_at ? html` since <${Time} at=${s.drained_at} />` : ''}: it refuses new acquires. Only a restart ends that.</div>`}
      <${Overview} s=${s} />
      <div class="cards">
        <${Storage} s=${s} /><${Connections} s=${s} /><${Journal} s=${s} />
      </div>
      ${s.cluster && html`<${Cluster} c=${s.cluster} onHandOver=${() => setMoving(true)} />`}
      <${Limits} limits=${s.limits} />
      <${Settings} settings=${s.settings} />`}
    ${draining && html`<${Drain} s=${s} onClose=${() => setDraining(false)} />`}
    ${moving && html`<${HandOver} s=${s} onClose=${() => setMoving(false)} />`}
  </section>`;
}

const states = { ok: ['good', 'in order'], draining: ['warn', 'draining'], storage_full: ['bad', 'disk full'], failing: ['bad', 'failing'], moved: ['warn', 'moved to another node'] };

function Overview({ s }) {
  const degraded = s.status.degraded?.length ? s.status.degraded.map((d) => states[d]?.[1] || d).join(', ') : '';
  const [tone, text] = degraded ? ['warn', degraded] : states[s.status.status] || ['', s.status.status];
  return html`<${Stats} label="State of the server">
    <${Stat} label="Status" tone=${tone} value=${text} note=${`process ${s.process_id}`} />
    <${Stat} label="Version" value=${s.version} note=${s.go} />
    <${Stat} label="Up" value=${html`<${Time} at=${s.started_at} since />`} note=${new Date(s.started_at).toLocaleString('sv')} />
    <${Stat} label="Held and waiting" value=${`${amount(s.held)} / ${amount(s.waiters)}`} note="locks / requests" />
    <${Stat} label="Commits p50 / p99" value=${s.commits.p99_ms ? `${latency(s.commits.p50_ms)} / ${latency(s.commits.p99_ms)}` : '–'} note=${`${amount(s.commits.total)} since the start`} />
    <${Certificate} of=${s.certificate} />
  <//>`;
}

const day = 86_400_000;

function Certificate({ of }) {
  if (!of) return html`<${Stat} label="Certificate" value="none" note="plain HTTP" />`;
  const left = Date.parse(of.expires_at) - Date.now();
  return html`<${Stat} label="Certificate ends" tone=${left < 3 * day ? 'bad' : left < 14 * day ? 'warn' : ''} value=${html`<${Time} at=${of.expires_at} />`} note=${of.subject} />`;
}

// Rows shows names and values in a card, with a bar below a value that is a share of something.
const Rows = ({ of }) => html`<dl class="rows">${of.filter(Boolean).map(({ name, value, note, meter }) => html`<div key=${name}>
  <dt>${name}</dt><dd><span class="number">${value}</span>${note && html` <span class="faint small">${note}</span>`}</dd>${meter && html`<dd class="under"><${Meter} ...${meter} /></dd>`}</div>`)}</dl>`;

const full = (used, most) => (most && used > 0.9 * most ? 'c' : most && used > 0.7 * most ? 'b' : 'a');

function Storage({ s: { database: d, last_backup_at: backup } }) {
  const ours = d.bytes + d.wal_bytes + d.reserve_bytes;
  const all = d.disk_free_bytes === undefined ? 0 : ours + d.disk_free_bytes;
  return html`<section class="panel"><h2>Storage</h2>
    <p class="faint small path"><bdi>${d.path || 'in memory only'}</bdi></p>
    <${Rows} of=${[
    { name: 'Database', value: bytes(d.bytes) },
    { name: 'Write-ahead log', value: bytes(d.wal_bytes) },
    { name: 'Reserve', value: bytes(d.reserve_bytes), note: 'lets leases end on a full disk' },
    d.disk_free_bytes !== undefined && { name: 'Free on the disk', value: bytes(d.disk_free_bytes), meter: { value: ours, most: all, tone: full(ours, all) } },
    { name: 'Last backup', value: backup ? html`<${Time} at=${backup} />` : 'none is known' },
  ]} /></section>`;
}

function Connections({ s }) {
  return html`<section class="panel"><h2>Connections</h2>
    <p class="faint small path">${s.addresses.map((a) => html`<bdi key=${a}>${a}</bdi> `)}</p>
    <${Rows} of=${s.connections.map((c) => ({
    name: `${c.listener} listener`, value: whole(c.open), note: c.max ? `of ${whole(c.max)}` : 'no limit',
    meter: c.max ? { value: c.open, most: c.max, tone: full(c.open, c.max) } : undefined,
  }))} /></section>`;
}

function Journal({ s: { journal: j } }) {
  return html`<section class="panel"><h2>Audit log</h2>
    <p class="faint small path">Recorded: <bdi>${j.level}</bdi>. <a href="#/audit">Show the records</a></p>
    <${Rows} of=${[
    { name: 'Newest record', value: html`<${Time} at=${j.head_at} />`, note: j.head || '' },
    { name: 'Oldest record', value: html`<${Time} at=${j.oldest_at} />`, note: j.oldest || '' },
    { name: 'Checkpoint', value: j.checkpoint ? html`<${Time} at=${j.checkpoint.at} />` : 'not yet', note: j.checkpoint?.seq || '' },
    j.archive && { name: 'Archive', value: j.archive.failing_since ? html`failing since <${Time} at=${j.archive.failing_since} />` : html`<${Time} at=${j.archive.newest_at} />`, note: j.archive.error || `${whole(j.archive.files)} files, ${bytes(j.archive.bytes)}` },
    j.checkpoint?.key && { name: 'Signing key', value: html`<${Copy} text=${j.checkpoint.key} shown=${`${j.checkpoint.key.slice(0, 12)}…`} label="the signing key" />` },
  ]} /></section>`;
}

const nodeColumns = [
  { id: 'name', title: 'Node', cell: (n) => html`<bdi class=${n.serving ? 'strong' : ''}>${n.name}</bdi>` },
  { id: 'role', title: 'Does', cell: (n) => (n.serving ? html`<${Tag} tone="good">serves<//>` : 'forwards') },
  { id: 'url', title: 'URL', cell: (n) => html`<bdi>${n.url}</bdi>` },
  { id: 'version', title: 'Version', cell: (n) => html`<bdi>${n.version}</bdi>` },
  { id: 'policies', title: 'Policies', cell: (n) => (n.policies_differ ? html`<span title="If the lock table moved to this node, the rules would change."><${Tag} tone="warn">differ<//></span>` : n.policies ? html`<bdi title=${n.policies}>${n.policies.slice(0, 12)}</bdi>` : html`<span class="faint">none</span>`) },
  { id: 'since', title: 'Joined', cell: (n) => html`<${Time} at=${n.since} />` },
];

// Cluster shows the nodes that share the lock table.
function Cluster({ c, onHandOver }) {
  return html`<section class="settings nodes" aria-labelledby="cluster-title">
    <div class="toolbar"><h2 id="cluster-title">Cluster</h2>
      <button type="button" class="danger outline" onClick=${onHandOver}>Hand over…</button></div>
    <p class="faint small">Term <bdi class="number">${c.serving.term}</bdi>: <bdi>${c.serving.node}</bdi> serves since <${Time} at=${c.serving.since} />.</p>
    ${c.takes.count >= 3 && html`<div class="banner" role="status">A node took the lock table ${c.takes.count} times in ${duration(c.takes.within_ms)}. Each time all leases begin again, so locks may stay held for much longer than their leases say.</div>`}
    <${Table} caption="Nodes that are alive" columns=${nodeColumns} rows=${c.nodes} rowKey=${(n) => n.name} />
  </section>`;
}

function HandOver({ s, onClose }) {
  const others = s.cluster.nodes.length - 1;
  return html`<${Confirm} title="Hand the lock table over?" ask="reason" danger action="Hand over" onConfirm=${({ reason }) => post('v1/cluster/hand-over', { reason })} onClose=${onClose}>
    <p>${others ? html`One of <strong>${plural(others, 'other node')}</strong> takes the lock table, usually within a second.` : html`<strong>There is no other node:</strong> nothing will be done.`} ${s.waiters ? html`The <strong>${plural(s.waiters, 'request')} that ${s.waiters === 1 ? 'waits' : 'wait'}</strong> ${s.waiters === 1 ? 'is' : 'are'} answered 503 <code>moved</code>, and may ask again in a second.` : 'No request waits.'}</p>
    <p>Leases stay, with their fencing tokens; each begins again with its full ttl.</p><//>`;
}

// amountOf writes the value of a limit in the unit that its name says.
const amountOf = (name, n) => (/bytes|reserve|size/.test(name) ? bytes(n) : /_rate$/.test(name) ? `${whole(n)} a second` : whole(n));

function Limits({ limits }) {
  return html`<section class="panel"><h2>Limits</h2><dl class="limits">${limits.map((l) => html`<div key=${l.name}>
    <dt title=${`OCTOSTORE_${l.name.toUpperCase()}`}>${l.name.replaceAll('_', ' ')}</dt>
    <dd class="number">${l.used !== undefined && html`<strong>${amountOf(l.name, l.used)}</strong> of `}${l.value ? amountOf(l.name, l.value) : 'no limit'}</dd>
    ${l.used !== undefined && l.value > 0 && html`<dd class="under"><${Meter} value=${l.used} most=${l.value} tone=${full(l.used, l.value)} /></dd>`}
  </div>`)}</dl></section>`;
}

function Settings({ settings }) {
  const [text, setText] = useState('');
  const [all, setAll] = useState(false);
  const changed = settings.filter((x) => x.source !== 'default');
  const wanted = text.trim().toLowerCase();
  const rows = (all || wanted ? settings : changed).filter((x) => `${x.name} ${x.value}`.toLowerCase().includes(wanted));
  return html`<section class="settings" aria-labelledby="settings-title">
    <div class="toolbar"><h2 id="settings-title">Settings</h2>
      <input type="search" data-search class="search" aria-label="Search settings" placeholder="Search all settings…" value=${text} onInput=${(e) => setText(e.target.value)} />
      <label class="check"><input type="checkbox" role="switch" checked=${all} onChange=${(e) => setAll(e.target.checked)} />defaults, too</label>
    </div>
    ${rows.length ? html`<${Table} caption="Settings in effect" columns=${columns} rows=${rows} rowKey=${(x) => x.name} />`
    : html`<p class="faint">${wanted ? 'No setting is like that.' : 'All settings are the defaults.'}</p>`}
  </section>`;
}

const columns = [
  { id: 'name', title: 'Setting', cell: (x) => html`<code class="setting">${x.name}</code>` },
  { id: 'value', title: 'Value', cell: (x) => (x.secret ? html`<span class="faint">${x.value || 'not set'}</span>` : html`<bdi class=${x.value === '' ? 'faint' : 'strong'}>${x.value === '' ? 'empty' : x.value}</bdi>`) },
  { id: 'source', title: 'From', cell: (x) => html`<bdi class=${x.source === 'default' ? 'faint' : ''}>${x.source}</bdi>` },
];

// Backup downloads the database.
function Backup() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const [asking, setAsking] = useState(false);
  const take = async () => {
    setBusy(true);
    setError(null);
    await download('v1/backup', {}, `octostore-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}.db`).catch(setError);
    setBusy(false);
  };
  return html`<button type="button" class="outline" disabled=${busy} aria-busy=${busy ? 'true' : undefined} onClick=${() => setAsking(true)}>Download a backup…</button>
    ${error && html`<${Problem} error=${error} />`}
    ${asking && html`<${Confirm} title="Download a backup?" action="Download" onConfirm=${() => { take(); }} onClose=${() => setAsking(false)}>
      <p>The file is a consistent copy of the database, to be restored with <code>octostore restore FILE</code>. It is as secret as the database: it has the keys that sign the audit log and prove holds.</p>
      <p>The download is recorded in the audit log.</p><//>`}`;
}

function Drain({ s, onClose }) {
  return html`<${Confirm} title="Drain this server?" ask="reason" danger action="Drain the server" onConfirm=${({ reason }) => post('v1/drain', { reason })} onClose=${onClose}>
    <p><strong>From now on no lock is given.</strong> New acquires are answered 503 <code>draining</code>, and ${s.waiters ? html`the <strong>${plural(s.waiters, 'request')} that ${s.waiters === 1 ? 'waits' : 'wait'}</strong> ${s.waiters === 1 ? 'is' : 'are'} answered so at once` : 'so would be any that wait'}. ${s.held ? html`The <strong>${plural(s.held, 'lock')}</strong> that ${s.held === 1 ? 'is' : 'are'} held can be renewed and released until the server stops.` : 'No lock is held.'}</p>
    <p>This cannot be undone. Only a restart of the process ends it.</p><//>`;
}

export default { id: 'server', title: 'Server', needs: 'admin', View };
