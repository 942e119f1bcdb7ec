import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { toMessage } from '../../../shared/queue/work-item.ts';
import { loadAction, loadCapSums } from '../../../shared/store/action-store.ts';
import { listEvents } from '../../../shared/store/event-listing.ts';
import { type OpsShop, type OpsShopOptions, openOpsShop, stageInput, start } from './ops-shop.ts';

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
const hour = 60 * minute;

/** The id of the only action that a choice lists. */
async function onlyAction(on: OpsShop, ...choice: string[]): Promise<string> {
  const { json } = await on.run('actions', '--json', ...choice);
  expect(json).toHaveLength(1);
  return String(json[0]?.actionId);
}

/** A purchase whose answer is lost while the provider's records can't be read for a day: parked, in doubt. */
async function parkInDoubt(on: OpsShop, bought: boolean): Promise<string> {
  on.simulator.addSim({
    provider: 'eiotclub',
    simId: iccid,
    packages: [{ code: 'PKG001', state: 'active' }],
  });
  on.simulator.callbacks.setUrl('eiotclub', null);
  const isOrder = (path: string) => path.includes('orderPackage');
  on.simulator.faults.add({ match: { path: /orderPackage/ }, fault: { kind: 'drop', commit: bought } });
  const alert = await on.run('send', 'eiotclub', 'FlowAlert', `iccid=${iccid}`, '--url', on.front.url);
  expect(alert.code).toBe(0);
  await on.system.drain();
  const down = on.simulator.faults.add({
    match: (request) => !isOrder(request.path),
    times: Number.POSITIVE_INFINITY,
    fault: { kind: 'http-error', status: 503, commit: false },
  });
  await on.pass(30 * hour, hour);
  down.remove();
  const id = await onlyAction(on, '--state', 'parked');
  expect((await loadAction(on.engines.table, id))?.value.action.state).toMatchObject({
    name: 'parked',
    reason: 'cannot-verify',
    mayHaveBought: true,
  });
  return id;
}

