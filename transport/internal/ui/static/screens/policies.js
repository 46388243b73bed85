// Policies: the set in force and how it performs, a reload, and what it would decide.

import {
  Confirm, Drawer, Empty, Facts, Loading, Problem, Table, Tag, Time, bytes, duration, html, useLive, useState,
} from '../components.js';
import { get, post } from '../api.js';
import { Copy, Meter, Stale, Stat, Stats } from '../parts.js';
import { amount, latency, plural, whole } from '../units.js';

function View({ params, go }) {
  const live = useLive({ show: 'policies' });
  const set = live.data.policies;
  const [reloading, setReloading] = useState(false);
  const [changes, setChanges] = useState('');
  const open = set?.policies.find((p) => p.name === params.policy);
  const configured = set && (set.policies.length > 0 || set.loaded_at);
  const reload = async ({ reason }) => setChanges((await post('v1/policies/reload', { reason })).changes);
  return html`<div class=${`split ${open ? 'open' : ''}`}>
    <section aria-labelledby="policies-title">
      <div class="toolbar"><h1 id="policies-title">Policies</h1>
        ${configured && html`<button type="button" class="outline" onClick=${() => setReloading(true)}>Reload…</button>`}
      </div>
      ${live.error && html`<${Stale} live=${live} shown=${set} />`}
      ${changes && html`<div class="notice" role="status"><span>Reloaded: <bdi>${changes}</bdi></span><button type="button" class="quiet small" onClick=${() => setChanges('')}>Dismiss</button></div>`}
      ${!set && !live.error && html`<${Loading} />`}
      ${set && !configured && html`<${Empty} title="No policies are configured.">
        <p>Every request is allowed. A policy is a WebAssembly module that is asked before a lock is given: set <code>OCTOSTORE_POLICIES</code> to a manifest.</p><//>`}
      ${configured && html`
        <${Totals} set=${set} />
        <${Table} caption="Policies of the manifest" columns=${columns} rows=${set.policies} rowKey=${(p) => p.name} selected=${params.policy} onOpen=${(p) => go({ ...params, policy: p.name })} />`}
      ${configured && html`<${Explain} />`}
    </section>
    ${open && html`<${Details} key=${open.name} policy=${open} onClose=${() => go({ ...params, policy: '' })} />`}
    ${reloading && html`<${Confirm} title="Reload the policies?" ask="reason" action="Reload" onConfirm=${reload} onClose=${() => setReloading(false)}>
      <p>The server reads the manifest and all modules again. Either all of them load, or everything stays as it is. Counts begin at 0.</p><//>`}
  </div>`;
}

function Totals({ set }) {
  const sum = (key) => set.policies.reduce((n, p) => n + p[key], 0);
  const open = set.policies.filter((p) => p.breaker_open).length;
  return html`<${Stats} label="The policy set">
    <${Stat} label="Loaded" value=${html`<${Time} at=${set.loaded_at} />`} note=${set.engine === 'interpreter' ? 'interpreted: calls are slow' : 'compiled'} />
    <${Stat} label="Failed reloads" tone=${set.failed_reloads ? 'warn' : ''} value=${whole(set.failed_reloads)} note="since the start of the server" />
    <${Stat} label="Calls" value=${amount(sum('calls'))} note="since they were loaded" />
    <${Stat} label="Denials" value=${amount(sum('denials'))} note=${share(sum('denials'), sum('calls'))} />
    <${Stat} label="Errors" tone=${sum('errors') ? 'bad' : ''} value=${amount(sum('errors'))} note=${open ? `${plural(open, 'breaker')} open` : 'no breaker is open'} />
  <//>`;
}

const share = (n, of) => (of ? `${((100 * n) / of).toFixed(n && n < of / 100 ? 2 : 0)} % of calls` : 'no calls yet');

// quantile estimates a quantile of the timed calls, in ms, from counts of calls that took at most
// so long. Without calls it is NaN.
export function quantile({ calls, buckets }, q) {
  if (!calls) return NaN;
  const rank = q * calls;
  let [below, from] = [0, 0];
  for (const b of buckets) {
    if (b.calls >= rank) {
      const within = b.calls > below ? (rank - below) / (b.calls - below) : 1;
      return (from + (b.at_most_ns - from) * within) / 1e6;
    }
    [below, from] = [b.calls, b.at_most_ns];
  }
  return from / 1e6; // longer than the last bucket
}

