import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { announceRunning } from '../../../infra/local/running-system.ts';
import type { OpsWorld } from '../../../infra/ops/world.ts';
import { epochMs } from '../../../shared/core/time.ts';
import { type OpsShop, openOpsShop, type Said } from './ops-shop.ts';

/**
 * A day at work of an operator, told by the command line's own output. More events and a transcript:
 * `DAY_AT_WORK_EVENTS=1000 DAY_AT_WORK_TRANSCRIPT=day.md npx vitest run test/flow/ops/day-at-work.test.ts`.
 */
const eventsInOutage = Number(process.env.DAY_AT_WORK_EVENTS ?? '50');
const transcript = process.env.DAY_AT_WORK_TRANSCRIPT ?? null;
/** A day with 1,000 purchases at 10 requests a second, on a slow machine. */
const timeoutMs = 30_000 + eventsInOutage * 400;

const minute = 60_000;
const hour = 60 * minute;
const iccid = '89852000263320817044';

let on: OpsShop;
let told: string[] = [];
beforeEach(async () => {
  on = await openOpsShop();
  announceRunning(on.folder, { pid: process.pid, url: on.front.url, simulatorUrl: on.simulator.url });
  told = ['# A day at work'];
});
afterEach(async () => {
  await on.close();
  if (transcript !== null) writeFileSync(transcript, `${told.join('\n')}\n`);
});

/** What the operator knows or does beside the command line. */
function tell(text: string): void {
  const clock = new Date(on.clock.now()).toISOString().slice(0, 16).replace('T', ' ');
  told.push('', `**${clock}Z** ${text}`, '');
}

/** Lines of one command that a reader needs to see. */
const shownMax = 16;

/** Runs a command and writes down what it said. The code is what it must end with. */
async function type(code: number, ...argv: readonly string[]): Promise<Said> {
  return typeIn({}, code, ...argv);
}

async function typeIn(changes: Partial<OpsWorld>, code: number, ...argv: readonly string[]): Promise<Said> {
  const said = await on.runIn(changes, ...argv);
  const lines = `${said.out}${said.err}`.trimEnd().split('\n');
  const shown =
    lines.length <= shownMax
      ? lines
      : [...lines.slice(0, shownMax), `… ${lines.length - shownMax} lines more`];
  const words = argv.map((word) => (/\s/.test(word) ? JSON.stringify(word) : word));
  told.push('```', `$ npx simhook ${words.join(' ')}`, ...shown, `(exit code ${said.code})`, '```');
  expect(said.code, said.err).toBe(code);
  return said;
}

const look = async (...argv: readonly string[]) => (await on.run(...argv, '--json')).json;

/** How often each SIM was bought for, in the provider's own books. */
function purchasesBySim(): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { simId } of on.simulator.orders()) counts.set(simId, (counts.get(simId) ?? 0) + 1);
  return counts;
}

/** Aborts the command that reads the clock so many times. */
function interruptedAfter(reads: number): Pick<OpsWorld, 'signal' | 'clock'> {
  const controller = new AbortController();
  let count = 0;
  return {
    signal: controller.signal,
    clock: () => {
      count += 1;
      if (count > reads) controller.abort();
      return epochMs(on.clock.now());
    },
  };
}

async function forgedCallback(): Promise<void> {
  tell('Somebody posts a callback with a signature of their own. It is refused; what was wrong with it?');
  await type(0, 'send', 'eiotclub', 'FlowAlert', `iccid=${iccid}`, '--forged');
  const [kept] = await look('quarantine', 'list');
  await type(0, 'quarantine', 'list');
  const explained = await type(1, 'explain', String(kept?.quarantineId));
  expect(explained.out).toMatch(/refused[\s\S]*wrong-signature[\s\S]*<secret>/);
  await on.pass(minute);
  expect(await look('events')).toEqual([]);
  expect(on.simulator.orders()).toHaveLength(0);
}

/** Alerts of as many SIMs of their own, by the command line as a provider. */
async function alertsCome(count: number): Promise<void> {
  const sent = await on.run('send', 'eiotclub', 'FlowAlert', '--burst', String(count), '--json');
  expect(sent).toMatchObject({ code: 0, json: [{ answers: [{ status: 200, count }] }] });
  on.clock.advance(minute);
}

/** The provider is down; later the rule is taken out of the stage too, and most alerts find no rule that speaks. */
async function providerOutage(): Promise<string> {
  const before = Math.floor(eventsInOutage * 0.4);
  tell(`The provider is down. ${before} alerts come in; their actions wait and lose nothing.`);
  const since = new Date(on.clock.now()).toISOString();
  await on.simulator.setReachable(false);
  await alertsCome(before);
  await on.system.drain();
  on.clock.advance(minute);
  const doctor = await type(1, 'doctor');
  expect(doctor.out).toMatch(/bad +provider +eiotclub/);
  expect((await look('actions', '--state', 'open', '--limit', '5000')).length).toBe(before);
  tell(
    `Ann takes the rule out of the stage, to be safe. ${eventsInOutage - before} more alerts come in, and no rule speaks for them.`,
  );
  await on.restage({ rule: { enabled: false } });
  await alertsCome(eventsInOutage - before);
  await on.pass(10 * minute);
  expect(on.simulator.orders()).toHaveLength(0);
  return since;
}

