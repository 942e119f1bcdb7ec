import type { Command } from 'commander';
import { type Stop, type StopChange, type Switches, stopChangesMax } from '../../../shared/core/controls.ts';
import {
  freeProvider,
  loadHealth,
  loadStopHistory,
  loadSwitches,
  writeSwitches,
} from '../../../shared/store/control-store.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { conflict, misused, notFound } from '../failure.ts';
import { isoMoment, readWhole, showMoment } from '../notation.ts';
import type { OpsWorld } from '../world.ts';
import { readReason } from './actions.ts';

interface StopOptions {
  readonly all: boolean;
  readonly provider?: string;
  readonly rule?: string;
  readonly reason: string;
}

type Target = { readonly kind: 'all' } | { readonly kind: 'provider' | 'rule'; readonly id: string };

/** Races with other operators before this one is told. */
const racesMax = 8;

/** `pause`, `resume` and `stops`. */
export function addStopCommands(program: Command, world: OpsWorld): void {
  addStop(program, world, {
    name: 'pause',
    description: 'Stops buying: everything, a provider, or a rule. Works at the next claim; nothing is lost.',
    example: 'npx simhook pause --provider eiotclub --reason "prices are wrong"',
  });
  addStop(program, world, {
    name: 'resume',
    description:
      'Lets buying go on, within a minute. A provider that stopped itself after refusals is freed too.',
    example: 'npx simhook resume --provider eiotclub --reason "prices mended"',
  });
  addCommand(program, {
    name: 'stops',
    description: 'Shows what is stopped, by whom and why, and who turned the stops before.',
    examples: ['npx simhook stops', 'npx simhook stops --history --json'],
    more: `The latest ${stopChangesMax} changes by hand are kept. A provider that stopped itself is in the log and the alarms.`,
  })
    .option('--history', 'who paused and resumed what, when and why, newest first', false)
    .option('--limit <n>', 'with --history: at most so many', '20')
    .action(async (options: { readonly history: boolean; readonly limit: string }, command: Command) => {
      const context = contextOf(command, world);
      const limit = readWhole('--limit', options.limit, { min: 1, max: stopChangesMax });
      await withConnection(context, (connection) =>
        options.history ? showHistory(connection, limit, context) : showStops(connection, context),
      );
    });
}

function addStop(
  program: Command,
  world: OpsWorld,
  text: { readonly name: 'pause' | 'resume'; readonly description: string; readonly example: string },
): void {
  addCommand(program, { ...text, examples: [text.example] })
    .option('--all', 'everything', false)
    .option('--provider <id>', 'one provider')
    .option('--rule <id>', 'one rule')
    .requiredOption('--reason <text>', 'why')
    .action(async (options: StopOptions, command: Command) => {
      const context = contextOf(command, world);
      const reason = readReason(options.reason);
      const target = readTarget(options);
      await withConnection(context, async (connection) => {
        assertKnown(connection, target, text.name);
        const change = { at: world.clock(), by: context.by, reason };
        const freed = text.name === 'pause' ? 0 : await freeProviders(connection, target, change, context);
        const wasTurned = await turn(connection, target, text.name, change);
        if (!wasTurned && freed === 0) {
          throw conflict(`${nameOf(target)} is not paused; npx simhook stops shows what is`);
        }
        await tell(context, { target, verb: text.name, reason });
      });
    });
}

function readTarget({ all, provider, rule }: StopOptions): Target {
  const given = [all, provider !== undefined, rule !== undefined].filter(Boolean).length;
  if (given !== 1) throw misused('say exactly one of --all, --provider <id> and --rule <id>');
  if (provider !== undefined) return { kind: 'provider', id: provider };
  return rule === undefined ? { kind: 'all' } : { kind: 'rule', id: rule };
}

/** A stop on a misspelt name would stop nothing. A stop of something that is gone can still be taken away. */
function assertKnown(connection: Connection, target: Target, verb: 'pause' | 'resume'): void {
  if (target.kind === 'all' || verb === 'resume') return;
  const { providers, policy } = connection.stage;
  const ids =
    target.kind === 'provider' ? providers.map(({ id }) => id) : policy.rules.map(({ ruleId }) => ruleId);
  if (ids.includes(target.id)) return;
  throw notFound(`the stage has no ${target.kind} "${target.id}"; it has ${ids.join(', ') || 'none'}`);
}

type Signed = Pick<StopChange, 'at' | 'by' | 'reason'>;

