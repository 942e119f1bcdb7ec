import type { Command } from 'commander';
import { type Action, isOpen } from '../../../shared/core/action.ts';
import { formatMoney } from '../../../shared/core/money.ts';
import { approve, cancel, resolveBought, resolveNotBought, retry } from '../../../shared/core/operator.ts';
import { days } from '../../../shared/core/time.ts';
import { listOpen, listWaiting } from '../../../shared/store/action-listing.ts';
import { listActions } from '../../../shared/store/event-listing.ts';
import type { Versioned } from '../../../shared/store/event-store.ts';
import type { ActionRow } from '../../../shared/store/rows.ts';
import { actionJson, moneyText, paintState, stateText } from '../action-view.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { readRange } from '../event-filter.ts';
import { failed, misused } from '../failure.ts';
import { readMoney, readWhole, showMoment } from '../notation.ts';
import { needAction, operate, orderAgain, type Wish } from '../operate-action.ts';
import type { OpsWorld } from '../world.ts';

const stateNames = [
  'planned',
  'held',
  'running',
  'unknown',
  'verifying',
  'parked',
  'succeeded',
  'refused',
  'cancelled',
] as const;

interface ActionsOptions {
  readonly state?: string;
  readonly provider?: string;
  readonly rule?: string;
  readonly sim?: string;
  readonly since?: string;
  readonly until?: string;
  readonly limit: string;
}

/** `actions` and `action …`. */
export function addActionCommands(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'actions',
    description: 'Lists actions: those that wait for you first of all.',
    examples: [
      'npx simhook actions --state parked',
      'npx simhook actions --since 7d --rule renew-low-data --json',
    ],
  })
    .option('--state <state>', `open, waiting (held or parked), or one of ${stateNames.join(', ')}`)
    .option('--provider <id>', 'only of this provider')
    .option('--rule <id>', 'only of this rule')
    .option('--sim <id>', 'only of SIMs whose number has these digits')
    .option('--since <time>', 'planned since then; default: 7d, or any time for what is open or waits')
    .option('--until <time>', 'planned up to then')
    .option('--limit <n>', 'at most so many', '50')
    .action(async (options: ActionsOptions, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, (connection) => list(connection, options, context));
    });
  addOneActionCommands(
    program.command('action').description('One action: look, approve, cancel, retry, resolve, buy again.'),
    world,
  );
}

function addOneActionCommands(group: Command, world: OpsWorld): void {
  addCommand(group, {
    name: 'show',
    description: 'Shows one action: what it buys, where it stands, its tries, its money, what operators did.',
    examples: ['npx simhook action show act_0123456789abcdef0123456789abcdef'],
  })
    .argument('<action-id>')
    .action(async (actionId: string, _options: object, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, async (connection) =>
        showAction(await needAction(connection, actionId), context),
      );
    });
  addWish(group, world, {
    name: 'approve',
    did: 'approved',
    description: 'Lets a held action go on.',
    judge: () => approve,
  });
  addWish(group, world, {
    name: 'cancel',
    did: 'cancelled',
    description: 'Ends an action that has certainly bought nothing.',
    judge: (reason) => (input) => cancel(input, reason),
  });
  addWish(group, world, {
    name: 'retry',
    did: 'retried',
    description: 'Plans a parked action that bought nothing anew.',
    judge: () => retry,
  });
  addResolve(group, world);
  addBuyAgain(group, world);
}

function addWish(
  group: Command,
  world: OpsWorld,
  wish: Pick<Wish, 'did'> & {
    readonly name: string;
    readonly description: string;
    readonly judge: (reason: string) => Wish['judge'];
  },
): void {
  addCommand(group, {
    name: wish.name,
    description: wish.description,
    examples: [
      `npx simhook action ${wish.name} act_0123456789abcdef0123456789abcdef --reason "checked with the customer"`,
    ],
  })
    .argument('<action-id>')
    .requiredOption('--reason <text>', 'why; kept with the action')
    .action(async (actionId: string, options: { readonly reason: string }, command: Command) => {
      const reason = readReason(options.reason);
      await carryOut(
        { actionId, did: wish.did, reason, judge: () => wish.judge(reason) },
        contextOf(command, world),
      );
    });
}

interface ResolveOptions {
  readonly reason: string;
  readonly bought?: string;
  readonly charge?: string;
  readonly notBought: boolean;
}