describe('callbacks', () => {
  it('sends a signed callback that is stored, judged and bought, and shows it everywhere', async () => {
    const on = await open();
    const sent = await on.run(
      'send',
      'eiotclub',
      'FlowAlert',
      `iccid=${iccid}`,
      'alert_type=2',
      '--url',
      on.front.url,
    );
    expect(sent).toMatchObject({ code: 0, err: '' });
    await on.pass(minute);
    expect(on.bought(iccid)).toBe(1);
    const events = await on.run('events', '--json', '--kind', 'usage-alert');
    expect(events.json).toMatchObject([
      { state: 'decided', facts: { alert: 'low-data-percent' }, subject: { simId: iccid } },
    ]);
    const eventId = String(events.json[0]?.eventId);
    const raw = await on.run('event', 'show', eventId, '--raw');
    expect(raw.out).toContain('"alert_type":2');
    const sim = await on.run('sim', 'show', iccid);
    expect(sim.out).toMatch(
      /callback[\s\S]*decision[\s\S]*reserved[\s\S]*purchase 1: succeeded[\s\S]*charged/,
    );
    expect(sim.out).toContain('●');
  });

  it('counts the same SIM under another spelling of its number', async () => {
    const on = await open();
    await on.run('send', 'eiotclub', 'FlowAlert', `iccid=${iccid}`, '--url', on.front.url);
    await on.pass(minute);
    const shorter = await on.run('sim', 'show', '8985-2000 2633 2081 7044F', '--json');
    expect(shorter.json[0]).toMatchObject({ sim: 'eiotclub:iccid:8985200026332081704' });
  });

  it('explains a forged callback without showing the secret, and a good one', async () => {
    const on = await open();
    const forged = await on.run('send', 'eiotclub', 'FlowAlert', '--forged', '--print');
    const file = join(on.folder, 'forged.http');
    writeFileSync(file, forged.out);
    const explained = await on.run('explain', file);
    expect(explained.code).toBe(1);
    expect(explained.out).toContain('wrong-signature');
    expect(explained.out).toContain('<secret>');
    const good = await on.run('send', 'eiotclub', 'FlowAlert', '--print');
    const fine = await on.runIn({ readStdin: async () => Buffer.from(good.out) }, 'explain', '-');
    expect(fine).toMatchObject({ code: 0 });
    const { callback } = stageInput('http://h').providers.eiotclub?.secrets ?? {};
    const secret = String(callback?.[0]?.value);
    for (const said of [explained, fine, forged, good]) expect(said.out + said.err).not.toContain(secret);
  });

  it('names the likely cause of a body that was changed on the way', async () => {
    const on = await open();
    const { json } = await on.run('send', 'eiotclub', 'FlowAlert', '--print', '--json');
    const body = String(json[0]?.body).replace('{', '{"added":"x",');
    const file = join(on.folder, 'body.json');
    writeFileSync(file, body);
    const { out } = await on.run('explain', '--provider', 'eiotclub', '--body', file);
    expect(out).toContain('did not sign the member "added"');
  });

  it('refuses forged ones at the front, and says when one got through', async () => {
    const on = await open();
    const said = await on.run(
      'send',
      'eiotclub',
      'FlowAlert',
      '--forged',
      '--count',
      '3',
      '--url',
      on.front.url,
      '--json',
    );
    expect(said).toMatchObject({ code: 0, json: [{ answers: [{ status: 401, count: 3 }] }] });
    const none = await on.run('events');
    expect(none).toMatchObject({ code: 0, out: '' });
    expect(none.err).toContain('no events');
  });

  it('repeats byte for byte, which is stored once, and sends late ones that are judged by their own time', async () => {
    const on = await open();
    await on.run('send', 'eiotclub', 'FlowAlert', `iccid=${iccid}`, '--repeat', '3', '--url', on.front.url);
    await on.run('send', 'eiotclub', 'CardStopped', '--late', '2h', '--url', on.front.url);
    await on.pass(minute);
    const alerts = await on.run('events', '--json', '--kind', 'usage-alert');
    expect(alerts.json).toHaveLength(1);
    const late = await on.run('events', '--json', '--kind', 'card-stopped');
    expect(late.json[0]).toMatchObject({ occurredAt: new Date(start - 2 * hour).toISOString() });
    expect(on.bought(iccid)).toBe(1);
  });

  it('ends with one line and code 5 when nobody listens', async () => {
    const on = await open();
    await on.front.close();
    const said = await on.run('send', 'eiotclub', 'FlowAlert', '--url', on.front.url);
    expect(said.code).toBe(5);
    expect(said.err).toMatch(/does not answer \(ECONNREFUSED\).*npm start/);
  });

  it('follows new events until Ctrl-C, each once', async () => {
    const on = await open();
    const interrupted = new AbortController();
    let looks = 0;
    const said = await on.runIn(
      {
        signal: interrupted.signal,
        sleep: async () => {
          looks += 1;
          if (looks <= 2) await on.alert(`8985200026332081${1000 + looks}`);
          else interrupted.abort();
        },
      },
      'events',
      '--follow',
      '--json',
    );
    expect(said.code).toBe(130);
    expect(said.json).toHaveLength(2);
  });
});

