// Contention: who waits now, which locks are busy, and how the last hour went.

import { Loading, Time, html, useLive, useMemo, useState } from '../components.js';
import { serverNow } from '../api.js';
import { Chart } from '../chart.js';
import { Bars, Stale, Stat, Stats, useTheme } from '../parts.js';
import { amount, clock, latency, plural, whole } from '../units.js';

const spans = [
  { ms: 600_000, label: '10 min', bin: 'in 10 s' },
  { ms: 1_800_000, label: '30 min', bin: 'in 30 s' },
  { ms: 3_600_000, label: '1 h', bin: 'in a minute' },
];

const mostLocks = 100; // that are waited for and shown

// The charts, each with a unit and lines of the member of a bucket that they show.
const charts = [
  {
    title: 'Grants', per: 'a second', unit: 'rate', note: 'Locks that were given, at once or after a wait',
    series: [
      { key: 'grants', label: 'all', tone: 'a', rate: true, fill: true },
      { key: 'waited', label: 'after a wait', tone: 'b', rate: true },
    ],
  },
  {
    title: 'Wait', per: 'until a grant', unit: 'latency', note: 'How long requests waited for a lock that they were given',
    series: [{ key: 'wait_p50_ms', label: 'p50', tone: 'a' }, { key: 'wait_p99_ms', label: 'p99', tone: 'b' }],
  },
  {
    title: 'Waiters', per: 'in all queues', unit: 'count', note: 'Requests in all queues, at the end of each step',
    series: [{ key: 'waiters', label: 'waiting', tone: 'b', fill: true }],
  },
  {
    title: 'Held', per: 'locks', unit: 'count', note: 'Locks that were held, at the end of each step',
    series: [{ key: 'held', label: 'held', tone: 'a', fill: true }],
  },
  {
    title: 'Hand-over', per: 'to the next waiter', unit: 'latency', note: 'From the end of a lease to the grant to the next waiter',
    series: [{ key: 'handover_p50_ms', label: 'p50', tone: 'a' }, { key: 'handover_p99_ms', label: 'p99', tone: 'b' }],
  },
  {
    title: 'Commit', per: 'to the disk', unit: 'latency', note: 'How long the disk took for a batch of changes',
    series: [{ key: 'commit_p50_ms', label: 'p50', tone: 'a' }, { key: 'commit_p99_ms', label: 'p99', tone: 'b' }],
  },
  {
    title: 'Refused', unit: 'count', note: 'Requests that were not given the lock',
    series: [{ key: 'conflicts', label: 'held', tone: 'b', bars: true }, { key: 'denials', label: 'by a policy', tone: 'c', bars: true }],
  },
  {
    title: 'Not released', unit: 'count', note: 'Leases that ended without a release',
    series: [
      { key: 'expirations', label: 'expired', tone: 'b', bars: true },
      { key: 'breaks', label: 'broken', tone: 'c', bars: true },
      { key: 'undone', label: 'undone', tone: 'd', bars: true },
    ],
  },
];

function View({ params, go }) {
  const live = useLive({ show: 'activity,locks', sort: 'wait', limit: mostLocks });
  const { activity, locks } = live.data;
  const span = spans.find((s) => String(s.ms / 60_000) === params.minutes) || fitting(activity);
  const [at, setAt] = useState(null);
  const theme = useTheme();
  const rows = useMemo(() => activity && columns(activity, span.ms), [activity, span]);
  const choose = (ms) => {
    setAt(null);
    go({ ...params, minutes: ms / 60_000 }, { replace: true });
  };
  return html`<section aria-labelledby="contention-title">
    <div class="toolbar">
      <h1 id="contention-title">Contention</h1>
      ${rows && html`<span class="faint small number">${at === null ? 'Newest values' : `Values at ${clock(rows.at[at] * 1000)}`}</span>
        <${Spans} chosen=${span.ms} onChoose=${choose} />`}
    </div>
    ${live.error && html`<${Stale} live=${live} shown=${activity} />`}
    ${!activity && !live.error && html`<${Loading} />`}
    ${activity && html`
      <${Now} activity=${activity} locks=${locks} />
      <div class="charts" tabindex="0" role="region" aria-label="Charts: the arrow keys move through time"
        onKeyDown=${(e) => steer(e, at, rows.at.length, setAt)} onBlur=${() => setAt(null)}>
        ${charts.map((c) => html`<${Chart} key=${c.title} ...${c} per=${c.per || span.bin} data=${rows} at=${at} onAt=${setAt} theme=${theme} />`)}
      </div>
      <div class="pair"><${Longest} locks=${locks?.locks || []} /><${Busiest} rows=${activity.busiest} /></div>`}
  </section>`;
}

// fitting is the shortest time that shows all there is: a server that has just started has little.
function fitting(activity) {
  const known = activity ? activity.buckets.length * activity.step_ms : 0;
  return spans.find((s) => s.ms >= known) || spans[2];
}

