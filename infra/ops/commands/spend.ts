import type { Command } from 'commander';
import type { Action } from '../../../shared/core/action.ts';
import { formatMoney, type Money } from '../../../shared/core/money.ts';
import { purchaseRetry } from '../../../shared/core/retry.ts';
import { before, days, utcDay, utcMonth } from '../../../shared/core/time.ts';
import { loadCapSums } from '../../../shared/store/action-store.ts';
import { listActions, type TimeRange } from '../../../shared/store/event-listing.ts';
import type { ActionRow } from '../../../shared/store/rows.ts';
import { moneyJson } from '../action-view.ts';
import { bar, percent } from '../bar-chart.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { readRange } from '../event-filter.ts';
import { startProgress } from '../progress.ts';
import type { OpsWorld } from '../world.ts';

interface SpendOptions {
  readonly since?: string;
  readonly until?: string;
  readonly provider?: string;
  readonly rule?: string;
}

/** `spend`. */
export function addSpendCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'spend',
    description: 'What was charged by day, provider and rule, and how full the caps are.',
    examples: ['npx simhook spend --since 7d', 'npx simhook spend --rule renew-low-data --json'],
    more: 'Days and months are those of UTC. What is reserved counts against the caps until the purchase is settled.',
  })
    .option('--since <time>', 'from then on', '7d')
    .option('--until <time>', 'up to then', 'now')
    .option('--provider <id>', 'only of this provider')
    .option('--rule <id>', 'only of this rule')
    .action(async (options: SpendOptions, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, async (connection) => {
        const range = readRange(options, world.clock(), days(7));
        await showSpend(await collect(connection, { options, range }, context), context);
        await showCaps(connection, options, context);
      });
    });
}

interface SpendRow {
  readonly day: string;
  readonly provider: string;
  readonly ruleId: string;
  readonly currency: string;
  purchases: number;
  chargedMinor: number;
  refundedMinor: number;
}

/**
 * Sums the ledger by day. A charge may be booked days after the action was planned, so actions are read from further
 * back: an action lives `giveUpAfter` before its last claim, and a parked one until a human has looked.
 */
async function collect(
  { table, onUnreadable }: Connection,
  wanted: { readonly options: SpendOptions; readonly range: TimeRange },
  { world }: Context,
): Promise<readonly SpendRow[]> {
  const { range, options } = wanted;
  const rows = new Map<string, SpendRow>();
  const back = { from: before(range.from, days(30 + purchaseRetry.giveUpAfter / 86_400_000)), to: range.to };
  const progress = startProgress(world, 'adding up');
  let read = 0;
  for await (const { value } of listActions(table, back, 'oldest-first', onUnreadable)) {
    if (world.signal.aborted) break;
    read += 1;
    progress.at(read, { at: value.action.createdAt, to: range.to });
    const { action } = value;
    if (options.provider !== undefined && action.subject.provider !== options.provider) continue;
    if (options.rule !== undefined && action.ruleId !== options.rule) continue;
    addBookings(rows, value, range);
  }
  progress.end();
  return [...rows.values()].toSorted((a, b) =>
    `${a.day}${a.provider}${a.ruleId}` < `${b.day}${b.provider}${b.ruleId}` ? -1 : 1,
  );
}

function addBookings(rows: Map<string, SpendRow>, { action }: ActionRow, range: TimeRange): void {
  let reserved = false;
  for (const { kind, at, amount } of action.ledger) {
    // A charge without a reservation before it corrects the price of a purchase; it is none itself.
    const isPurchase = kind === 'charged' && reserved;
    if (kind === 'reserved') reserved = true;
    if (kind === 'released' || kind === 'charged') reserved = false;
    if (at < range.from || at > range.to || kind === 'reserved' || kind === 'released') continue;
    const row = rowFor(rows, action, { day: utcDay(at), currency: amount.currency });
    if (isPurchase) row.purchases += 1;
    if (kind === 'charged') row.chargedMinor += amount.amountMinor;
    if (kind === 'corrected') row.chargedMinor -= amount.amountMinor;
    if (kind === 'refunded') row.refundedMinor += amount.amountMinor;
  }
}

