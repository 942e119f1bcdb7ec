import { afterEach, expect, test } from 'vitest';
import { decideEvent } from '../../../functions/decide/decide.ts';
import { after, minutes, seconds } from '../../../shared/core/time.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import { findDueEvents } from '../../../shared/store/due-work.ts';
import { loadEvent, loadEvidence, recordCallback } from '../../../shared/store/event-store.ts';
import { openSqliteTable } from '../../../shared/store/sqlite-table.ts';
import type { Table } from '../../../shared/store/table.ts';
import { policy, rule } from '../core/samples.ts';
import { csss, flowAlert, noon, openReceiver, type Receiver, signed } from './receiver.ts';

// Receive decides what no rule can match (D29), and only that.

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

const rules = policy([rule({}, { alerts: ['low-data'] })]);

function receiver(): Receiver {
  const made = openReceiver({ policy: rules });
  open.push(() => made.table.close());
  return made;
}

const cardStopped = {
  event: 'CardStopped',
  id: 'stop-1',
  timestamp: noon / 1_000,
  nonce: 1,
  iccid: flowAlert().iccid ?? '',
};

async function onlyEvent(table: Table, keys: readonly string[]) {
  const [key, ...others] = keys;
  if (key === undefined || others.length > 0) throw new Error(`${keys.length} events are stored`);
  const row = await loadEvent(table, key.slice('EVENT#'.length));
  if (row === null) throw new Error(`${key} can't be read`);
  return row.value;
}

const dueSoon = (table: Table) =>
  findDueEvents(table, after(noon, minutes(60)), 10, (error) => {
    throw error;
  });

test('stores an event that no rule can match as decided, and leaves nothing to do', async () => {
  const on = receiver();
  expect(await on.send({ body: signed(cardStopped) })).toMatchObject({ statusCode: 200 });
  expect(await onlyEvent(on.table, on.rows('EVENT#'))).toMatchObject({
    state: 'decided',
    decisions: [
      {
        policyVersion: 'policy-1',
        decidedAt: noon,
        ownActionId: null,
        verdicts: [{ ruleId: 'renew-low-data', reason: 'no-match', detail: 'kind is card-stopped' }],
      },
    ],
  });
  expect(await on.queued()).toEqual([]);
  expect(await dueSoon(on.table)).toEqual([]);
});

test('leaves the event that a rule matches to decide', async () => {
  const on = receiver();
  await on.send({ body: signed() });
  expect(await onlyEvent(on.table, on.rows('EVENT#'))).toMatchObject({ state: 'recorded', decisions: [] });
  expect(await on.queued()).toHaveLength(1);
  expect(await dueSoon(on.table)).toHaveLength(1);
});

test('writes the very row that decide would have written', async () => {
  const on = receiver();
  await on.send({ body: signed(cardStopped) });
  const short = await onlyEvent(on.table, on.rows('EVENT#'));
  const evidence = await loadEvidence(on.table, short);
  if (evidence === null) throw new Error('the event has no evidence');
  const table = openSqliteTable({ path: ':memory:', now: () => noon });
  open.push(() => table.close());
  const { event } = short;
  await recordCallback(table, { callbackId: event.callbackId, evidence, events: [event], now: noon });
  const queue = { ...on.deps.events };
  const deps = { table, policy: rules, events: queue, actionsQueue: () => null, log: silentLog };
  await decideEvent(event.eventId, noon, deps, { replay: false, generation: 1 });
  const stored = async (its: Table) => ({
    ...(await its.get({ pk: `EVENT#${event.eventId}`, sk: 'EVENT' })),
    version: 'whatever',
  });
  expect(await stored(on.table)).toEqual(await stored(table));
});

test('judges each fact of a callback for itself', async () => {
  const on = receiver();
  const data = [
    { iccid: flowAlert().iccid, alert_type: 1, alert_value: '9' },
    { iccid: flowAlert().iccid, alert_type: 3, alert_value: '1' },
  ];
  const { alert_type: _, alert_value: __, iccid: ___, ...frame } = flowAlert();
  expect(await on.send({ body: signed({ ...frame, data }) })).toMatchObject({ statusCode: 200 });
  const states = await Promise.all(
    on
      .rows('EVENT#')
      .map(async (key) => (await loadEvent(on.table, key.slice('EVENT#'.length)))?.value.state),
  );
  expect(states.toSorted()).toEqual(['decided', 'recorded']);
  expect(await on.queued()).toHaveLength(1);
});

test('tells the log of each delivery what it brought', async () => {
  const on = receiver();
  for (let delivery = 0; delivery < 2; delivery++) await on.send({ body: signed(cardStopped) });
  expect(on.lines.map(({ fields }) => fields)).toMatchObject([
    { kind: 'card-stopped', events: 1, duplicates: 0, verdicts: 'renew-low-data:no-match' },
    { kind: 'card-stopped', events: 1, duplicates: 1 },
  ]);
});

test('tells the decision to the log and the figures as decide does', async () => {
  const on = receiver();
  await on.send({ body: signed(cardStopped) });
  const [line, ...others] = on.lines;
  expect(others).toEqual([]);
  expect(line).toMatchObject({
    message: 'callback stored',
    fields: { policyVersion: 'policy-1', verdicts: 'renew-low-data:no-match', actionId: null },
  });
  expect(line?.figures?.(after(noon, seconds(1))).flatMap(({ values }) => values)).toEqual(
    expect.arrayContaining([
      { name: 'Decisions', value: 1, unit: 'Count' },
      { name: 'ActionsPlanned', value: 0, unit: 'Count' },
      { name: 'TimeToDecide', value: 1_000, unit: 'Milliseconds' },
    ]),
  );
});

test('knows a repeated callback whose event was decided at once, and decides it once', async () => {
  const on = receiver();
  const request = { body: signed(cardStopped) };
  await on.send(request);
  expect(await on.send(request)).toMatchObject({ statusCode: 200 });
  expect(on.notices.map(({ duplicates, decided }) => [duplicates, decided.length])).toEqual([
    [0, 1],
    [1, 0],
  ]);
  expect((await onlyEvent(on.table, on.rows('EVENT#'))).decisions).toHaveLength(1);
});

test('lets a signed copy prove an event that came unsigned and was decided at once', async () => {
  const on = openReceiver({ policy: policy([]) });
  open.push(() => on.table.close());
  const reminder = csss({
    devices: [{ deviceId: '89852022018041800200', expireTime: '', warningCode: '1' }],
  });
  const { 'x-lf-md5': _, ...headers } = reminder.headers;
  await on.send({ ...reminder, headers });
  expect(await onlyEvent(on.table, on.rows('EVENT#'))).toMatchObject({
    state: 'decided',
    event: { proof: { kind: 'unsigned' } },
  });
  await on.send(reminder);
  expect(await onlyEvent(on.table, on.rows('EVENT#'))).toMatchObject({
    state: 'decided',
    event: { proof: { kind: 'signed' } },
    decisions: [{ policyVersion: 'policy-1' }],
  });
  expect(await dueSoon(on.table)).toEqual([]);
});