describe('a parked purchase', () => {
  it('is resolved as bought: the order is tied, the reservation becomes the charge, who and why are kept', async () => {
    const on = await open();
    const id = await parkInDoubt(on, true);
    const [order] = on.simulator.orders({ simId: iccid });
    for (const verb of ['retry', 'cancel'] as const) {
      const refused = await on.run('action', verb, id, '--reason', 'try it');
      expect(refused.code).toBe(4);
      expect(refused.err).toContain("provider's own records");
    }
    const early = await on.run(
      'action',
      'resolve',
      id,
      '--bought',
      'x',
      '--charge',
      '5.00 CNY',
      '--reason',
      'seen',
    );
    expect(early).toMatchObject({ code: 4 });
    const done = await on.run(
      'action',
      'resolve',
      id,
      '--bought',
      String(order?.orderId),
      '--charge',
      '4.50 USD',
      '--reason',
      'found in the console',
      '--by',
      'mary',
    );
    expect(done).toMatchObject({ code: 0 });
    const row = await loadAction(on.engines.table, id);
    expect(row?.value.action).toMatchObject({
      state: { name: 'succeeded', providerOrderId: order?.orderId, adopted: true },
      money: { reservedMinor: 0, chargedMinor: 450 },
    });
    expect(row?.value.notes).toMatchObject([{ by: 'mary', reason: 'found in the console' }]);
    expect(await loadCapSums(on.engines.table, 'eiotclub', '2026-01')).toMatchObject({ total: 450 });
    const proof = await on.run('prove', id);
    expect(proof).toMatchObject({ code: 0 });
    expect(proof.out).toContain('mary');
    expect(on.bought(iccid)).toBe(1);
    const again = await on.run('action', 'resolve', id, '--not-bought', '--reason', 'second thoughts');
    expect(again).toMatchObject({ code: 4 });
  });

  it('is resolved as not bought, retried, and bought once', async () => {
    const on = await open();
    const id = await parkInDoubt(on, false);
    expect(on.bought(iccid)).toBe(0);
    const resolved = await on.run('action', 'resolve', id, '--not-bought', '--reason', 'no such order there');
    expect(resolved).toMatchObject({ code: 0 });
    expect((await loadAction(on.engines.table, id))?.value.action).toMatchObject({
      state: { name: 'parked', mayHaveBought: false },
      money: { reservedMinor: 0, chargedMinor: 0 },
    });
    const retried = await on.run('action', 'retry', id, '--reason', 'the customer waits');
    expect(retried).toMatchObject({ code: 0 });
    await on.pass(2 * minute);
    expect((await loadAction(on.engines.table, id))?.value.action.state.name).toBe('succeeded');
    expect(on.bought(iccid)).toBe(1);
    const shown = await on.run('action', 'show', id);
    expect(shown.out).toMatch(/operator resolved as not bought[\s\S]*operator retried: the customer waits/);
  });

  it('tells the second of two operators that the first one was faster', async () => {
    const on = await open({ rule: { approval: true } });
    await on.alert(iccid);
    await on.system.drain();
    const id = await onlyAction(on, '--state', 'held');
    const both = await Promise.all([
      on.run('action', 'approve', id, '--reason', 'first of two'),
      on.run('action', 'cancel', id, '--reason', 'second of two'),
    ]);
    expect(both.map(({ code }) => code).toSorted()).toEqual([0, 4]);
    const loser = both.find(({ code }) => code === 4);
    expect(loser?.err.trim().split('\n')).toHaveLength(1);
    expect((await loadAction(on.engines.table, id))?.value.notes).toHaveLength(1);
  });

  it('goes on when a held one is approved, and never when it is cancelled', async () => {
    const on = await open({ rule: { approval: true } });
    await on.alert(iccid);
    await on.system.drain();
    const id = await onlyAction(on, '--state', 'waiting');
    expect(on.bought(iccid)).toBe(0);
    expect(await on.run('action', 'approve', id, '--reason', 'fine')).toMatchObject({ code: 0 });
    await on.pass(minute);
    expect(on.bought(iccid)).toBe(1);
    const other = '89852000263320817051';
    await on.alert(other);
    await on.system.drain();
    const second = await onlyAction(on, '--state', 'held');
    expect(await on.run('action', 'cancel', second, '--reason', 'not wanted')).toMatchObject({ code: 0 });
    expect(await on.run('action', 'approve', second, '--reason', 'too late')).toMatchObject({ code: 4 });
    await on.pass(5 * minute);
    expect(on.bought(other)).toBe(0);
  });
});