function rowFor(
  rows: Map<string, SpendRow>,
  action: Action,
  at: { readonly day: string; readonly currency: string },
): SpendRow {
  const { ruleId } = action;
  const { provider } = action.subject;
  const key = `${at.day} ${provider} ${ruleId} ${at.currency}`;
  const row = rows.get(key) ?? {
    ...at,
    provider,
    ruleId,
    purchases: 0,
    chargedMinor: 0,
    refundedMinor: 0,
  };
  rows.set(key, row);
  return row;
}

async function showSpend(rows: readonly SpendRow[], { out }: Context): Promise<void> {
  const amount = (amountMinor: number, currency: string): Money => ({ amountMinor, currency });
  for (const { chargedMinor, refundedMinor, currency, ...row } of rows) {
    await out.value({
      type: 'spend',
      ...row,
      charged: moneyJson(amount(chargedMinor, currency)),
      refunded: moneyJson(amount(refundedMinor, currency)),
    });
  }
  if (rows.length === 0) return out.note('nothing was charged in this range');
  const most = new Map<string, number>();
  for (const { currency, chargedMinor } of rows)
    most.set(currency, Math.max(most.get(currency) ?? 1, chargedMinor));
  await out.table(
    [
      { title: 'day' },
      { title: 'provider' },
      { title: 'rule' },
      { title: 'bought', align: 'right' },
      { title: 'charged', align: 'right' },
      { title: '' },
      { title: 'refunded', align: 'right' },
    ],
    rows.map((row) => [
      row.day,
      row.provider,
      row.ruleId,
      String(row.purchases),
      formatMoney(amount(row.chargedMinor, row.currency)),
      out.paint.cyan(bar(row.chargedMinor / (most.get(row.currency) ?? 1), 24)),
      row.refundedMinor === 0 ? '' : formatMoney(amount(row.refundedMinor, row.currency)),
    ]),
  );
}

interface CapRow {
  readonly who: string;
  readonly period: string;
  readonly usedMinor: number;
  readonly atMostMinor: number | null;
  readonly currency: string;
}

async function showCaps(
  connection: Connection,
  options: SpendOptions,
  { out, world }: Context,
): Promise<void> {
  const now = world.clock();
  const rows: CapRow[] = [];
  for (const provider of connection.stage.policy.providers) {
    if (options.provider !== undefined && provider.provider !== options.provider) continue;
    const rules = connection.stage.policy.rules.filter((rule) => rule.provider === provider.provider);
    for (const [period, member] of [
      [utcDay(now), 'dayMinor'],
      [utcMonth(now), 'monthMinor'],
    ] as const) {
      const sums = await loadCapSums(connection.table, provider.provider, period);
      const base = { period, currency: provider.currency };
      rows.push({
        ...base,
        who: provider.provider,
        usedMinor: sums.total ?? 0,
        atMostMinor: provider.caps[member],
      });
      for (const { ruleId, caps } of rules) {
        if (options.rule !== undefined && ruleId !== options.rule) continue;
        rows.push({
          ...base,
          who: `rule ${ruleId}`,
          usedMinor: sums[`rule:${ruleId}`] ?? 0,
          atMostMinor: caps[member],
        });
      }
    }
  }
  for (const row of rows) await out.value({ type: 'cap', ...row });
  const telling = rows.filter(({ usedMinor, atMostMinor }) => usedMinor !== 0 || atMostMinor !== null);
  if (telling.length === 0) return;
  await out.line(`\n${out.paint.bold('caps')} (charged and reserved)`);
  await out.table(
    [
      { title: 'whose' },
      { title: 'period' },
      { title: 'used', align: 'right' },
      { title: 'cap', align: 'right' },
      { title: '' },
      { title: '' },
    ],
    telling.map((row) => capCells(row, out)),
  );
}

function capCells(
  { who, period, usedMinor, atMostMinor, currency }: CapRow,
  out: Context['out'],
): readonly string[] {
  const used = formatMoney({ amountMinor: Math.max(0, usedMinor), currency });
  if (atMostMinor === null) return [who, period, used, 'none', '', ''];
  const share = atMostMinor === 0 ? 1 : usedMinor / atMostMinor;
  const paint = share >= 0.9 ? out.paint.red : share >= 0.7 ? out.paint.yellow : out.paint.green;
  return [
    who,
    period,
    used,
    formatMoney({ amountMinor: atMostMinor, currency }),
    paint(bar(share, 20)),
    percent(share),
  ];
}
