import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { toMessage } from '../../../shared/queue/work-item.ts';
import { recordCallback } from '../../../shared/store/event-store.ts';
import { event } from '../../unit/core/samples.ts';
import { type OpsShop, openOpsShop } from './ops-shop.ts';

let on: OpsShop;
beforeEach(async () => {
  on = await openOpsShop();
});
afterEach(() => on.close());

/** More than the first pages that a listing holds at once. */
const stored = 1_200;

async function storeEvents(): Promise<void> {
  const evidence = { body: Buffer.from('{}'), headers: {}, path: '/callbacks/eiotclub' };
  for (let i = 0; i < stored; i++) {
    const eventId = `evt_${i.toString(16).padStart(32, '0')}`;
    const events = [event({ eventId, receivedAt: on.now(), occurredAt: on.now() })];
    await recordCallback(on.engines.table, { callbackId: `cbk_${i}`, evidence, events, now: on.now() });
  }
}

/** A Ctrl-C that the event loop delivers, as the system's signals are: with what it has come in the middle of. */
function interruptible() {
  const controller = new AbortController();
  let lines = 0;
  const hear = (): void => {
    if (lines === 0) setImmediate(() => controller.abort());
    lines += 1;
  };
  return { signal: controller.signal, hear, lines: () => lines };
}

describe('Ctrl-C', () => {
  // Found by trying: the embedded store never left the turn of the event loop, so an export could not be stopped.
  it('is heard in the middle of a long reading of the embedded store', async () => {
    await storeEvents();
    const { signal, hear, lines } = interruptible();
    const terminal = {
      write: async () => hear(),
      complain: () => undefined,
      colour: false,
      redraws: false,
      columns: null,
    };
    const said = await on.runIn({ signal, terminal }, 'export', '--since', '1d', '--what', 'events');
    expect(said.code).toBe(130);
    expect(lines()).toBeGreaterThan(0);
    expect(lines()).toBeLessThan(stored);
    const file = join(on.folder, 'x.ndjson');
    const whole = await on.run('export', '--since', '1d', '--what', 'events', '--out', file);
    expect(whole).toMatchObject({ code: 0 });
    expect(existsSync(file)).toBe(true);
  });

  it('is heard in the middle of a redrive that only drops', async () => {
    const dead = on.engines.deadLetters.get('events');
    for (let i = 0; i < 100; i++) {
      await dead?.send([toMessage({ kind: 'event', id: `evt_${i}`, correlationId: 'c' }, 'g')]);
    }
    const { signal, hear } = interruptible();
    const clock = () => {
      hear();
      return on.now();
    };
    const said = await on.runIn({ signal, clock }, 'dlq', 'redrive', 'events', '--drop-useless');
    expect(said.code).toBe(130);
    const left = (await dead?.depth())?.visible ?? 0;
    expect(left).toBeGreaterThan(0);
    expect(await on.run('dlq', 'redrive', 'events', '--drop-useless')).toMatchObject({ code: 0 });
    expect((await dead?.depth())?.visible).toBe(0);
  });
});