// columns turns buckets into columns on a grid that ends at the newest of them, so that a chart is
// as wide in time however long the server has been running.
export function columns({ buckets, step_ms: step }, span) {
  const at = (time) => Math.round(time / step);
  const byStep = new Map(buckets.map((b) => [at(Date.parse(b.at)), b]));
  const last = buckets.length ? at(Date.parse(buckets.at(-1).at)) : at(Date.now());
  const steps = Array.from({ length: span / step }, (_, i) => last - span / step + 1 + i);
  const rows = { at: steps.map((n) => (n * step) / 1000) };
  for (const { key, rate, bars } of charts.flatMap((c) => c.series)) {
    const values = steps.map((n) => byStep.get(n)?.[key] ?? null);
    if (bars) rows[key] = binned(values, steps, Math.max(1, steps.length / 60));
    else rows[key] = rate ? values.map((v) => (v === null ? null : (v * 1000) / step)) : values;
  }
  return rows;
}

// binned sums up values to sixty bars. A bar is at the first step of its bin; the other steps are
// undefined. A bin always has the same steps, so that its bar stays as time goes on.
function binned(values, steps, size) {
  return values.map((_, i) => {
    if (steps[i] % size !== 0) return undefined;
    const known = values.slice(i, i + size).filter((v) => v !== null);
    return known.length ? known.reduce((sum, v) => sum + v, 0) : null;
  });
}

// steer moves the time that is shown by a step, or by ten.
function steer(e, at, length, setAt) {
  if (e.key === 'Escape') setAt(null);
  const move = { ArrowLeft: -1, ArrowRight: 1 }[e.key];
  if (!move) return;
  e.preventDefault();
  setAt(Math.max(0, Math.min(length - 1, (at ?? length - 1) + move * (e.shiftKey ? 10 : 1))));
}

const Spans = ({ chosen, onChoose }) => html`<div class="choice">${spans.map(({ ms, label }) => html`
  <button key=${ms} type="button" class="quiet small" aria-pressed=${String(ms === chosen)} aria-label=${`The last ${label}`} onClick=${() => onChoose(ms)}>${label}</button>`)}</div>`;

function Now({ activity: { buckets }, locks }) {
  const last = buckets.at(-1);
  const waited = locks?.locks || [];
  const all = waited.length < mostLocks;
  const waiting = waited.reduce((n, l) => n + l.waiters_total, 0);
  const sum = (key) => buckets.reduce((total, b) => total + b[key], 0);
  return html`<${Stats} label="Now, and in the last hour">
    <${Stat} label="Waiting now" value=${whole(all ? waiting : Math.max(waiting, last?.waiters || 0))} note=${`for ${plural(waited.length, 'lock')}${all ? '' : ' or more'}`} />
    <${Stat} label="Longest wait now" value=${waited[0] ? html`<${Time} at=${waited[0].waiting_since} since />` : 'none'} note=${waited[0]?.name} />
    <${Stat} label="Held now" value=${whole(last?.held || 0)} />
    <${Stat} label="Grants in the last hour" value=${amount(sum('grants'))} note=${`${amount(sum('waited'))} after a wait`} />
    <${Stat} label="Refused in the last hour" value=${amount(sum('denials') + sum('conflicts'))} note=${`${amount(sum('denials'))} by a policy`} />
    <${Stat} label="Not released in the last hour" value=${amount(sum('expirations') + sum('breaks') + sum('undone'))} note=${`${amount(sum('breaks'))} broken`} />
  <//>`;
}

function Longest({ locks }) {
  const age = (l) => serverNow() - Date.parse(l.waiting_since);
  const most = Math.max(1, ...locks.slice(0, 1).map(age));
  return html`<section class="panel"><h2>Longest waits now</h2>
    <${Bars} empty="Nothing waits for a lock." most=${most} rows=${locks.slice(0, 8).map((l) => ({
    key: l.name, name: l.name, tone: 'b', value: age(l),
    text: html`<${Time} at=${l.waiting_since} since />`,
    note: html`${plural(l.waiters_total, 'waiter')}, ${l.lease ? html`held by <bdi>${l.lease.holder || l.lease.account}</bdi>` : 'the next one is being asked'}`,
  }))} /></section>`;
}

function Busiest({ rows }) {
  return html`<section class="panel"><h2>Busiest locks of the last hour</h2>
    <${Bars} empty="No lock was given in the last hour." most=${Math.max(1, ...rows.map((r) => r.grants))} rows=${rows.map((r) => ({
    key: r.name, name: r.name, tone: 'a', value: r.grants, part: r.waited,
    text: plural(r.grants, 'grant'),
    note: [r.waited ? `${whole(r.waited)} after a wait, p99 ${latency(r.wait_p99_ms)}` : 'none after a wait', r.denials && `${whole(r.denials)} denied`].filter(Boolean).join(' · '),
  }))} /></section>`;
}

export default { id: 'contention', title: 'Contention', needs: 'read', View };
