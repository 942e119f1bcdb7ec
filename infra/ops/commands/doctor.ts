import type { Command } from 'commander';
import { before, days, type EpochMs, minutes, seconds } from '../../../shared/core/time.ts';
import type { StageProvider } from '../../../shared/policy/stage.ts';
import type { Admit, OpenClient } from '../../../shared/providers/provider.ts';
import { accountGate } from '../../../shared/store/account-gate.ts';
import { listWaiting } from '../../../shared/store/action-listing.ts';
import { loadHealth, loadSwitches } from '../../../shared/store/control-store.ts';
import { findDueActions, findDueEvents } from '../../../shared/store/due-work.ts';
import type { StoreError } from '../../../shared/store/errors.ts';
import { countEvents } from '../../../shared/store/event-listing.ts';
import { loadReconcileCursor } from '../../../shared/store/reconcile-store.ts';
import { simulatorBaseUrl } from '../../local/load-stage.ts';
import { type RunningReading, readRunning } from '../../local/running-system.ts';
import { addCommand, type Context, contextOf, withConnection } from '../command.ts';
import type { Connection } from '../connect.ts';
import { failed } from '../failure.ts';
import { showMoment, showSpan } from '../notation.ts';
import type { OpsWorld } from '../world.ts';
import { listStops } from './stops.ts';

interface Finding {
  readonly check: string;
  readonly result: 'good' | 'note' | 'bad';
  readonly detail: string;
}

/** `doctor`. */
export function addDoctorCommand(program: Command, world: OpsWorld): void {
  addCommand(program, {
    name: 'doctor',
    description:
      'Checks the stage, the secrets (never their values), queues, sweep, clock, and asks each provider.',
    examples: ['npx simhook doctor', 'npx simhook doctor --no-probe --json'],
    more: 'The exit code is 1 when something is bad; a note alone is no fault.',
  })
    .option('--no-probe', "don't call the providers")
    .action(async (options: { readonly probe: boolean }, command: Command) => {
      const context = contextOf(command, world);
      await withConnection(context, async (connection) => {
        const running: RunningReading =
          context.where.place.kind === 'local' ? readRunning(context.where.data) : { kind: 'none' };
        const findings = await examine(connection, { probe: options.probe, running }, world);
        for (const finding of findings) await print(finding, context);
        const bad = findings.filter(({ result }) => result === 'bad').length;
        if (bad > 0) throw failed(`${bad} of ${findings.length} checks are bad`);
      });
    });
}

async function examine(
  connection: Connection,
  { probe, running }: { readonly probe: boolean; readonly running: RunningReading },
  world: OpsWorld,
): Promise<readonly Finding[]> {
  const now = world.clock();
  return [
    ...stageFindings(connection),
    ...runningFindings(running),
    ...(await secretFindings(connection)),
    ...(await stopFindings(connection)),
    ...(await queueFindings(connection)),
    ...(await workFindings(connection, now)),
    await reconcileFinding(connection, now),
    await clockFinding(connection, now),
    ...(probe ? await probeFindings(connection, running, world) : []),
  ];
}

const good = (check: string, detail: string): Finding => ({ check, result: 'good', detail });
const note = (check: string, detail: string): Finding => ({ check, result: 'note', detail });
const bad = (check: string, detail: string): Finding => ({ check, result: 'bad', detail });

function stageFindings({ stage, label }: Connection): readonly Finding[] {
  const on = stage.policy.rules.filter(({ enabled }) => enabled);
  const uncapped = stage.policy.providers.filter(
    ({ provider, caps }) =>
      caps.dayMinor === null && caps.monthMinor === null && on.some((rule) => rule.provider === provider),
  );
  return [
    good(
      'stage',
      `"${stage.name}", rules ${stage.policy.version}: ${on.length} of ${stage.policy.rules.length} rules are on; ${label}`,
    ),
    ...uncapped.map(({ provider }) =>
      note(
        'caps',
        `${provider} has rules but no cap per day or month: set providers.${provider}.caps.provider`,
      ),
    ),
  ];
}

/** Nothing where no local system is known: it may be a deployed stage, or one that stopped as it should. */
function runningFindings(running: RunningReading): readonly Finding[] {
  switch (running.kind) {
    case 'running': {
      const { pid, url, simulatorUrl } = running.system;
      const simulator = simulatorUrl === null ? 'no simulator' : `the simulator at ${simulatorUrl}`;
      return [good('system', `runs as process ${pid} at ${url}, with ${simulator}`)];
    }
    case 'stale':
      return [
        bad(
          'system',
          `it ended without saying so (process ${running.pid} is gone): start it again with npm start; what was under way is found by its sweep`,
        ),
      ];
    case 'none':
      return [];
    default: {
      const never: never = running;
      throw new Error(`unknown reading: ${JSON.stringify(never)}`);
    }
  }
}