function addResolve(group: Command, world: OpsWorld): void {
  addCommand(group, {
    name: 'resolve',
    description: "Tells what the provider's own records say of a parked action whose purchase may exist.",
    examples: [
      'npx simhook action resolve act_0123456789abcdef0123456789abcdef --bought 20261122001 --charge "5.00 USD" --reason "found in the console"',
      'npx simhook action resolve act_0123456789abcdef0123456789abcdef --not-bought --reason "no such order in the console"',
    ],
    more: 'After --not-bought the action stays parked, free of its reservation: retry or cancel it.',
  })
    .argument('<action-id>')
    .requiredOption('--reason <text>', 'how you know; kept with the action')
    .option('--bought <order-id>', "the provider's order number")
    .option('--charge <amount>', 'what it cost; without it the most that it may have cost is booked')
    .option('--not-bought', 'the provider has no such order', false)
    .action(async (actionId: string, options: ResolveOptions, command: Command) => {
      const context = contextOf(command, world);
      const reason = readReason(options.reason);
      const { bought, notBought } = options;
      if ((bought === undefined) === !notBought)
        throw misused('say either --bought <order-id> or --not-bought');
      if (notBought && options.charge !== undefined) throw misused('--charge goes with --bought only');
      if (bought !== undefined && !/^[\w.:-]{1,64}$/.test(bought)) {
        throw misused(
          `--bought is "${bought.slice(0, 70)}", but an order number has 1 to 64 letters, digits, dots, colons or hyphens`,
        );
      }
      const charge = options.charge === undefined ? null : readMoney('--charge', options.charge);
      const did = bought === undefined ? 'resolved as not bought' : `resolved as bought: ${bought}`;
      const judge =
        (connection: Connection): Wish['judge'] =>
        (input) => {
          const timing = timingOf(connection, input.action);
          return bought === undefined
            ? resolveNotBought(input, reason, timing)
            : resolveBought(input, { providerOrderId: bought, charge }, timing);
        };
      await carryOut({ actionId, did, reason, judge }, context);
    });
}

function addBuyAgain(group: Command, world: OpsWorld): void {
  addCommand(group, {
    name: 'buy-again',
    description: 'Makes a deliberate second purchase of an action that is over. SPENDS MONEY.',
    examples: [
      'npx simhook action buy-again act_0123456789abcdef0123456789abcdef --reason "customer asked for a second package"',
    ],
    more: `What the rule says now is bought, as the next generation of the action, under the caps and one at a time for each
SIM. The cool-down is not asked, and begins anew. The same line again buys nothing: to buy a third, name the second.
A parked action is no case for this: resolve it, or retry it.`,
  })
    .argument('<action-id>')
    .requiredOption('--reason <text>', 'why; kept with both actions')
    .action(async (actionId: string, options: { readonly reason: string }, command: Command) => {
      const context = contextOf(command, world);
      const reason = readReason(options.reason);
      await withConnection(context, async (connection) => {
        const wish = { actionId, by: context.by, reason };
        const { actionId: next } = await orderAgain(connection, wish, world.clock());
        const { value } = await needAction(connection, next);
        const { action } = value;
        const { out } = context;
        await out.value(actionJson(value));
        await out.line(
          `${out.paint.yellow('buying again')}: ${next}, ${action.kind} ${JSON.stringify(action.plan)} for ${action.subject.simId}, at most ${formatMoney(action.maxCost)}`,
        );
        await out.line(`noted: ${context.by}, ${reason}`);
      });
    });
}

function timingOf(connection: Connection, action: Action) {
  const provider = connection.stage.providers.find(({ id }) => id === action.subject.provider);
  if (provider) return provider.profile;
  throw failed(
    `the stage has no provider ${action.subject.provider}, so its times are not known: name the stage that ran it with --stage-file`,
  );
}

/** Longest reason that is kept whole. */
const reasonMax = 500;

/** A reason that says something; throws OpsError `usage`. */
export function readReason(text: string): string {
  const reason = text.trim();
  if (reason.length >= 3 && reason.length <= reasonMax) return reason;
  throw misused(`--reason has ${reason.length} characters, but it must say why in 3 to ${reasonMax}`);
}

async function carryOut(
  wish: Omit<Wish, 'by' | 'judge'> & { readonly judge: (connection: Connection) => Wish['judge'] },
  context: Context,
): Promise<void> {
  await withConnection(context, async (connection) => {
    const judged: Wish = { ...wish, by: context.by, judge: wish.judge(connection) };
    await operate(connection, judged, context.world.clock());
    const row = await needAction(connection, wish.actionId);
    const { out } = context;
    await out.value(actionJson(row.value));
    await out.line(
      `${wish.did}: ${wish.actionId} is ${paintState(row.value.action.state.name, out.paint)}, ${stateText(row.value.action.state)}`,
    );
    await out.line(`noted: ${context.by}, ${wish.reason}`);
  });
}

// ---- looking ----

async function list(connection: Connection, options: ActionsOptions, context: Context): Promise<void> {
  const { out, world } = context;
  const limit = readWhole('--limit', options.limit, { min: 1, max: 1_000_000 });
  const shown: ActionRow[] = [];
  let found = 0;
  for await (const { value } of chosen(connection, options, context)) {
    if (!fits(value.action, options)) continue;
    if (found === limit) {
      out.note(`there are more: narrow the choice, or raise --limit (${limit})`);
      break;
    }
    found += 1;
    if (out.json) await out.value(actionJson(value));
    else shown.push(value);
    if (world.signal.aborted) break;
  }
  if (found === 0)
    return out.note(
      `no actions${options.state === undefined ? '' : ` that are ${options.state}`} in this choice`,
    );
  await out.table(
    columns,
    shown.map((row) => cellsOf(row, context)),
  );
}