describe('dead letters', () => {
  it('are listed with the cause without being hidden, and redriven: open work goes back, done work is dropped', async () => {
    const on = await open();
    await on.alert(iccid);
    // The message never comes through: five deliveries fail, then it is a dead letter.
    for (let i = 0; i < 6; i++) {
      await on.engines.events.receive(10);
      on.clock.advance(4 * minute);
    }
    const listed = await on.run('dlq', 'list', 'events', '--json');
    expect(listed.json).toMatchObject([{ verdict: 'open', item: { kind: 'event' } }]);
    const again = await on.run('dlq', 'list', 'events', '--json');
    expect(again.json).toHaveLength(1);
    const shown = await on.run('dlq', 'show', 'events', String(listed.json[0]?.messageId));
    expect(shown.out).toContain('is not decided');
    const dry = await on.run('dlq', 'redrive', '--dry-run', '--json');
    expect(dry.json[0]).toMatchObject({ queue: 'events', outcomes: { 'sent back: open': 1 } });
    expect((await on.engines.events.depth()).visible).toBe(0);
    const done = await on.run('dlq', 'redrive', 'events', '--json');
    expect(done.json[0]).toMatchObject({ outcomes: { 'sent back: open': 1 } });
    await on.pass(minute);
    expect(on.bought(iccid)).toBe(1);
    expect((await on.run('dlq', 'list', 'events', '--json')).json).toEqual([]);
  });

  it('whose work is done are dropped; those that name nothing of ours stay unless told otherwise', async () => {
    const on = await open();
    await on.alert(iccid);
    await on.pass(minute);
    const dead = on.engines.deadLetters.get('events');
    const [event] = (await on.run('events', '--json', '--kind', 'usage-alert')).json;
    const id = String(event?.eventId);
    await dead?.send([
      toMessage({ kind: 'event', id, correlationId: 'c' }, 'g'),
      toMessage({ kind: 'event', id: 'evt_00000000', correlationId: 'c' }, 'g'),
      { body: 'no work item', groupId: 'g', delaySec: 0 },
    ]);
    const first = await on.run('dlq', 'redrive', 'events', '--json');
    expect(first.json[0]).toMatchObject({
      outcomes: { 'dropped: done': 1, 'left: unknown-work': 1, 'left: unreadable': 1 },
    });
    const second = await on.run(
      'dlq',
      'redrive',
      'events',
      '--drop-useless',
      '--only',
      'unreadable',
      '--json',
    );
    expect(second.json[0]).toMatchObject({ outcomes: { 'dropped: unreadable': 1, 'left: unknown-work': 1 } });
    expect((await dead?.depth())?.visible).toBe(1);
    expect(on.bought(iccid)).toBe(1);
  });

  it('stay where they are when a redrive is interrupted, and go on when it is run again', async () => {
    const on = await open();
    const dead = on.engines.deadLetters.get('events');
    for (let i = 0; i < 25; i++) await on.alert(`89852000263320${String(810_000 + i)}`);
    const ids: string[] = [];
    for await (const { value } of listEvents(
      on.engines.table,
      { from: on.now(), to: on.now() },
      'oldest-first',
    )) {
      ids.push(value.event.eventId);
    }
    expect(ids).toHaveLength(25);
    // The hints never arrived.
    for (let i = 0; i < 3; i++) {
      await on.engines.events.acknowledge(
        (await on.engines.events.receive(10)).map(({ receipt }) => receipt),
      );
    }
    for (const id of ids) await dead?.send([toMessage({ kind: 'event', id, correlationId: 'c' }, id)]);
    const interrupted = new AbortController();
    const sleeps: number[] = [];
    const first = await on.runIn(
      {
        signal: interrupted.signal,
        sleep: async (ms) => {
          sleeps.push(ms);
          interrupted.abort();
        },
      },
      'dlq',
      'redrive',
      'events',
      '--rate',
      '5',
    );
    expect(first.code).toBe(130);
    expect(sleeps).toEqual([2_000]);
    expect((await dead?.depth())?.visible).toBe(15);
    expect((await on.engines.events.depth()).visible).toBe(10);
    expect(await on.run('dlq', 'redrive', 'events')).toMatchObject({ code: 0 });
    expect((await dead?.depth())?.visible).toBe(0);
    expect((await on.engines.events.depth()).visible).toBe(25);
  });
});