const modes = { enforce: 'good', shadow: 'warn' };

const columns = [
  { id: 'name', title: 'Policy', cell: (p) => html`<a data-row href=${`#/policies?policy=${encodeURIComponent(p.name)}`}><bdi>${p.name}</bdi></a>` },
  { id: 'mode', title: 'Mode', cell: (p) => html`<${Tag} tone=${modes[p.mode]}>${p.mode}<//>` },
  { id: 'digest', title: 'Digest', cell: (p) => (p.digest ? html`<code title=${p.digest}>${p.digest.slice(0, 12)}</code>` : '–') },
  { id: 'hooks', title: 'Asked about', cell: (p) => html`<span class="clip" title=${p.match.join(' ')}>${p.hooks.join(', ')}<br /><small class="faint">${p.match.join(' ')}</small></span>` },
  { id: 'calls', title: 'Calls', align: 'right', cell: (p) => html`<span class="number">${whole(p.calls)}</span>` },
  { id: 'denials', title: 'Denials', align: 'right', cell: (p) => html`<span class="number">${whole(p.denials)}</span>` },
  { id: 'errors', title: 'Errors', align: 'right', cell: (p) => html`<span class=${`number ${p.errors ? 'bad' : 'faint'}`}>${whole(p.errors)}</span>` },
  { id: 'p50', title: 'Call p50', align: 'right', cell: (p) => html`<span class="number">${latency(quantile(p.latency, 0.5))}</span>` },
  { id: 'fuel', title: 'Fuel p99', cell: (p) => html`<span class="number">${p.calls ? share(p.fuel_p99, p.fuel).replace(' of calls', '') : '–'}</span><${Meter} value=${p.calls && p.fuel_p99} most=${p.fuel} tone=${p.fuel_p99 > p.fuel / 2 ? 'b' : 'a'} />` },
  { id: 'health', title: 'Health', cell: (p) => html`<${Health} p=${p} />` },
];

function Health({ p }) {
  if (p.mode === 'off') return html`<span class="faint">not loaded</span>`;
  if (p.breaker_open) return html`<${Tag} tone="bad">breaker open<//>`;
  if (p.observer?.lag_ms > 60_000) return html`<${Tag} tone="warn">${duration(p.observer.lag_ms)} behind<//>`;
  if (p.errors) return html`<${Tag} tone="warn">had errors<//>`;
  return html`<${Tag} tone="good">good<//>`;
}

function Details({ policy: p, onClose }) {
  return html`<${Drawer} title=${html`<bdi>${p.name}</bdi>`} label=${`Policy ${p.name}`} onClose=${onClose}>
    <p class="state"><${Tag} tone=${modes[p.mode]}>${p.mode}<//> <${Health} p=${p} /></p>
    <${Facts} of=${[
    ['Module', html`<bdi>${p.module}</bdi>`],
    ['SHA-256', p.digest && html`<${Copy} text=${p.digest} shown=${`${p.digest.slice(0, 24)}…`} label="the digest" />`],
    ['Asked about', p.hooks.join(', ')],
    ['Locks', html`<bdi>${p.match.join(' ')}</bdi>`],
    ['On an error', `${p.on_error} the request`],
  ]} />
    <h3>Calls</h3>
    <${Histogram} latency=${p.latency} />
    <${Facts} of=${[
    ['Calls', whole(p.calls)], ['Denials', whole(p.denials)], ['Errors', whole(p.errors)],
    ['Time of a call', p.latency.calls ? `p50 ${latency(quantile(p.latency, 0.5))}, p99 ${latency(quantile(p.latency, 0.99))}` : '–'],
    ['Waits for a slot', p.waits ? `${whole(p.waits)}, ${latency(p.waited_ns / p.waits / 1e6)} each` : 'none'],
  ]} />
    <h3>Fuel and memory</h3>
    <${Facts} of=${[
    ['Fuel of a call', `at most ${whole(p.fuel)}`], ['p50 and p99', `${whole(p.fuel_p50)} and ${whole(p.fuel_p99)}`], ['All calls', whole(p.fuel_used)],
    ['Instances', `${whole(p.instances)}, ${bytes(p.memory_bytes)}`], ['Started', whole(p.starts)],
    ['Breaker opened', plural(p.breaker_opened, 'time')], ['Log lines dropped', whole(p.log_lines_dropped)],
  ]} />
    ${p.observer && html`<h3>Observer</h3><${Facts} of=${[
      ['Read up to', html`<code>${p.observer.after}</code>`], ['Behind', p.observer.lag_ms ? duration(p.observer.lag_ms) : 'nothing'],
      ['Records it failed on', whole(p.observer.parked)], ['Missed by pruning', whole(p.observer.gaps)],
    ]} />`}
  <//>`;
}

// Histogram shows how long the timed calls took, a bar for each bucket that has any.
function Histogram({ latency: { calls, buckets } }) {
  if (!calls) return html`<p class="faint">No call was timed yet: one in 16 is.</p>`;
  const rows = buckets.map((b, i) => ({ label: `≤ ${latency(b.at_most_ns / 1e6)}`, n: b.calls - (i ? buckets[i - 1].calls : 0) }));
  const over = calls - buckets.at(-1).calls;
  if (over) rows.push({ label: 'longer', n: over });
  const first = rows.findIndex((r) => r.n);
  const end = rows.length - rows.toReversed().findIndex((r) => r.n);
  const most = Math.max(...rows.map((r) => r.n));
  return html`<dl class="histogram">${rows.slice(first, end).map((r) => html`<div key=${r.label}><dt class="number">${r.label}</dt>
    <dd><${Meter} value=${r.n} most=${most} /><span class="number">${share(r.n, calls).replace(' of calls', '')}</span></dd></div>`)}</dl>`;
}

// --- what would happen if ---

const hooks = [['acquire', 'asked for'], ['renew', 'renewed'], ['break', 'broke']];
const blank = { name: '', hook: 'acquire', account: '', ttl: '', wait: '', holder: '', reason: '', at: '', metadata: '' };

function Explain() {
  const [form, set] = useState(blank);
  const [answer, setAnswer] = useState(null);
  const [busy, setBusy] = useState(false);
  const put = (key) => (e) => set({ ...form, [key]: e.target.value });
  const ask = async (e) => {
    e.preventDefault();
    setBusy(true);
    try {
      setAnswer({ is: await get('v1/policies/explain', question(form)) });
    } catch (error) {
      setAnswer({ error });
    }
    setBusy(false);
  };
  const field = (key, label, rest = {}) => html`<label>${label}<input name=${key} value=${form[key]} spellcheck="false" autocomplete="off" onInput=${put(key)} ...${rest} /></label>`;
  const acquire = form.hook === 'acquire';
  return html`<section class="panel explain" aria-labelledby="explain-title">
    <h2 id="explain-title">What would happen if…</h2>
    <p class="faint small">The policies are asked as if the request had just arrived. Nothing is done, counted or recorded.</p>
    <form onSubmit=${ask}>
      <div class="sentence">
        ${field('account', 'Account', { placeholder: 'yours', maxlength: 64 })}
        <label>did this<select name="hook" value=${form.hook} onChange=${put('hook')}>${hooks.map(([id, text]) => html`<option key=${id} value=${id} selected=${id === form.hook}>${text}</option>`)}</select></label>
        ${field('name', 'Lock', { required: true, placeholder: 'deploy/prod', maxlength: 512 })}
        <button type="submit" disabled=${busy}>Explain</button>
      </div>
      <details><summary>More about the request</summary><div class="more-fields">
        ${form.hook !== 'break' && field('ttl', 'TTL', { placeholder: '60s' })}
        ${acquire && field('wait', 'Wait', { placeholder: '0s' })}
        ${acquire && field('holder', 'Holder', { maxlength: 256 })}
        ${form.hook !== 'renew' && field('reason', 'Reason', { maxlength: 512 })}
        <label>At<input type="datetime-local" step="1" name="at" value=${form.at} onInput=${put('at')} /></label>
        ${acquire && html`<label class="long">Metadata, a line for each KEY=VALUE<textarea name="metadata" rows="2" placeholder="ticket=OPS-7" spellcheck="false" value=${form.metadata} onInput=${put('metadata')}></textarea></label>`}
      </div></details>
    </form>
    <div aria-live="polite">${answer && (answer.error ? html`<${Problem} error=${answer.error} />` : html`<${Answer} is=${answer.is} />`)}</div>
  </section>`;
}

// question leaves out what the hook does not take.
function question({ hook, at, metadata, ...rest }) {
  const takes = { acquire: ['name', 'account', 'ttl', 'wait', 'holder', 'reason'], renew: ['name', 'account', 'ttl'], break: ['name', 'account', 'reason'] }[hook];
  const q = { hook, at: at && new Date(at).toISOString() };
  for (const key of takes) q[key] = rest[key].trim();
  if (hook !== 'acquire') return q;
  for (const line of metadata.split('\n').filter((l) => l.trim())) {
    const [key, ...value] = line.split('=');
    q[`meta.${key.trim()}`] = value.join('=').trim();
  }
  return q;
}

const verdicts = { allow: ['good', 'Allowed'], deny: ['bad', 'Denied'], error: ['bad', 'Refused: a policy could not answer'] };

function Answer({ is }) {
  const [tone, text] = verdicts[is.verdict];
  const asked = is.policies.filter((p) => p.asked);
  const ttl = Math.min(...asked.filter((p) => p.mode === 'enforce' && p.verdict === 'allow').map((p) => p.ttl_ms));
  return html`<div class=${`outcome ${tone}`}>
    <p><strong>${text}</strong>${is.by && html` by <bdi class="strong">${is.by}</bdi>`}${is.reason && html`: <bdi>${is.reason}</bdi>`}</p>
    <p class="small"><bdi>${is.account}</bdi> · ${is.hook} · <bdi>${is.name}</bdi>${is.verdict === 'allow' && is.hook !== 'break' && Number.isFinite(ttl) && ` · ttl at most ${duration(ttl)}`}${is.priority && ` · priority ${is.priority}`}${is.at && ` · at ${new Date(is.at).toLocaleString()}`}</p>
  </div>
  ${is.policies.length === 0 ? html`<p class="faint">No policy is loaded.</p>` : html`<${Table} caption="What each policy would decide" columns=${explained} rows=${is.policies} rowKey=${(p) => p.policy} />`}`;
}

const explained = [
  { id: 'name', title: 'Policy', cell: (p) => html`<bdi class="strong">${p.policy}</bdi> ${p.mode !== 'enforce' && html`<${Tag} tone=${modes[p.mode]}>${p.mode}<//>`}` },
  { id: 'verdict', title: 'Verdict', cell: (p) => (p.asked ? html`<${Tag} tone=${verdicts[p.verdict][0]}>${p.verdict}<//>` : html`<span class="faint">not asked</span>`) },
  {
    id: 'what', title: 'Why',
    cell: (p) => html`<div class="said">${p.reason && html`<p><bdi>${p.reason}</bdi></p>`}${p.error && html`<p class="bad"><bdi>${p.error}</bdi></p>`}
      <p class="faint small"><bdi>${p.why}</bdi></p>
      ${Object.entries(p.notes || {}).map(([k, v]) => html`<p key=${k} class="small"><code>${k}</code> <bdi>${v}</bdi></p>`)}
      ${p.logs?.length > 0 && html`<pre tabindex="0" aria-label=${`Log of ${p.policy}`}><code>${p.logs.join('\n')}</code></pre>`}</div>`,
  },
  { id: 'ttl', title: 'TTL', align: 'right', cell: (p) => html`<span class="number">${p.asked && p.ttl_ms ? duration(p.ttl_ms) : '–'}</span>` },
  { id: 'wait', title: 'Wait', align: 'right', cell: (p) => html`<span class="number">${p.asked && p.wait_ms ? duration(p.wait_ms) : '–'}</span>` },
  { id: 'used', title: 'Fuel', align: 'right', cell: (p) => html`<span class="number">${p.asked ? whole(p.fuel) : '–'}</span>` },
];

export default { id: 'policies', title: 'Policies', needs: 'policies', View };