async function secretFindings({ stage, secrets }: Connection): Promise<readonly Finding[]> {
  const found = await Promise.all(
    stage.providers.map(async ({ id, callbacks }): Promise<readonly Finding[]> => {
      const callback = await secrets.read(id, 'callback');
      const api = await secrets.read(id, 'api');
      const token = callback.pathToken === null ? 'no path token' : 'a path token';
      const text = `${id}: ${callback.keys.length} callback and ${api.keys.length} API keys, ${token}`;
      const missing = [
        ...(callback.keys.length === 0 && !callbacks.acceptUnsigned
          ? ['no callback key, so every signed callback is refused']
          : []),
        ...(api.keys.length === 0 ? ['no API key, so nothing can be bought'] : []),
        ...(callbacks.acceptUnsigned && callback.pathToken === null
          ? ['unsigned callbacks are accepted by the stage but there is no path token, so they are refused']
          : []),
      ];
      if (missing.length > 0) return missing.map((why) => bad('secrets', `${id}: ${why}`));
      return [
        callback.keys.length > 1 || api.keys.length > 1
          ? note('secrets', `${text}; a rotation is under way`)
          : good('secrets', text),
      ];
    }),
  );
  return found.flat();
}

async function stopFindings({ table, stage }: Connection): Promise<readonly Finding[]> {
  const { value } = await loadSwitches(table);
  const stops = listStops(value).map(({ what, stop }) =>
    note('stops', `${what} is paused since ${showMoment(stop.since)} by ${stop.by}: ${stop.reason}`),
  );
  const breakers = await Promise.all(
    stage.providers.map(async ({ id }) => (await loadHealth(table, id)).value),
  );
  const open = breakers.flatMap(({ provider, stopped }) =>
    stopped === null
      ? []
      : [
          bad(
            'breaker',
            `${provider} refuses in a row (${stopped.code}) since ${showMoment(stopped.since)}: look at wallet, keys and allow-list, then simhook resume --provider ${provider}`,
          ),
        ],
  );
  return stops.length + open.length === 0
    ? [good('stops', 'nothing is paused, no breaker is open')]
    : [...stops, ...open];
}

async function queueFindings({ queues, deadLetters }: Connection): Promise<readonly Finding[]> {
  const waiting = await Promise.all(
    [...queues].map(async ([name, queue]) => ({ name, ...(await queue.depth()) })),
  );
  const dead = await Promise.all(
    [...deadLetters].map(async ([name, queue]) => ({ name, ...(await queue.depth()) })),
  );
  const text = waiting
    .map(({ name, visible, inFlight }) => `${name} ${visible} (+${inFlight} in work)`)
    .join(', ');
  const letters = dead.filter(({ visible }) => visible > 0);
  return [
    good('queues', text === '' ? 'none named' : text),
    ...(letters.length === 0
      ? [good('dead letters', 'none')]
      : letters.map(({ name, visible }) =>
          bad('dead letters', `${name} has ${visible}: simhook dlq list ${name}`),
        )),
  ];
}

/** Overdue for longer than this means that nobody sweeps: it runs each minute and puts work off two at first. */
const overdueMax = minutes(5);

async function workFindings({ table, stage }: Connection, now: EpochMs): Promise<readonly Finding[]> {
  const late = before(now, overdueMax);
  const unreadable: string[] = [];
  const onUnreadable = (error: StoreError): void => void unreadable.push(error.message.split('\n')[0] ?? '');
  const events = await findDueEvents(table, late, 4, onUnreadable);
  const actions = await Promise.all(
    stage.providers.map(({ id }) => findDueActions(table, id, late, 4, onUnreadable)),
  );
  const oldest = [...events, ...actions.flat()].reduce((age, work) => Math.max(age, now - work.dueAt), 0);
  const waiting = { held: 0, parked: 0 };
  for (const state of ['held', 'parked'] as const) {
    for await (const _row of listWaiting(table, state, onUnreadable)) waiting[state] += 1;
  }
  return [
    ...[...new Set(unreadable)].map((text) => bad('store', text)),
    oldest === 0
      ? good('sweep', `nothing is overdue for more than ${showSpan(overdueMax)}`)
      : bad('sweep', `work is overdue for ${showSpan(oldest)}: is the system running, and its sweep?`),
    waiting.held + waiting.parked === 0
      ? good('waiting', 'no action waits for you')
      : note(
          'waiting',
          `${waiting.held} held and ${waiting.parked} parked actions wait for you: simhook actions --state waiting`,
        ),
  ];
}

/** A pass over many SIMs takes hours within a provider's limits; one that is older than this has stopped. */
const passAgeMax = days(1);

/** Whether reconciliation gets round. It runs each hour; a provider that it never came to the end of is told so. */
async function reconcileFinding({ table, stage }: Connection, now: EpochMs): Promise<Finding> {
  const passes = await Promise.all(
    stage.providers.map(async ({ id }) => ({
      id,
      at: (await loadReconcileCursor(table, id)).value.lastPassAt,
    })),
  );
  const text = passes
    .map(({ id, at }) => `${id} ${at === null ? 'not yet' : `${showSpan(Math.max(0, now - at))} ago`}`)
    .join(', ');
  const late = passes.some(({ at }) => at !== null && now - at > passAgeMax);
  return late
    ? note('reconcile', `last whole pass: ${text}; it runs each hour while the system does`)
    : good('reconcile', `last whole pass: ${text}`);
}