describe('replay', () => {
  it('of what is done buys nothing again, dry or executed', async () => {
    const on = await open();
    await on.alert(iccid);
    await on.pass(minute);
    expect(on.bought(iccid)).toBe(1);
    const dry = await on.run('replay', '--since', '1h', '--json');
    expect(dry.json[0]).toMatchObject({ mode: 'dry run', spendAtMost: [] });
    expect(dry.json[0]?.outcomes).toMatchObject({ 'already decided: its action exists': 1 });
    await on.pass(13 * hour, hour);
    const done = await on.run('replay', '--since', '1d', '--execute', '--json');
    expect(done).toMatchObject({ code: 0 });
    expect(done.json[0]?.outcomes).toMatchObject({ 'already decided: its action exists': 1 });
    await on.pass(10 * minute);
    expect(on.bought(iccid)).toBe(1);
    expect((await on.run('actions', '--json')).json).toHaveLength(1);
  });

  it('decides anew what a rule did not speak for then: as many as the dry run said, at most what it said', async () => {
    const on = await open({ rule: { enabled: false } });
    const sims = Array.from({ length: 4 }, (_, i) => `8985200026332081${1000 + i}`);
    for (const sim of sims) await on.alert(sim);
    await on.alert(String(sims[0]));
    await on.pass(minute);
    expect(on.simulator.orders()).toHaveLength(0);
    writeFileSync(on.stageFile, JSON.stringify(stageInput(on.simulator.url)));
    const dry = await on.run('replay', '--since', '1h', '--json');
    expect(dry.json[0]).toMatchObject({
      outcomes: { 'decided anew: acts': 4, 'blocked: cooling-down': 1 },
      spendAtMost: [{ amountMinor: 2_000, currency: 'USD' }],
    });
    expect((await on.run('actions', '--json')).json).toHaveLength(0);
    const done = await on.run('replay', '--since', '1h', '--execute', '--json');
    expect(done.json[0]).toMatchObject({ mode: 'executed', spendAtMost: [{ amountMinor: 2_000 }] });
    const twice = await on.run('replay', '--since', '1h', '--execute', '--json');
    expect(twice.json[0]).toMatchObject({ spendAtMost: [] });
    expect((await on.run('actions', '--json')).json).toHaveLength(4);
  });

  it('acts on what receive had decided, once a rule speaks for it', async () => {
    const on = await open({ rule: { when: { kind: 'usage-alert', alerts: ['expiring'] } } });
    await on.alert(iccid);
    expect(await on.engines.events.depth()).toMatchObject({ visible: 0, inFlight: 0 });
    const [event] = (await on.run('events', '--json')).json;
    expect(event).toMatchObject({
      state: 'decided',
      decisions: [{ verdicts: [{ reason: 'no-match', detail: 'alert is low-data' }] }],
    });
    await on.pass(10 * minute);
    expect(await on.run('replay', '--state', 'recorded', '--since', '1h')).toMatchObject({ code: 3 });
    await on.restage({});
    const dry = await on.run('replay', '--since', '1h', '--json');
    expect(dry.json[0]).toMatchObject({ outcomes: { 'decided anew: acts': 1 } });
    const done = await on.run('replay', '--since', '1h', '--execute', '--json');
    expect(done.json[0]).toMatchObject({ outcomes: { 'decided anew: acts': 1 } });
    await on.pass(minute);
    expect(on.bought(iccid)).toBe(1);
    const shown = await on.run('event', 'show', String(event?.eventId), '--json');
    expect(shown.json[0]).toMatchObject({ decisions: [{}, { verdicts: [{ verdict: 'act' }] }] });
  });

  it('says in one line that a range is empty', async () => {
    const on = await open();
    const said = await on.run('replay', '--since', '2026-01-01', '--until', '2026-01-02');
    expect(said.code).toBe(3);
    expect(said.err.trim()).toContain('no events from 2026-01-01');
  });
});

describe('stops', () => {
  it('stop buying at the next claim, lose nothing, and let it go on', async () => {
    const on = await open();
    expect(await on.run('pause', '--rule', 'renew-low-data', '--reason', 'prices are wrong')).toMatchObject({
      code: 0,
    });
    expect((await on.run('stops')).out).toContain('rule renew-low-data since');
    await on.alert(iccid);
    await on.pass(20 * minute);
    expect(on.bought(iccid)).toBe(0);
    const [waiting] = (await on.run('actions', '--json', '--state', 'open')).json;
    expect(waiting).toMatchObject({ state: { name: 'planned' } });
    expect(await on.run('resume', '--all', '--reason', 'wrong one')).toMatchObject({ code: 4 });
    expect(await on.run('resume', '--rule', 'renew-low-data', '--reason', 'mended')).toMatchObject({
      code: 0,
    });
    await on.pass(3 * minute);
    expect(on.bought(iccid)).toBe(1);
    expect((await on.run('stops')).out).toContain('nothing is paused');
  });

  it.each([
    [['pause', '--reason', 'abc'], 2, 'exactly one of'],
    [['pause', '--all', '--provider', 'eiotclub', '--reason', 'abc'], 2, 'exactly one of'],
    [['pause', '--rule', 'renw', '--reason', 'abc'], 3, 'it has renew-low-data'],
    [['pause', '--all'], 2, '--reason'],
    [['pause', '--all', '--reason', ' '], 2, 'must say why'],
  ] as const)('refuses %j', async (argv, code, text) => {
    const on = await open();
    const said = await on.run(...argv);
    expect(said.code).toBe(code);
    expect(said.err).toContain(text);
  });
});

