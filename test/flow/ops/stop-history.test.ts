import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadHealth, loadSwitches, writeHealth } from '../../../shared/store/control-store.ts';
import { stopHistoryKey } from '../../../shared/store/item-layout.ts';
import { type OpsShop, openOpsShop } from './ops-shop.ts';

let on: OpsShop;
beforeEach(async () => {
  on = await openOpsShop();
});
afterEach(() => on.close());

describe('the history of stops', () => {
  it('says who paused and resumed what, when and why, newest first, also after it is over', async () => {
    expect((await on.run('stops', '--history')).out).toContain('nothing was ever paused');
    await on.run('pause', '--all', '--reason', 'prices are wrong', '--by', 'mary');
    on.clock.advance(60_000);
    await on.run('resume', '--all', '--reason', 'prices mended', '--by', 'john');
    await on.run('pause', '--rule', 'renew-low-data', '--reason', 'a test', '--by', 'ann');
    const { json } = await on.run('stops', '--history', '--json');
    expect(json).toMatchObject([
      { did: 'paused', what: 'rule renew-low-data', by: 'ann', reason: 'a test' },
      { did: 'resumed', what: 'everything', by: 'john', reason: 'prices mended' },
      { did: 'paused', what: 'everything', by: 'mary', at: '2026-01-14T12:00:00.000Z' },
    ]);
    expect((await on.run('stops', '--history', '--limit', '1', '--json')).json).toHaveLength(1);
    expect((await on.run('stops', '--history')).out).toMatch(/john +resumed +everything +prices mended/);
  });

  it('has nothing of a command that was refused', async () => {
    await on.run('resume', '--all', '--reason', 'nothing to resume');
    await on.run('pause', '--rule', 'nope', '--reason', 'a slip');
    expect((await on.run('stops', '--history', '--json')).json).toEqual([]);
  });

  it('keeps both of two operators at once', async () => {
    await Promise.all([
      on.run('pause', '--all', '--reason', 'says one', '--by', 'one'),
      on.run('pause', '--provider', 'eiotclub', '--reason', 'says two', '--by', 'two'),
    ]);
    const { json } = await on.run('stops', '--history', '--json');
    expect(json.map(({ by }) => by).toSorted()).toEqual(['one', 'two']);
    expect((await on.run('stops', '--json')).json).toHaveLength(2);
  });

  it('keeps nobody from stopping when it is damaged', async () => {
    await on.run('pause', '--rule', 'renew-low-data', '--reason', 'a test');
    const history = await on.engines.table.get(stopHistoryKey);
    if (history === null) throw new Error('there is a history');
    const damaged = { ...history, data: { changes: 'none' } };
    await on.engines.table.write([{ kind: 'replace', item: damaged, ifVersion: history.version }]);
    expect(await on.run('pause', '--all', '--reason', 'prices are wrong')).toMatchObject({ code: 0 });
    expect((await loadSwitches(on.engines.table)).value.all).toMatchObject({ reason: 'prices are wrong' });
    expect((await on.engines.table.get(stopHistoryKey))?.data).toEqual(damaged.data);
  });

  // Found while the history was written: the provider was freed, and the command said that it was refused.
  it('notes who let a provider go on that had stopped itself', async () => {
    const health = await loadHealth(on.engines.table, 'eiotclub');
    const stopped = { since: on.now(), code: '503', retryAt: on.now() };
    await writeHealth(on.engines.table, health, { ...health.value, refusalsInARow: 5, stopped });
    const freed = await on.run(
      'resume',
      '--provider',
      'eiotclub',
      '--reason',
      'wallet is full',
      '--by',
      'ann',
    );
    expect(freed).toMatchObject({ code: 0 });
    expect((await loadHealth(on.engines.table, 'eiotclub')).value.stopped).toBeNull();
    expect((await on.run('stops', '--history', '--json')).json).toMatchObject([
      { did: 'freed', what: 'provider eiotclub', by: 'ann', reason: 'wallet is full' },
    ]);
    const twice = await on.run('resume', '--provider', 'eiotclub', '--reason', 'once more');
    expect(twice).toMatchObject({ code: 4 });
  });
});
