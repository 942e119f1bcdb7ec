import type { Command } from 'commander';
import { type DecideDeps, type DecideResult, decideEvent } from '../../../functions/decide/decide.ts';
import { formatMoney, type Money } from '../../../shared/core/money.ts';
import type { EpochMs } from '../../../shared/core/time.ts';
import { silentLog } from '../../../shared/platform/log.ts';
import type { EventRow } from '../../../shared/store/rows.ts';
import { moneyJson } from '../action-view.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import { type Connection, queueNamed } from '../connect.ts';
import {
  describeFilter,
  type EventFilter,
  type EventFilterOptions,
  findEvents,
  readEventFilter,
  withEventFilter,
} from '../event-filter.ts';
import { notFound } from '../failure.ts';
import { moneySums, showSums } from '../money-sums.ts';
import { isoMoment, showMoment } from '../notation.ts';
import { startProgress } from '../progress.ts';
import { couldAct, type ReplayVerdict, startDryRun, verdictOf } from '../replay-judge.ts';
import type { OpsWorld } from '../world.ts';

interface ReplayOptions extends EventFilterOptions {
  readonly execute: boolean;
}

/** `replay`: judges stored events again. */
export function addReplayCommand(program: Command, world: OpsWorld): void {
  const replay = addCommand(program, {
    name: 'replay',
    description:
      'Judges stored events again by the rules as they are now. A dry run unless you say --execute.',
    examples: [
      'npx simhook replay --since 2026-11-22T03:00Z --until 2026-11-22T05:00Z --provider eiotclub',
      'npx simhook replay --state recorded --since 7d --execute',
    ],
    more: `A replay can't buy twice: an event and a rule always give the same action, and one that exists is left alone.
Oldest events come first. After Ctrl-C run the same line again: what is done is recognised.`,
  });
  withEventFilter(replay, '1d')
    .option('--execute', 'write the decisions and queue the actions', false)
    .action(async (options: ReplayOptions, command: Command) => {
      const context = contextOf(command, world);
      const filter = readEventFilter(options, world.clock());
      await withConnection(context, (connection) =>
        options.execute ? execute(connection, filter, context) : dryRun(connection, filter, context),
      );
    });
}

/** What came of the events so far. */
interface Tally {
  events: number;
  readonly kinds: Map<string, number>;
  readonly rules: Map<string, { actions: number; maxMinor: number; readonly currency: string }>;
  readonly spend: ReturnType<typeof moneySums>;
  last: EpochMs | null;
}

function newTally(): Tally {
  return { events: 0, kinds: new Map(), rules: new Map(), spend: moneySums(), last: null };
}

function count(tally: Tally, row: EventRow, verdict: ReplayVerdict): void {
  tally.events += 1;
  tally.last = row.event.receivedAt;
  const name = labelOf(verdict);
  tally.kinds.set(name, (tally.kinds.get(name) ?? 0) + 1);
  if (verdict.kind !== 'acts') return;
  const { ruleId, maxCost } = verdict.action;
  tally.spend.add(maxCost);
  const sum = tally.rules.get(ruleId) ?? { actions: 0, maxMinor: 0, currency: maxCost.currency };
  tally.rules.set(ruleId, { ...sum, actions: sum.actions + 1, maxMinor: sum.maxMinor + maxCost.amountMinor });
}

function labelOf(verdict: ReplayVerdict): string {
  switch (verdict.kind) {
    case 'skipped':
      return `skipped: ${verdict.why}`;
    case 'already-decided':
      return 'already decided: its action exists';
    case 'blocked':
      return `blocked: ${verdict.why}`;
    case 'acts':
      return verdict.first ? 'decided for the first time: acts' : 'decided anew: acts';
    default: {
      const never: never = verdict;
      throw new Error(`unknown verdict: ${JSON.stringify(never)}`);
    }
  }
}