/** A clock that is behind what was stored already was set back, or another machine's is ahead. */
async function clockFinding({ table }: Connection, now: EpochMs): Promise<Finding> {
  const { latest, events } = await countEvents(table, now, 2);
  if (events > 0 && latest > now + minutes(1)) {
    return bad(
      'clock',
      `an event was received ${showSpan(latest - now)} after our present: one of the clocks is wrong`,
    );
  }
  const last =
    events === 0 ? 'no event in two days' : `the last event came ${showSpan(Math.max(0, now - latest))} ago`;
  return good('clock', `${showMoment(now)}; ${last}`);
}

/** The address that the stage of `npm start` has until a simulator takes its place. */
const placeholder = /^https?:\/\/127\.0\.0\.1:1(?:\/|$)/;

async function probeFindings(
  connection: Connection,
  running: RunningReading,
  world: OpsWorld,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const simulatorUrl = running.kind === 'running' ? running.system.simulatorUrl : null;
  for (const stageEntry of connection.stage.providers) {
    const entry = simulatorUrl === null ? stageEntry : aimed(stageEntry, simulatorUrl);
    if (placeholder.test(baseUrlOf(entry))) {
      findings.push(
        note(
          'provider',
          `${entry.id} not asked: the stage has no real address, and no npm start runs with a simulator`,
        ),
      );
      continue;
    }
    findings.push(await probe(entry, connection, world));
  }
  return findings;
}

/** A system that runs with a simulator calls nobody else, whatever its stage says. */
function aimed(entry: StageProvider, simulatorUrl: string): StageProvider {
  const settings = typeof entry.settings === 'object' && entry.settings !== null ? entry.settings : {};
  return { ...entry, settings: { ...settings, baseUrl: simulatorBaseUrl(entry.id, simulatorUrl) } };
}

function baseUrlOf({ settings }: StageProvider): string {
  const found =
    typeof settings === 'object' && settings !== null && 'baseUrl' in settings ? settings.baseUrl : '';
  return typeof found === 'string' ? found : '';
}

async function probe(entry: StageProvider, connection: Connection, world: OpsWorld): Promise<Finding> {
  const gate = patientGate(accountGate(connection.table, entry, world), world);
  const client = openClient(entry, connection, { world, admit: gate.admit });
  try {
    const { ok, detail } = await client.probe();
    if (ok) return good('provider', `${entry.id}: ${detail}`);
    if (gate.refusedFor() !== null)
      return note(
        'provider',
        `${entry.id} not asked, since simhook itself is busy with it: ${gate.refusedFor()}`,
      );
    return bad(
      'provider',
      `${entry.id}: ${detail}; check the address, the keys, and whether the provider only answers allowed addresses`,
    );
  } finally {
    await client.close();
  }
}

/** Waits for a slot of the account this often; the workers take them too. */
const slotTriesMax = 5;
/** All tries together outlast the second that limits count in. */
const slotPauseMs = 500;
/** A day's budget that is used up is not waited for. */
const slotWaitMax = seconds(3);

/** The account's gate, with some patience. `refusedFor`: why no slot was to be had, which is no fault of the provider. */
function patientGate(
  gate: Admit,
  world: OpsWorld,
): { readonly admit: Admit; readonly refusedFor: () => string | null } {
  let why: string | null = null;
  const admit: Admit = async () => {
    for (let tries = 1; ; tries++) {
      const slot = await gate();
      why = slot.ok ? null : slot.why;
      if (slot.ok || tries >= slotTriesMax || slot.retryAfter > slotWaitMax) return slot;
      await world.sleep(Math.max(slotPauseMs, slot.retryAfter));
    }
  };
  return { admit, refusedFor: () => why };
}

function openClient(
  entry: StageProvider,
  connection: Connection,
  { world, admit }: { readonly world: OpsWorld; readonly admit: Admit },
): OpenClient {
  const provider = world.providers.find(({ id }) => id === entry.id);
  if (!provider) throw new Error(`there is no provider ${entry.id}`);
  return provider.createClient({
    settings: entry.settings,
    currency: entry.currency,
    apiSecrets: async () => (await connection.secrets.read(entry.id, 'api')).keys,
    now: world.clock,
    random: world.random,
    callTimeout: entry.profile.callTimeout,
    admit,
  });
}

async function print(finding: Finding, { out }: Context): Promise<void> {
  const { check, result, detail } = finding;
  await out.value(finding);
  const paint = { good: out.paint.green, note: out.paint.yellow, bad: out.paint.red }[result];
  await out.line(`${paint(result)}  ${check.padEnd(13)} ${detail}`);
}
