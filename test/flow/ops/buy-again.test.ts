import { afterEach, describe, expect, it } from 'vitest';
import { loadAction } from '../../../shared/store/action-store.ts';
import { type OpsShop, type OpsShopOptions, openOpsShop } from './ops-shop.ts';

let shop: OpsShop | null = null;
const open = async (options: OpsShopOptions = {}): Promise<OpsShop> => {
  shop = await openOpsShop(options);
  return shop;
};
afterEach(async () => {
  await shop?.close();
  shop = null;
});

const iccid = '89852000263320817044';
const minute = 60_000;

/** A SIM whose package was renewed once; the id of that action. */
async function boughtOnce(on: OpsShop): Promise<string> {
  await on.alert(iccid);
  await on.pass(minute);
  const { json } = await on.run('actions', '--json');
  expect(json).toMatchObject([{ generation: 1, state: { name: 'succeeded' } }]);
  expect(on.bought(iccid)).toBe(1);
  return String(json[0]?.actionId);
}

describe('action buy-again', () => {
  it('buys a second time within the cool-down, with who and why on both, and proves it', async () => {
    const on = await open();
    const first = await boughtOnce(on);
    const said = await on.run(
      'action',
      'buy-again',
      first,
      '--reason',
      'two packages',
      '--by',
      'mary',
      '--json',
    );
    expect(said).toMatchObject({ code: 0, json: [{ generation: 2, state: { name: 'planned' } }] });
    const second = String(said.json[0]?.actionId);
    await on.pass(2 * minute);
    expect(on.bought(iccid)).toBe(2);
    const rows = await Promise.all([first, second].map((id) => loadAction(on.engines.table, id)));
    expect(rows.map((row) => row?.value.notes)).toMatchObject([
      [{ by: 'mary', did: `bought again as ${second}`, reason: 'two packages' }],
      [{ by: 'mary', did: `bought again after ${first}`, reason: 'two packages' }],
    ]);
    expect(rows.map((row) => row?.value.action.money.chargedMinor)).toEqual([500, 500]);
    const proof = await on.run('prove', second);
    expect(proof).toMatchObject({ code: 0 });
    expect(proof.out).toContain(`mary bought ${first} again: two packages`);
    expect((await on.run('audit')).code).toBe(0);
  });

  it('buys nothing when the command is repeated, and a third only of the second', async () => {
    const on = await open();
    const first = await boughtOnce(on);
    const made = await on.run('action', 'buy-again', first, '--reason', 'once more', '--json');
    const second = String(made.json[0]?.actionId);
    for (const state of ['planned', 'succeeded']) {
      const repeated = await on.run('action', 'buy-again', first, '--reason', 'once more');
      expect(repeated.code).toBe(4);
      expect(repeated.err).toContain(`was bought again already: ${second}, which is ${state}`);
      await on.pass(2 * minute);
      expect(on.bought(iccid)).toBe(2);
    }
    expect(await on.run('action', 'buy-again', second, '--reason', 'a third')).toMatchObject({ code: 0 });
    await on.pass(2 * minute);
    expect(on.bought(iccid)).toBe(3);
  });

  it('gives one purchase to two operators at once', async () => {
    const on = await open();
    const first = await boughtOnce(on);
    const both = await Promise.all([
      on.run('action', 'buy-again', first, '--reason', 'says one', '--by', 'one'),
      on.run('action', 'buy-again', first, '--reason', 'says two', '--by', 'two'),
    ]);
    expect(both.map(({ code }) => code).toSorted()).toEqual([0, 4]);
    expect(
      both
        .find(({ code }) => code === 4)
        ?.err.trim()
        .split('\n'),
    ).toHaveLength(1);
    await on.pass(2 * minute);
    expect(on.bought(iccid)).toBe(2);
    expect((await on.run('actions', '--json')).json).toHaveLength(2);
  });

  it('is kept back by a cap, and by nothing but a cap', async () => {
    const on = await open({ eiotclub: { caps: { provider: { day: '5.00 USD' } } } });
    const first = await boughtOnce(on);
    expect(await on.run('action', 'buy-again', first, '--reason', 'over the cap')).toMatchObject({ code: 0 });
    await on.pass(2 * minute);
    expect(on.bought(iccid)).toBe(1);
    expect((await on.run('actions', '--json', '--state', 'parked')).json).toMatchObject([
      { generation: 2, state: { reason: 'cap-exceeded' } },
    ]);
  });

  it('is not made again by a replay of the event', async () => {
    const on = await open();
    const first = await boughtOnce(on);
    await on.run('action', 'buy-again', first, '--reason', 'once more');
    await on.pass(2 * minute);
    await on.pass(13 * 60 * minute, 60 * minute);
    expect(await on.run('replay', '--since', '1d', '--execute')).toMatchObject({ code: 0 });
    await on.pass(2 * minute);
    expect(on.bought(iccid)).toBe(2);
  });
});
