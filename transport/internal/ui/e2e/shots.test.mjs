// Pictures of the screens for the documents, with the same content at each run as far as that goes:
// make e2e SHOTS=1 writes them. The other specs take theirs beside what they test.

import { browse, phone, shot, until } from './harness.mjs';
import { hour } from './hour.mjs';
import { ticket, withPolicies } from './policies.mjs';

const policies = [ticket, { ...ticket, name: 'ticket-everywhere', match: ['**'], mode: 'shadow' }];

// work is what some jobs do in a minute.
async function work(server) {
  const [ci, alice] = [await server.newToken('ci', 'acquire:**'), await server.newToken('alice', 'acquire,break:**')];
  const lease = async (name, token, params) => ({ name, token, ...(await server.acquire(name, { ttl: '5m', ...params }, { token })) });
  const done = ({ name, token, lease_id: id }) => server.post(`/v1/locks/${name}/release`, { lease_id: id }, { token });
  const ticketed = { metadata: { ticket: 'OPS-7' } };
  for (let i = 0; i < 40; i += 1) await done(await lease(`deploy/canary/${i % 4}`, ci, { holder: 'ci-4700', ...ticketed }));
  await done(await lease('nightly/report', ci, { holder: 'cron', reason: 'November' }));
  await done(await lease('deploy/prod/web', ci, { holder: 'ci-4708', reason: 'hotfix 7.4.2', ...ticketed }));
  await server.acquire('deploy/prod/web', { holder: 'ci-4709' }, { token: ci }).catch(() => {});
  await lease('terraform/network/eu-central-1', alice, { holder: 'alice@laptop', reason: 'plan 118' });
  await lease('db/migrate/orders', ci, { holder: 'flyway@runner-3', reason: 'add an index' });
  await server.post('/v1/locks/db/migrate/orders/break', { reason: 'runner-3 is gone' }, { token: alice });
  await done(await lease('db/migrate/orders', ci, { holder: 'flyway@runner-9', reason: 'add an index' }));
  await lease('ci/e2e/browser-farm', ci, { holder: 'e2e-3' });
  await lease('deploy/prod/api', ci, { holder: 'ci-4711', reason: 'rollout 2026.48', ...ticketed });
  await server.enqueue('deploy/prod/api', { holder: 'ci-4712', ...ticketed }, { token: ci });
}

browse('Shots of all screens', withPolicies(policies, { tokens: true, settings: { OCTOSTORE_AUDIT_LEVEL: 'all' } }), async ({ server, open, t }) => {
  if (!process.env.SHOTS) return t.skip('SHOTS=1 takes them');
  await work(server);
  const take = async (name, hash, ready, how = {}) => {
    const page = await open({ hash, token: server.token, init: [hour], ...how });
    await ready(page);
    await shot(page, name);
  };
  const charts = (page) => page.locator('.plot canvas').nth(7).waitFor();
  const records = (page) => page.locator('.records tbody tr').nth(20).waitFor();
  await take('contention', '#/contention', charts);
  await take('contention-dark', '#/contention', charts, { dark: true });
  await take('contention-phone', '#/contention', charts, { viewport: phone });
  await take('audit', '#/audit', records, { viewport: { width: 1280, height: 680 } }); // fewer rows make a smaller file
  await take('policies', '#/policies', async (page) => {
    await page.getByLabel('Account').fill('ci');
    await page.getByLabel('Lock', { exact: true }).fill('deploy/prod/web');
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText('Denied by ticket').waitFor();
  });
  await take('server', '#/server', async (page) => {
    await page.locator('.stat', { hasText: 'Status' }).getByText('in order').waitFor();
    await until(async () => !(await page.locator('.stat', { hasText: 'Commits' }).innerText()).includes('–'), 'commit');
  });
});