/** Reads what waits or is open from its own index, and everything else by time. */
async function* chosen(
  connection: Connection,
  options: ActionsOptions,
  { world }: Context,
): AsyncGenerator<Versioned<ActionRow>> {
  const { state } = options;
  if (state !== undefined && !['open', 'waiting', ...stateNames].includes(state)) {
    throw misused(`--state is "${state}", but it must be open, waiting or one of ${stateNames.join(', ')}`);
  }
  const { table, stage, onUnreadable } = connection;
  const range = readRange(options, world.clock(), days(7));
  const timed = options.since !== undefined || options.until !== undefined;
  const indexed = state === 'held' || state === 'parked' || state === 'waiting' || state === 'open';
  if (timed || !indexed) {
    for await (const row of listActions(table, range, 'newest-first', onUnreadable)) {
      if (isOfState(row.value.action, state ?? null)) yield row;
    }
    return;
  }
  if (state !== 'parked') yield* listWaiting(table, 'held', onUnreadable);
  if (state === 'parked' || state === 'waiting') yield* listWaiting(table, 'parked', onUnreadable);
  if (state === 'open')
    yield* listOpen(
      table,
      stage.providers.map(({ id }) => id),
      onUnreadable,
    );
}

function isOfState({ state }: Action, wanted: string | null): boolean {
  if (wanted === null) return true;
  if (wanted === 'open') return isOpen(state);
  if (wanted === 'waiting') return state.name === 'held' || state.name === 'parked';
  return state.name === wanted;
}

function fits(action: Action, options: ActionsOptions): boolean {
  return (
    (options.provider === undefined || action.subject.provider === options.provider) &&
    (options.rule === undefined || action.ruleId === options.rule) &&
    (options.sim === undefined || action.subject.simId.includes(options.sim))
  );
}

const columns = [
  { title: 'planned' },
  { title: 'action' },
  { title: 'state' },
  { title: 'kind' },
  { title: 'SIM' },
  { title: 'rule' },
  { title: 'money', align: 'right' as const },
  { title: 'why' },
];

function cellsOf({ action }: ActionRow, { out }: Context): readonly string[] {
  return [
    showMoment(action.createdAt),
    action.actionId,
    paintState(action.state.name, out.paint),
    action.kind,
    action.subject.simId,
    action.ruleId,
    moneyText(action),
    stateText(action.state),
  ];
}

async function showAction({ value }: Versioned<ActionRow>, { out }: Context): Promise<void> {
  const { action, notes } = value;
  await out.value(actionJson(value));
  const rows: readonly (readonly [string, string])[] = [
    ['action', action.actionId],
    [
      'buys',
      `${action.kind} for ${action.subject.simId} at ${action.subject.provider}: ${JSON.stringify(action.plan)}`,
    ],
    [
      'state',
      `${paintState(action.state.name, out.paint)} since ${showMoment(action.stateSince)}: ${stateText(action.state)}`,
    ],
    ['money', `${moneyText(action)}; the rule allows ${formatMoney(action.maxCost)}`],
    ['rule', `${action.ruleId}, rules ${action.policyVersion}`],
    ['because of', action.eventId],
    [
      'reference',
      `${action.reference}${action.targetOrderId === null ? '' : `, extends order ${action.targetOrderId}`}`,
    ],
    [
      'planned',
      `${showMoment(action.createdAt)}${action.generation > 1 ? `, generation ${action.generation}` : ''}`,
    ],
    ['tries', `${action.attempts} paid, ${action.attemptsBurned} of them failed`],
  ];
  for (const [name, text] of rows) await out.line(`${out.paint.bold(name.padEnd(12))}${text}`);
  for (const line of historyLines(value)) await out.line(line);
  if (notes.length > 0) await out.line(`\n${out.paint.bold('operators')}`);
  for (const note of notes)
    await out.line(`  ${showMoment(note.at)}  ${note.by} ${note.did}: ${note.reason}`);
}

function historyLines({ action }: ActionRow): readonly string[] {
  const tries = action.attemptLog.map(
    ({ attemptNo, kind, startedAt, endedAt, result, detail }) =>
      `  ${showMoment(startedAt)}  ${kind} ${attemptNo}: ${result ?? 'no answer known'}${detail === '' ? '' : ` (${detail})`}${endedAt === null ? '' : `, ${endedAt - startedAt} ms`}`,
  );
  const bookings = action.ledger.map(
    ({ kind, amount, at, estimated, note }) =>
      `  ${showMoment(at)}  ${kind.padEnd(8)} ${formatMoney(amount)}${estimated ? ' (estimated)' : ''}  ${note}`,
  );
  return [
    ...(tries.length > 0 ? ['', 'tries', ...tries] : []),
    ...(bookings.length > 0 ? ['', 'money', ...bookings] : []),
  ];
}
