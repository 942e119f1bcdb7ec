import type { Command } from 'commander';
import { formatMoney, type Money } from '../../../shared/core/money.ts';
import type { Policy } from '../../../shared/core/policy.ts';
import { type EpochMs, utcDay } from '../../../shared/core/time.ts';
import { isEffectOfPurchase } from '../../../shared/core/webhook-event.ts';
import { listActions, type TimeRange } from '../../../shared/store/event-listing.ts';
import { findOwnAction } from '../../../shared/store/event-store.ts';
import type { EventRow } from '../../../shared/store/rows.ts';
import type { Table } from '../../../shared/store/table.ts';
import { moneyJson } from '../action-view.ts';
import { bar } from '../bar-chart.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import { type Connection, loadStage } from '../connect.ts';
import {
  describeFilter,
  type EventFilter,
  type EventFilterOptions,
  findEvents,
  readEventFilter,
  withEventFilter,
} from '../event-filter.ts';
import { notFound } from '../failure.ts';
import { isoMoment, showMoment } from '../notation.ts';
import { startProgress } from '../progress.ts';
import { couldAct } from '../replay-judge.ts';
import { type RulesSimulation, type SimulatedVerdict, simulateRules } from '../rules-simulation.ts';
import type { OpsWorld } from '../world.ts';

interface BacktestOptions extends EventFilterOptions {
  readonly rules: string;
  readonly list: boolean;
}

const howItCounts = `Each purchase is taken to succeed at once for the most that it may cost, each approval as given; the run starts
without any history of cool-downs and caps, so choose a range that begins before what you are after.`;

/** `backtest` and `diff`. */
export function addBacktestCommands(program: Command, world: OpsWorld): void {
  const backtest = addCommand(program, {
    name: 'backtest',
    description:
      'Runs the rules of a stage file over stored events: what they would have bought, beside what was.',
    examples: [
      'npx simhook backtest --rules next-stage.json --since 30d',
      'npx simhook backtest --rules next-stage.json --list',
    ],
    more: howItCounts,
  });
  withEventFilter(backtest, '30d')
    .requiredOption('--rules <file>', 'a stage as JSON or TypeScript')
    .option('--list', 'also print each purchase', false)
    .action(async (options: BacktestOptions, command: Command) => {
      const context = contextOf(command, world);
      const filter = readEventFilter(options, world.clock());
      const { policy } = await loadStage(options.rules, world);
      await withConnection(context, (connection) =>
        runBacktest(connection, { filter, policy, list: options.list }, context),
      );
    });
  const diff = addCommand(program, {
    name: 'diff',
    description:
      'Shows for which stored events other rules would have bought something else than the present ones.',
    examples: ['npx simhook diff --rules next-stage.json --since 30d'],
    more: howItCounts,
  });
  withEventFilter(diff, '30d')
    .requiredOption('--rules <file>', 'the changed stage as JSON or TypeScript')
    .option('--against <file>', 'the stage to compare with; default: the one that runs')
    .action(async (options: BacktestOptions & { readonly against?: string }, command: Command) => {
      const context = contextOf(command, world);
      const filter = readEventFilter(options, world.clock());
      const next = (await loadStage(options.rules, world)).policy;
      const against = options.against === undefined ? null : (await loadStage(options.against, world)).policy;
      await withConnection(context, (connection) =>
        runDiff(connection, { filter, next, present: against ?? connection.stage.policy }, context),
      );
    });
}

/** The real action that an event reports on matters only where a rule could take it for somebody else's. */
async function stepOf(
  simulation: RulesSimulation,
  row: EventRow,
  parts: { readonly table: Table; readonly policy: Policy },
): Promise<SimulatedVerdict> {
  const { event } = row;
  const ask = isEffectOfPurchase(event.facts) && couldAct(row, parts.policy, event.receivedAt);
  return simulation.step(event, ask ? await findOwnAction(parts.table, event) : null);
}

interface Sum {
  count: number;
  minor: number;
}

/** Purchases by rule and by day: what would have been, and what was. */
interface Ledger {
  readonly rules: Map<
    string,
    { readonly currency: string; readonly would: Sum; readonly real: Sum; stopped: number }
  >;
  readonly days: Map<string, { would: number; real: number }>;
}

function rowOf(ledger: Ledger, ruleId: string, currency: string) {
  const row = ledger.rules.get(ruleId) ?? {
    currency,
    would: { count: 0, minor: 0 },
    real: { count: 0, minor: 0 },
    stopped: 0,
  };
  ledger.rules.set(ruleId, row);
  return row;
}