/** False when there is nothing to take away. */
async function turn(
  { table }: Connection,
  target: Target,
  verb: 'pause' | 'resume',
  signed: Signed,
): Promise<boolean> {
  const { at, by, reason } = signed;
  const stop: Stop | null = verb === 'pause' ? { since: at, by, reason } : null;
  const did = verb === 'pause' ? 'paused' : 'resumed';
  for (let race = 0; race < racesMax; race++) {
    const current = await loadSwitches(table);
    const next = turned(current.value, target, stop);
    if (next === null) return false;
    const change = { ...signed, did, what: nameOf(target) } as const;
    if ((await writeSwitches(table, current, next, change)) === 'written') return true;
  }
  throw conflict(`the switches were turned by others ${racesMax} times meanwhile: try again`);
}

/** The switches with one of them turned; null when there is nothing to take away. */
export function turned(switches: Switches, target: Target, stop: Stop | null): Switches | null {
  if (target.kind === 'all') {
    return stop === null && switches.all === null ? null : { ...switches, all: stop };
  }
  const name = target.kind === 'provider' ? 'providers' : 'rules';
  const kept = Object.entries(switches[name]).filter(([id]) => id !== target.id);
  if (stop === null && kept.length === Object.keys(switches[name]).length) return null;
  return { ...switches, [name]: Object.fromEntries(stop === null ? kept : [...kept, [target.id, stop]]) };
}

/** Closes the breaker of providers that stopped themselves; says how many. */
async function freeProviders(
  connection: Connection,
  target: Target,
  signed: Signed,
  { out }: Context,
): Promise<number> {
  if (target.kind === 'rule') return 0;
  let count = 0;
  const ids = target.kind === 'all' ? connection.stage.providers.map(({ id }) => id) : [target.id];
  for (const id of ids) {
    const health = await loadHealth(connection.table, id);
    if (health.value.stopped === null) continue;
    const change = { ...signed, did: 'freed', what: `provider ${id}` } as const;
    if ((await freeProvider(connection.table, health, change)) === 'conflict') continue;
    out.note(`${id} had stopped itself (${health.value.stopped.code}) and is free again`);
    count += 1;
  }
  return count;
}

function nameOf(target: Target): string {
  return target.kind === 'all' ? 'everything' : `${target.kind} ${target.id}`;
}

async function tell(
  { out, by }: Context,
  done: { readonly target: Target; readonly verb: 'pause' | 'resume'; readonly reason: string },
): Promise<void> {
  const { target, verb, reason } = done;
  await out.value({ done: verb, target, by, reason });
  const what = verb === 'pause' ? out.paint.yellow('paused') : out.paint.green('resumed');
  const effect = verb === 'pause' ? 'no claim from now on' : 'waiting work goes on within a minute';
  await out.line(`${what}: ${nameOf(target)}, by ${by}: ${reason} (${effect})`);
}

async function showStops(connection: Connection, { out }: Context): Promise<void> {
  const { value } = await loadSwitches(connection.table);
  const rows = listStops(value);
  const breakers = await Promise.all(
    connection.stage.providers.map(async ({ id }) => (await loadHealth(connection.table, id)).value),
  );
  for (const { what, stop } of rows) await out.value({ what, ...stop, since: isoMoment(stop.since) });
  for (const { what, stop } of rows) {
    await out.line(
      `${out.paint.yellow('paused')}  ${what} since ${showMoment(stop.since)} by ${stop.by}: ${stop.reason}`,
    );
  }
  const open = breakers.flatMap(({ provider, stopped }) =>
    stopped === null ? [] : [{ provider, ...stopped }],
  );
  for (const { provider, since, code, retryAt } of open) {
    await out.value({
      what: `breaker of ${provider}`,
      since: isoMoment(since),
      code,
      retryAt: isoMoment(retryAt),
    });
    await out.line(
      `${out.paint.red('breaker')} ${provider} refuses in a row (${code}) since ${showMoment(since)}; tried again ${showMoment(retryAt)}`,
    );
  }
  if (rows.length + open.length === 0) await out.line('nothing is paused');
}

async function showHistory({ table }: Connection, limit: number, { out }: Context): Promise<void> {
  const { value } = await loadStopHistory(table);
  const shown = value.toReversed().slice(0, limit);
  for (const change of shown) await out.value({ ...change, at: isoMoment(change.at) });
  if (shown.length === 0) return out.line('nothing was ever paused or resumed');
  await out.table(
    [{ title: 'when' }, { title: 'who' }, { title: 'did' }, { title: 'what' }, { title: 'why' }],
    shown.map(({ at, by, did, what, reason }) => [showMoment(at), by, did, what, reason]),
  );
}

/** Every stop that is set, widest first. */
export function listStops(switches: Switches): readonly { readonly what: string; readonly stop: Stop }[] {
  return [
    ...(switches.all === null ? [] : [{ what: 'everything', stop: switches.all }]),
    ...Object.entries(switches.providers).map(([id, stop]) => ({ what: `provider ${id}`, stop })),
    ...Object.entries(switches.rules).map(([id, stop]) => ({ what: `rule ${id}`, stop })),
  ];
}
