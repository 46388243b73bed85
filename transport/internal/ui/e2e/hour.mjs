// An hour of activity for a page, which no test can wait for: the view activity of the live stream is
// answered in the page. It is the same at each run.

// hour is a script for page.addInitScript.
export function hour() {
  const step = 10_000;
  const end = Math.floor(Date.now() / step) * step;
  let seed = 7;
  const random = () => { seed = (seed * 16_807) % 2_147_483_647; return seed / 2_147_483_647; };
  const buckets = Array.from({ length: 360 }, (_, i) => {
    const rush = i > 190 && i < 235 ? Math.sin(((i - 190) / 45) * Math.PI) : 0;
    const load = 26 + 9 * Math.sin(i / 34) + 30 * rush + 5 * random();
    const waited = Math.round(load * (0.12 + 0.3 * rush + 0.05 * random()));
    const wait = 900 + 500 * random() + 9000 * rush;
    return {
      at: new Date(end - (359 - i) * step).toISOString(),
      grants: Math.round(load), waited, releases: Math.round(load), renewals: Math.round(load * 1.7),
      wait_p50_ms: wait, wait_p99_ms: wait * (2.2 + 0.8 * random()),
      handover_p50_ms: 0.7 + 0.15 * random(), handover_p99_ms: 1.6 + 0.9 * random() + 0.8 * rush,
      commit_p50_ms: 0.42 + 0.06 * random(), commit_p99_ms: 1.1 + 0.7 * random() + 0.5 * rush,
      denials: random() < 0.06 + 0.1 * rush ? 1 + Math.round(2 * random()) : 0,
      conflicts: Math.round(1.4 * random() + 3 * rush * random()),
      expirations: random() < 0.03 ? 1 : 0, breaks: i === 241 ? 1 : 0, undone: random() < 0.008 ? 1 : 0,
      held: Math.round(17 + 5 * Math.sin(i / 40) + 6 * rush), waiters: Math.round(2 + 1.5 * Math.sin(i / 30) + 17 * rush),
    };
  });
  const busiest = [['deploy/prod/api', 412, 187, 31_000, 4], ['ci/e2e/browser-farm', 388, 301, 24_500, 0], ['db/migrate/orders', 207, 36, 9100, 0], ['deploy/prod/web', 160, 71, 18_300, 11],
    ['terraform/network/eu-central-1', 96, 40, 12_000, 0], ['release/mobile/ios', 41, 3, 2100, 6], ['nightly/report', 12, 0, null, 0]]
    .map(([name, grants, waited, p99, denials]) => ({ name, grants, waited, denials, ...(p99 && { wait_p99_ms: p99 }) }));
  const ago = (ms) => new Date(Date.now() - ms).toISOString();
  const lock = (name, holder, since, waiters) => ({
    name, state: 'held', waiters_total: waiters, waiting_since: ago(since), waiters: [],
    lease: { fencing_token: 1, account: 'ci', holder, reason: '', ttl_ms: 60_000, expires_in_ms: 41_000, granted_at: ago(since), expires_at: ago(-41_000) },
  });
  const locks = [lock('deploy/prod/api', 'ci-4711', 252_000, 4), lock('ci/e2e/browser-farm', 'e2e-3', 71_000, 3), lock('db/migrate/orders', 'flyway@runner-3', 14_000, 1)];
  const events = [['activity', { step_ms: step, buckets, busiest, longest: [] }], ['locks', { locks, next: '' }]];
  const { fetch } = window;
  window.fetch = (url, options) => {
    if (!/\/v1\/live\?.*show=activity/.test(String(url))) return fetch(url, options);
    const text = events.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join('');
    const body = new ReadableStream({ start: (c) => { c.enqueue(new TextEncoder().encode(text)); } });
    return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'text/event-stream', Date: new Date().toUTCString() } }));
  };
}