function dayOf(ledger: Ledger, at: EpochMs) {
  const day = utcDay(at);
  const row = ledger.days.get(day) ?? { would: 0, real: 0 };
  ledger.days.set(day, row);
  return row;
}

async function runBacktest(
  connection: Connection,
  wanted: { readonly filter: EventFilter; readonly policy: Policy; readonly list: boolean },
  context: Context,
): Promise<void> {
  const { world, out } = context;
  const { filter, policy } = wanted;
  const simulation = simulateRules(policy);
  const ledger: Ledger = { rules: new Map(), days: new Map() };
  const progress = startProgress(world, 'backtesting');
  let events = 0;
  for await (const { value } of findEvents(connection, filter, 'oldest-first')) {
    if (world.signal.aborted) break;
    const verdict = await stepOf(simulation, value, { table: connection.table, policy });
    note(ledger, value, verdict, policy);
    if (verdict.kind === 'buys' && wanted.list) await printPurchase(value, verdict, context);
    events += 1;
    progress.at(events, { at: value.event.receivedAt, to: filter.range.to });
  }
  if (world.signal.aborted) {
    progress.end();
    return out.note(`interrupted after ${events} events: half a range is no answer, so none is given`);
  }
  if (events === 0) throw notFound(`no ${describeFilter(filter)}: nothing to run the rules over`);
  await addReal(ledger, connection, filter);
  progress.end();
  await report(ledger, { events, policy, out });
}

function note(ledger: Ledger, row: EventRow, verdict: SimulatedVerdict, policy: Policy): void {
  if (verdict.kind === 'stopped') {
    const currency = policy.rules.find(({ ruleId }) => ruleId === verdict.ruleId)?.maxCost.currency ?? '';
    rowOf(ledger, verdict.ruleId, currency).stopped += 1;
  }
  if (verdict.kind !== 'buys') return;
  const { would } = rowOf(ledger, verdict.ruleId, verdict.cost.currency);
  would.count += 1;
  would.minor += verdict.cost.amountMinor;
  dayOf(ledger, row.event.receivedAt).would += 1;
}

/** The action that a row's own decisions made; null when they made none. */
function realActionOf({ decisions }: EventRow): string | null {
  for (const { verdicts } of decisions) {
    for (const verdict of verdicts) if (verdict.verdict === 'act') return verdict.actionId;
  }
  return null;
}

async function printPurchase(
  row: EventRow,
  verdict: Extract<SimulatedVerdict, { kind: 'buys' }>,
  { out }: Context,
): Promise<void> {
  const { event } = row;
  const real = realActionOf(row);
  const sim = event.subject?.simId ?? null;
  const { ruleId, cost, needsApproval } = verdict;
  await out.value({
    type: 'would-buy',
    at: isoMoment(event.receivedAt),
    eventId: event.eventId,
    sim,
    ruleId,
    cost: moneyJson(cost),
    needsApproval,
    realActionId: real,
  });
  const approval = needsApproval ? ', if approved' : '';
  await out.line(
    `${showMoment(event.receivedAt)}  ${sim ?? '-'}  ${ruleId}  ${formatMoney(cost)}${approval}  ${real === null ? out.paint.yellow('bought nothing then') : `then ${real}`}`,
  );
}

/** What was really bought for events of the same time; a purchase counts on the day on which it was planned. */
async function addReal(
  ledger: Ledger,
  { table, onUnreadable }: Connection,
  filter: EventFilter,
): Promise<void> {
  const range: TimeRange = filter.range;
  for await (const { value } of listActions(table, range, 'oldest-first', onUnreadable)) {
    const { action } = value;
    if (action.state.name !== 'succeeded') continue;
    if (filter.provider !== null && action.subject.provider !== filter.provider) continue;
    const { real } = rowOf(ledger, action.ruleId, action.money.currency);
    real.count += 1;
    real.minor += action.money.chargedMinor;
    dayOf(ledger, action.createdAt).real += 1;
  }
}