describe('looking back', () => {
  it('exports every event and action as NDJSON, with attempts and ledger, whole or not at all', async () => {
    const on = await open();
    await on.alert(iccid);
    await on.pass(minute);
    const file = join(on.folder, 'books.ndjson');
    expect(await on.run('export', '--out', file, '--evidence')).toMatchObject({ code: 0, out: '' });
    const rows = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line): Record<string, unknown> => JSON.parse(line));
    expect(rows.filter(({ type }) => type === 'event').length).toBeGreaterThanOrEqual(2);
    expect(rows.filter(({ type }) => type === 'action')).toMatchObject([
      {
        attemptLog: [{ kind: 'purchase', result: 'succeeded' }],
        ledger: [{ kind: 'reserved' }, { kind: 'charged' }],
      },
    ]);
    expect(rows[0]).toMatchObject({ evidence: { isBase64: false } });
    const interrupted = new AbortController();
    interrupted.abort();
    const other = join(on.folder, 'other.ndjson');
    expect(await on.runIn({ signal: interrupted.signal }, 'export', '--out', other)).toMatchObject({
      code: 130,
    });
    expect(() => readFileSync(other)).toThrow('ENOENT');
    expect(() => readFileSync(`${other}.part`)).toThrow('ENOENT');
  });

  it('proves a purchase link by link, and finds a row that was tampered with', async () => {
    const on = await open();
    await on.alert(iccid);
    await on.pass(minute);
    const id = await onlyAction(on);
    const proof = await on.run('prove', id, '--json');
    expect(proof.code).toBe(0);
    const checks = proof.json[0]?.checks;
    expect(checks).toHaveLength(8);
    expect(checks).not.toContainEqual(expect.objectContaining({ result: 'broken' }));
    expect(checks).not.toContainEqual(expect.objectContaining({ result: 'unknown' }));
    const key = { pk: `ACTION#${id}`, sk: 'ACTION' };
    const item = await on.engines.table.get(key);
    if (item === null) throw new Error('the action is gone');
    const forged = JSON.parse(JSON.stringify(item.data).replaceAll('"amountMinor":500', '"amountMinor":400'));
    await on.engines.table.write([
      { kind: 'replace', item: { ...item, data: forged }, ifVersion: item.version },
    ]);
    const broken = await on.run('prove', id);
    expect(broken.code).toBe(1);
    expect(broken.err).toContain('broken: ledger');
  });

  it('adds up what was spent against the caps', async () => {
    const on = await open({ eiotclub: { caps: { provider: { day: '10.00 USD' } } } });
    await on.alert(iccid);
    await on.pass(minute);
    const said = await on.run('spend', '--json');
    expect(said.json).toContainEqual(
      expect.objectContaining({
        type: 'spend',
        ruleId: 'renew-low-data',
        purchases: 1,
        charged: expect.objectContaining({ amountMinor: 500 }),
      }),
    );
    expect(said.json).toContainEqual(
      expect.objectContaining({
        type: 'cap',
        who: 'eiotclub',
        period: '2026-01-14',
        usedMinor: 500,
        atMostMinor: 1_000,
      }),
    );
    expect((await on.run('spend')).out).toContain('50 %');
  });

  it('backtests other rules beside what really happened, and shows the difference', async () => {
    const on = await open();
    for (let i = 0; i < 3; i++) await on.alert(`8985200026332081${1000 + i}`);
    await on.pass(minute);
    expect(on.simulator.orders()).toHaveLength(3);
    const next = join(on.folder, 'next.json');
    const changed = stageInput(on.simulator.url, {
      rule: { id: 'renew-some', maxCost: '4.00 USD' },
      eiotclub: { caps: { provider: { day: '8.00 USD' } } },
    });
    writeFileSync(next, JSON.stringify(changed));
    const said = await on.run('backtest', '--rules', next, '--since', '1d', '--json', '--list');
    const summary = said.json.at(-1);
    expect(summary?.rules).toMatchObject([
      {
        ruleId: 'renew-some',
        would: { count: 2, cost: { amountMinor: 800 } },
        stopped: 1,
        real: { count: 0 },
      },
      { ruleId: 'renew-low-data', would: { count: 0 }, real: { count: 3, charged: { amountMinor: 1_500 } } },
    ]);
    expect(said.json.filter(({ type }) => type === 'would-buy')).toHaveLength(2);
    const diff = await on.run('diff', '--rules', next, '--since', '1d', '--json');
    expect(diff.json.at(-1)).toMatchObject({ same: 0, different: 3, onlyNow: 1, onlyThen: 0 });
    const none = await on.run('diff', '--rules', on.stageFile, '--since', '1d', '--json');
    expect(none.json).toMatchObject([{ type: 'summary', same: 3, different: 0 }]);
  });

  it('examines a healthy system, and names each thing that is wrong', async () => {
    const on = await open();
    await on.alert(iccid);
    await on.pass(minute);
    const fine = await on.run('doctor', '--json');
    expect(fine).toMatchObject({ code: 0 });
    expect(fine.json).not.toContainEqual(expect.objectContaining({ result: 'bad' }));
    expect(fine.json).toContainEqual(expect.objectContaining({ check: 'provider', result: 'good' }));
    on.simulator.setReachable(false);
    await on.engines.deadLetters.get('events')?.send([{ body: 'x', groupId: 'g', delaySec: 0 }]);
    await on.alert('89852000263320817051');
    on.clock.advance(20 * minute);
    const ill = await on.run('doctor', '--json');
    expect(ill.code).toBe(1);
    const wrong = ill.json.filter(({ result }) => result === 'bad').map(({ check }) => check);
    expect(wrong).toEqual(['dead letters', 'sweep', 'provider']);
  });
});