async function dryRun(connection: Connection, filter: EventFilter, context: Context): Promise<void> {
  const { world, out } = context;
  const run = startDryRun(connection.table, connection.stage.policy, world.clock());
  const tally = newTally();
  const progress = startProgress(world, 'judging');
  for await (const { value } of findEvents(connection, filter, 'oldest-first')) {
    if (world.signal.aborted) break;
    count(tally, value, await run.judge(value));
    progress.at(tally.events, { at: value.event.receivedAt, to: filter.range.to });
  }
  progress.end();
  if (world.signal.aborted) {
    return out.note(
      `interrupted after ${tally.events} events: nothing was written, and half a range is no answer`,
    );
  }
  await report(tally, { context, filter, mode: 'dry run' });
  if (tally.spend.list().length > 0) await out.line('\nnothing was written; add --execute to do it');
}

async function execute(connection: Connection, filter: EventFilter, context: Context): Promise<void> {
  const { world, out } = context;
  const deps = depsOf(connection);
  const tally = newTally();
  const progress = startProgress(world, 'replaying');
  for await (const { value } of findEvents(connection, filter, 'oldest-first')) {
    // Between two events nothing is half done: each decision is one transaction.
    if (world.signal.aborted) break;
    count(tally, value, await replayOne(value, deps, world));
    progress.at(tally.events, { at: value.event.receivedAt, to: filter.range.to });
  }
  progress.end();
  await report(tally, { context, filter, mode: 'executed' });
  if (world.signal.aborted && tally.last !== null) {
    out.note(`interrupted after ${tally.events} events; go on with --since ${isoMoment(tally.last)}`);
  }
}

/** An event that is judged already and that no rule speaks for is left alone: there is nothing to write. */
async function replayOne(row: EventRow, deps: DecideDeps, world: OpsWorld): Promise<ReplayVerdict> {
  const now = world.clock();
  if (row.state === 'decided' && !couldAct(row, deps.policy, now)) {
    return { kind: 'skipped', why: 'no rule speaks for it' };
  }
  const result = await decideEvent(row.event.eventId, now, deps, { replay: true, generation: 1 });
  return fromResult(row, result);
}

function fromResult(row: EventRow, result: DecideResult): ReplayVerdict {
  switch (result.kind) {
    case 'decided':
      return verdictOf(row, result.decided);
    case 'deferred':
      return { kind: 'skipped', why: 'waits for the answer of a purchase under way' };
    case 'already-decided':
      return { kind: 'skipped', why: 'judged meanwhile' };
    case 'unknown-event':
      return { kind: 'skipped', why: 'not stored any more' };
    default: {
      const never: never = result;
      throw new Error(`unknown result: ${JSON.stringify(never)}`);
    }
  }
}

function depsOf({ table, stage, queues }: Connection): DecideDeps {
  return {
    table,
    policy: stage.policy,
    events: queueNamed(queues, 'events'),
    actionsQueue: (provider) => queues.get(`actions-${provider}`) ?? null,
    log: silentLog,
  };
}

async function report(
  tally: Tally,
  view: { readonly context: Context; readonly filter: EventFilter; readonly mode: string },
): Promise<void> {
  const { out } = view.context;
  if (tally.events === 0) throw notFound(`no ${describeFilter(view.filter)}: nothing to replay`);
  const spend = tally.spend.list();
  const kinds = [...tally.kinds].toSorted(([, a], [, b]) => b - a);
  const rules = [...tally.rules].map(([ruleId, sum]) => ({
    ruleId,
    actions: sum.actions,
    most: { amountMinor: sum.maxMinor, currency: sum.currency } satisfies Money,
  }));
  await out.value({
    mode: view.mode,
    events: tally.events,
    outcomes: Object.fromEntries(kinds),
    rules: rules.map((rule) => ({ ...rule, most: moneyJson(rule.most) })),
    spendAtMost: spend.map(moneyJson),
    lastEventAt: isoMoment(tally.last),
  });
  const last = tally.last === null ? '' : `, the last of ${showMoment(tally.last)}`;
  await out.line(`${out.paint.bold(view.mode)}: ${tally.events} events${last}`);
  await out.table(
    [{ title: 'events', align: 'right' }, { title: 'what' }],
    kinds.map(([name, events]) => [String(events), name]),
  );
  for (const { ruleId, actions, most } of rules) {
    await out.line(`rule ${ruleId}: ${actions} actions, at most ${formatMoney(most)}`);
  }
  const verb = view.mode === 'executed' ? 'can spend' : 'would spend';
  await out.line(`${verb} at most ${out.paint.bold(showSums(spend))}, within the caps`);
}