async function replayTheOutage(since: string): Promise<void> {
  const before = Math.floor(eventsInOutage * 0.4);
  const missed = eventsInOutage - before;
  tell(
    'The provider is back, and so is the rule. What was planned goes on by itself; the others are replayed.',
  );
  await on.simulator.setReachable(true);
  await on.restage({});
  const dry = await type(0, 'replay', '--since', since, '--until', 'now');
  expect(dry.out).toContain(`rule renew-low-data: ${missed} actions, at most USD ${(missed * 5).toFixed(2)}`);
  const [verdict] = await look('replay', '--since', since);
  expect(verdict).toMatchObject({
    mode: 'dry run',
    outcomes: { 'decided anew: acts': missed, 'already decided: its action exists': before },
    spendAtMost: [{ amountMinor: missed * 500 }],
  });
  expect((await look('actions', '--limit', '5000')).length).toBe(before);
  tell(
    'The first try is interrupted with Ctrl-C in the middle. Nothing is half done: the same line goes on.',
  );
  const half = interruptedAfter(eventsInOutage);
  await typeIn(half, 130, 'replay', '--since', since, '--execute');
  const made = (await look('actions', '--limit', '5000')).length;
  expect(made).toBeGreaterThan(before);
  expect(made).toBeLessThan(eventsInOutage);
  await type(0, 'replay', '--since', since, '--execute');
  expect((await look('actions', '--limit', '5000')).length).toBe(eventsInOutage);
  const twice = await type(0, 'replay', '--since', since, '--execute');
  expect(twice.out).toContain('at most nothing');
  await on.pass((12 + eventsInOutage / 60) * minute, 5_000);
  const bought = purchasesBySim();
  expect(bought.size).toBe(eventsInOutage);
  expect([...bought.values()].every((count) => count === 1)).toBe(true);
  tell(
    `The provider's own books: ${on.simulator.orders().length} purchases for ${bought.size} SIMs, one each, for ${eventsInOutage} alerts.`,
  );
}

async function deadLetterRedriven(): Promise<void> {
  const sim = '89852000263320817051';
  tell('A worker that can not do its work gives an event back five times: it is a dead letter now.');
  await on.run('send', 'eiotclub', 'FlowAlert', `iccid=${sim}`);
  for (let i = 0; i < 6; i++) {
    await on.engines.events.receive(10);
    on.clock.advance(4 * minute);
  }
  const listed = await type(0, 'dlq', 'list', 'events');
  expect(listed.out).toContain('is not decided');
  await type(0, 'dlq', 'redrive', 'events', '--dry-run');
  const redriven = await type(0, 'dlq', 'redrive', 'events');
  expect(redriven.out).toMatch(/1 +sent back: open/);
  expect(on.bought(sim)).toBe(0);
  await on.pass(3 * minute);
  expect(on.bought(sim)).toBe(1);
  expect(await look('dlq', 'list', 'events')).toEqual([]);
  await type(0, 'sim', 'show', sim);
}

/** The order's answer is lost, its callbacks too, and the provider's records can't be read for more than a day. */
async function lostAnswer(): Promise<void> {
  tell('A purchase whose answer is lost on the way, while the records of the provider are down for a day.');
  on.simulator.addSim({
    provider: 'eiotclub',
    simId: iccid,
    packages: [{ code: 'PKG001', state: 'active' }],
  });
  on.simulator.callbacks.setUrl('eiotclub', null);
  on.simulator.faults.add({ match: { path: /orderPackage/ }, fault: { kind: 'drop', commit: true } });
  await on.run('send', 'eiotclub', 'FlowAlert', `iccid=${iccid}`);
  await on.system.drain();
  const down = on.simulator.faults.add({
    match: (request) => !request.path.includes('orderPackage'),
    times: Number.POSITIVE_INFINITY,
    fault: { kind: 'http-error', status: 503, commit: false },
  });
  await on.pass(26 * hour, hour);
  down.remove();
  tell('The next day it is parked: it may have bought, so nothing but a human may go on with it.');
  await type(0, 'actions', '--state', 'parked');
  const [parked] = await look('actions', '--state', 'parked');
  expect(parked).toMatchObject({ state: { mayHaveBought: true } });
  const id = String(parked?.actionId);
  const refused = await type(4, 'action', 'retry', id, '--reason', 'the customer waits');
  expect(refused.err).toContain("provider's own records");
  const [order] = on.simulator.orders({ simId: iccid });
  tell(`The provider's console shows order ${order?.orderId} for this SIM.`);
  const reason = 'order seen in the console';
  await type(
    0,
    'action',
    'resolve',
    id,
    '--bought',
    String(order?.orderId),
    '--charge',
    '5.00 USD',
    '--reason',
    reason,
  );
  await on.pass(5 * minute);
  expect(on.bought(iccid)).toBe(1);
  const proof = await type(0, 'prove', id);
  expect(proof.out).toContain(reason);
}

describe('a day at work', () => {
  it(
    "ends with one purchase for each cause in the provider's own books, and books that add up",
    async () => {
      await forgedCallback();
      await replayTheOutage(await providerOutage());
      await deadLetterRedriven();
      await lostAnswer();
      tell('In the evening: do the books add up?');
      await type(0, 'audit');
      const spend = await type(0, 'spend', '--since', '3d');
      const purchases = eventsInOutage + 2;
      expect(spend.out).toContain(`USD ${(purchases * 5).toFixed(2)}`);
      expect(on.simulator.orders()).toHaveLength(purchases);
      expect([...purchasesBySim().values()].every((count) => count === 1)).toBe(true);
    },
    timeoutMs,
  );
});