describe('bad input', () => {
  it.each([
    [['event', 'show', 'evt_nope'], 3, 'there is no event evt_nope'],
    [['action', 'show', 'act_nope'], 3, 'there is no action act_nope'],
    [['prove', 'act_nope'], 3, 'there is no action act_nope'],
    [['action', 'approve', 'act_nope', '--reason', 'abc'], 3, 'there is no action'],
    [['sim', 'show', iccid], 3, `nothing is stored of SIM ${iccid}`],
    [['sim', 'show', '!'], 2, 'is no SIM'],
    [['dlq', 'list', 'nope'], 3, 'there are: events, actions-eiotclub'],
    [['events', '--since', 'soon'], 2, '--since is "soon"'],
    [['events', '--since', '1h', '--until', '2h'], 2, 'turn them round'],
    [['events', '--kind', 'nope'], 2, 'the kinds are'],
    [['send', 'nope', 'x'], 2, 'it has eiotclub'],
    [['backtest', '--rules', '/nowhere.json'], 1, "can't be read"],
    [['action', 'resolve', 'act_x', '--reason', 'abc'], 2, 'either --bought'],
    [['nope'], 2, 'unknown command'],
    [['events', '--stage', 'prod'], 2, 'is of the stage "flow"'],
  ] as const)('answers %j with one line', async (argv, code, text) => {
    const on = await open();
    const said = await on.run(...argv);
    expect(said.err).toContain(text);
    expect(said.code).toBe(code);
    expect(said.out).toBe('');
    expect(said.err).not.toMatch(/\n\s+at /);
  });

  it('never makes a store where there is none', async () => {
    const on = await open();
    const said = await on.runIn({}, 'events', '--data', join(on.folder, 'empty'));
    expect(said.code).toBe(3);
    expect(said.err).toContain('npm start');
  });
});
