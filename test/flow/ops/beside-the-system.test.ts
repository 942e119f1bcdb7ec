import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announceRunning } from '../../../infra/local/running-system.ts';
import { type OpsShop, openOpsShop } from './ops-shop.ts';

let on: OpsShop;
beforeEach(async () => {
  on = await openOpsShop();
});
afterEach(() => on.close());

const minute = 60_000;

describe('the command line beside a running system', () => {
  it('sends where the system of the data folder listens, and asks its simulator', async () => {
    announceRunning(on.folder, { pid: process.pid, url: on.front.url, simulatorUrl: on.simulator.url });
    const said = await on.run('send', 'eiotclub', 'FlowAlert', '--json');
    expect(said).toMatchObject({ code: 0, json: [{ url: `${on.front.url}/callbacks/eiotclub` }] });
    await on.pass(minute);
    const doctor = await on.run('doctor', '--json');
    expect(doctor).toMatchObject({ code: 0 });
    expect(doctor.json).toContainEqual(expect.objectContaining({ check: 'system', result: 'good' }));
    const elsewhere = 'http://127.0.0.1:2';
    announceRunning(on.folder, { pid: process.pid, url: on.front.url, simulatorUrl: elsewhere });
    const ill = await on.run('doctor', '--json');
    expect(ill.json).toContainEqual(expect.objectContaining({ check: 'provider', result: 'bad' }));
  });

  it('says in one line that the system crashed', async () => {
    // No process of this machine has this number. Source: proc(5), pid_max: at most 2^22.
    announceRunning(on.folder, { pid: 2 ** 22 + 1, url: on.front.url, simulatorUrl: null });
    const said = await on.run('send', 'eiotclub', 'FlowAlert');
    expect(said.code).toBe(5);
    expect(said.err).toMatch(
      /^simhook: the system of \S+ ended without saying so .* npm start, or .* --url\n$/,
    );
    expect(await on.run('send', 'eiotclub', 'FlowAlert', '--url', on.front.url)).toMatchObject({ code: 0 });
    const doctor = await on.run('doctor', '--json');
    expect(doctor.code).toBe(1);
    expect(doctor.json).toContainEqual(expect.objectContaining({ check: 'system', result: 'bad' }));
  });

  it('says when reconciliation last got round, and when it has stopped', async () => {
    const passes = async () =>
      (await on.run('doctor', '--no-probe', '--json')).json.find(({ check }) => check === 'reconcile');
    expect(await passes()).toMatchObject({ result: 'good', detail: 'last whole pass: eiotclub not yet' });
    await on.system.reconcile();
    on.clock.advance(5 * minute);
    expect(await passes()).toMatchObject({ result: 'good', detail: 'last whole pass: eiotclub 5 min ago' });
    on.clock.advance(25 * 60 * minute);
    expect(await passes()).toMatchObject({ result: 'note' });
  });

  // Found in the day at work: a busy simhook made doctor say that the provider was down.
  it('waits for a slot of the account before it asks, and blames nobody when there is none', async () => {
    const perSec = 10;
    for (let i = 0; i < perSec; i++) expect(await on.run('doctor')).toMatchObject({ code: 0 });
    const busy = await on.run('doctor', '--json');
    expect(busy).toMatchObject({ code: 0 });
    expect(busy.json).toContainEqual(
      expect.objectContaining({ result: 'note', detail: expect.stringContaining('simhook itself is busy') }),
    );
    const sleep = async (ms: number): Promise<void> => on.clock.advance(ms);
    const patient = await on.runIn({ sleep }, 'doctor', '--json');
    expect(patient.json).toContainEqual(
      expect.objectContaining({
        check: 'provider',
        result: 'good',
        detail: expect.stringContaining('balance'),
      }),
    );
  });
});