async function report(
  ledger: Ledger,
  view: { readonly events: number; readonly policy: Policy; readonly out: Context['out'] },
): Promise<void> {
  const { events, policy, out } = view;
  const rules = [...ledger.rules].map(([ruleId, row]) => ({ ruleId, ...row }));
  const days = [...ledger.days].toSorted(([a], [b]) => (a < b ? -1 : 1));
  const amount = (minor: number, currency: string): Money => ({ amountMinor: minor, currency });
  await out.value({
    type: 'summary',
    events,
    policyVersion: policy.version,
    rules: rules.map(({ ruleId, currency, would, real, stopped }) => ({
      ruleId,
      would: { count: would.count, cost: moneyJson(amount(would.minor, currency)) },
      stopped,
      real: { count: real.count, charged: moneyJson(amount(real.minor, currency)) },
    })),
    days: days.map(([day, row]) => ({ day, ...row })),
  });
  await out.line(`${events} events under rules ${policy.version}\n`);
  await out.table(
    [
      { title: 'rule' },
      { title: 'would buy', align: 'right' },
      { title: 'at most', align: 'right' },
      { title: 'stopped', align: 'right' },
      { title: 'really bought', align: 'right' },
      { title: 'charged', align: 'right' },
    ],
    rules.map(({ ruleId, currency, would, real, stopped }) => [
      ruleId,
      String(would.count),
      formatMoney(amount(would.minor, currency)),
      String(stopped),
      String(real.count),
      formatMoney(amount(real.minor, currency)),
    ]),
  );
  const most = Math.max(1, ...days.map(([, row]) => Math.max(row.would, row.real)));
  if (days.length > 0) await out.line('\npurchases by day, would be and were:');
  for (const [day, { would, real }] of days) {
    await out.line(`${day}  ${out.paint.cyan(bar(would / most, 30))} ${would}`);
    await out.line(`            ${out.paint.green(bar(real / most, 30))} ${real}`);
  }
}

async function runDiff(
  connection: Connection,
  wanted: { readonly filter: EventFilter; readonly next: Policy; readonly present: Policy },
  context: Context,
): Promise<void> {
  const { world, out } = context;
  const { table } = connection;
  const now = simulateRules(wanted.present);
  const then = simulateRules(wanted.next);
  const sums = { events: 0, same: 0, different: 0, onlyNow: 0, onlyThen: 0 };
  const progress = startProgress(world, 'comparing');
  for await (const { value } of findEvents(connection, wanted.filter, 'oldest-first')) {
    if (world.signal.aborted) break;
    const a = await stepOf(now, value, { table, policy: wanted.present });
    const b = await stepOf(then, value, { table, policy: wanted.next });
    sums.events += 1;
    progress.at(sums.events, { at: value.event.receivedAt, to: wanted.filter.range.to });
    if (a.kind !== 'buys' && b.kind !== 'buys') continue;
    if (textOf(a) === textOf(b)) {
      sums.same += 1;
      continue;
    }
    sums.different += 1;
    if (b.kind !== 'buys') sums.onlyNow += 1;
    if (a.kind !== 'buys') sums.onlyThen += 1;
    await printDifference(value, a, b, context);
  }
  progress.end();
  if (world.signal.aborted)
    return out.note(`interrupted after ${sums.events} events: what differs after them is not shown`);
  if (sums.events === 0)
    throw notFound(`no ${describeFilter(wanted.filter)}: nothing to compare the rules on`);
  await out.value({ type: 'summary', present: wanted.present.version, next: wanted.next.version, ...sums });
  await out.line(
    `${sums.events} events: ${sums.same} purchases alike, ${sums.different} different (${sums.onlyNow} would no more be made, ${sums.onlyThen} would be new)`,
  );
}

function textOf(verdict: SimulatedVerdict): string {
  switch (verdict.kind) {
    case 'pass':
      return `nothing (${verdict.why})`;
    case 'stopped':
      return `nothing (${verdict.ruleId}: ${verdict.why})`;
    case 'buys':
      return `${verdict.ruleId} ${formatMoney(verdict.cost)}${verdict.needsApproval ? ' if approved' : ''}`;
    default: {
      const never: never = verdict;
      throw new Error(`unknown verdict: ${JSON.stringify(never)}`);
    }
  }
}

async function printDifference(
  { event }: EventRow,
  a: SimulatedVerdict,
  b: SimulatedVerdict,
  { out }: Context,
): Promise<void> {
  const sim = event.subject?.simId ?? null;
  const at = event.receivedAt;
  await out.value({
    type: 'difference',
    at: isoMoment(at),
    eventId: event.eventId,
    sim,
    present: a,
    next: b,
  });
  await out.line(
    `${showMoment(at)}  ${sim ?? '-'}  ${out.paint.red(`- ${textOf(a)}`)}  ${out.paint.green(`+ ${textOf(b)}`)}`,
  );
}
