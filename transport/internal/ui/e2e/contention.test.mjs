import { accessible, assert, browse, phone, until } from './harness.mjs';
import { hour } from './hour.mjs';

const panel = (page, title) => page.locator('section.panel', { has: page.getByRole('heading', { name: title }) });
const legend = (page, title) => page.locator('figure.chart', { hasText: title }).locator('.key b');

browse('Contention shows who waits longest, until the wait is over', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/contention', token: server.token });
  await page.getByText('Nothing waits for a lock.').waitFor();
  const grant = await server.acquire('deploy/prod', { ttl: '1m', holder: 'ci-4711' });
  await server.enqueue('deploy/prod', { holder: 'ci-4712' });
  await server.enqueue('deploy/prod', { holder: 'ci-4713' });
  const waits = panel(page, 'Longest waits now');
  await waits.getByText('2 waiters, held by ci-4711').waitFor();
  await server.post('/v1/locks/deploy/prod/release', { lease_id: grant.lease_id });
  await waits.getByText('1 waiter, held by ci-4712').waitFor();
  await waits.getByRole('link', { name: 'deploy/prod' }).click();
  await page.getByRole('region', { name: 'Lock deploy/prod' }).waitFor();
});

browse('Contention counts a grant, a denial and a wait in a step of its own', { tokens: true }, async ({ server, open }) => {
  await server.acquire('a', { ttl: '1m' });
  await server.acquire('a', {}).catch(() => {});
  const page = await open({ hash: '#/contention', token: server.token });
  await until(async () => (await legend(page, 'Held locks').innerText()) === '1', 'step with a lock that is held');
  await panel(page, 'Busiest locks').getByText('1 grant', { exact: true }).waitFor();
  assert.equal(await legend(page, 'Refused').first().innerText(), '1');
});

browse('Contention draws an hour, and the arrow keys move through it', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/contention', token: server.token, init: [hour] });
  await page.locator('.plot canvas').nth(7).waitFor();
  assert.equal(await page.locator('.plot canvas').count(), 8);
  for (const canvas of await page.locator('.plot canvas').all()) assert.ok(await canvas.evaluate(drawn), 'a chart is empty');
  await page.getByText('Newest values').waitFor();
  const newest = await legend(page, 'Grants').first().innerText();
  await page.getByRole('region', { name: /^Charts/ }).focus();
  await page.keyboard.press('Shift+ArrowLeft');
  await page.getByText('Values at').waitFor();
  await page.keyboard.press('Escape');
  await page.getByText('Newest values').waitFor();
  assert.equal(await legend(page, 'Grants').first().innerText(), newest);
  await page.getByRole('button', { name: 'The last 10 min' }).click();
  assert.match(page.url(), /minutes=10$/);
  await page.locator('figure.chart', { hasText: 'Refused in 10 s' }).waitFor();
  await page.getByRole('button', { name: 'The last 1 h' }).click();
  await accessible(page);
});

browse('Contention shows the steps of a server whose clock was set back', {}, async ({ open }) => {
  const page = await open();
  const shown = await page.evaluate(async () => {
    const { merged } = await import(new URL('components.js', document.querySelector('script[type=module]').src));
    const at = (...times) => ({ buckets: times.map((t) => ({ at: `2026-01-01T${t}:00Z` })) });
    const events = [at('10:00', '10:01'), at('10:02'), at('08:58', '08:59', '09:00'), at('09:01')];
    return events.reduce((data, value) => merged(data, 'activity', value), {}).activity.buckets.map((b) => b.at.slice(11, 16));
  });
  assert.deepEqual(shown, ['08:58', '08:59', '09:00', '09:01']);
});

// drawn reports whether a canvas has lines in several colours, besides its background.
function drawn(canvas) {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) colours.add(`${data[i] >> 4},${data[i + 1] >> 4},${data[i + 2] >> 4}`);
  return colours.size > 2;
}

browse('Contention stands still while values change', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/contention', token: server.token });
  await page.locator('.plot canvas').nth(7).waitFor();
  await page.evaluate(() => {
    window.moved = [];
    const what = (s) => `${s.node?.nodeName}.${s.node?.className} from ${JSON.stringify(s.previousRect)} to ${JSON.stringify(s.currentRect)}`;
    new PerformanceObserver((list) => { for (const e of list.getEntries()) if (e.value >= 0.01) window.moved.push(`${e.value}: ${e.sources.map(what)}`); }).observe({ type: 'layout-shift' });
  });
  const boxes = () => page.evaluate(() => JSON.stringify([...document.querySelectorAll('.stat, .chart')].map((e) => { const { x, y, width, height } = e.getBoundingClientRect(); return [x, y, width, height]; })));
  const before = await boxes();
  for (let i = 0; i < 5; i += 1) {
    await server.acquire(`team/${i}`, { ttl: '1m' });
    await server.enqueue(`team/${i}`);
  }
  await panel(page, 'Longest waits now').getByText('team/4').waitFor();
  assert.equal(await boxes(), before);
  assert.deepEqual(await page.evaluate(() => window.moved), [], 'the page moved');
});

browse('Contention fits a phone, and the dark', { tokens: true }, async ({ server, open }) => {
  for (const how of [{ viewport: phone }, { dark: true }]) {
    const page = await open({ hash: '#/contention', token: server.token, init: [hour], ...how });
    await page.locator('.plot canvas').nth(7).waitFor();
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'it is wider than the screen');
    await accessible(page);
  }
});

browse('Contention keeps its colours readable when the theme changes', { tokens: true }, async ({ server, open }) => {
  const page = await open({ hash: '#/contention', token: server.token, init: [hour] });
  const ink = () => page.locator('.plot canvas').first().evaluate((canvas) => canvas.toDataURL());
  await page.locator('.plot canvas').nth(7).waitFor();
  const light = await ink();
  await page.getByRole('button', { name: 'Switch to dark' }).click();
  await until(async () => (await ink()) !== light, 'chart in the colours of the dark');
});
