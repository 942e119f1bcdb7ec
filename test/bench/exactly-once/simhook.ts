import { pollOnce } from '../../../infra/local/queue-poller.ts';
import type { LocalSystem } from '../../../infra/local/system.ts';
import type { Action } from '../../../shared/core/action.ts';
import { epochMs } from '../../../shared/core/time.ts';
import type { HttpLambdaEvent } from '../../../shared/lambda/http-event.ts';
import type { Provider } from '../../../shared/providers/provider.ts';
import { StoreError } from '../../../shared/store/errors.ts';
import type { Change, Table } from '../../../shared/store/table.ts';
import type { CallbackMessage } from '../../provider-simulator/callbacks.ts';
import { csssPathToken, openBenchWorld } from '../local-world.ts';
import {
  type Approach,
  type Case,
  heldCsssOrder,
  openProviderWorld,
  type ProviderWorld,
  type Result,
  type Striker,
  simIds,
  striker,
} from './scenario.ts';

/** How long a lasting fault lasts, and how long the run is watched altogether. */
const faultMin = 60;
const watchedMin = 24 * 60;

/** simhook itself: the real functions and provider clients, faults put in at the seams. */
export const simhook: Approach = {
  name: 'simhook',
  configuration: 'the stage of npm start',
  open: async () => ({ run: runSimhook, close: async () => undefined }),
};

/** Runs one case to its end. The provider's notice of the new order is withheld: simhook has to find out by itself. */
export async function runSimhook(what: Case): Promise<Result> {
  const caught: CallbackMessage[] = [];
  const world = await openProviderWorld(async (message) => {
    caught.push(message);
    return 200;
  });
  const faultEnds = world.clock.now() + faultMin * 60_000;
  const setting: Setting = {
    kind: what.fault,
    fault: striker(what.persistence, () => world.clock.now() >= faultEnds),
    calls: 0,
    died: Promise.withResolvers<void>(),
  };
  const last = new Map<string, Action>();
  const bench = openBenchWorld({
    simulatorUrl: world.url,
    clock: () => epochMs(world.clock.now()),
    wrapTable: (table) => failingTable(table, setting),
    wrapProvider: (provider) => strickenProvider(provider, setting),
    watch: {
      received: () => undefined,
      decided: () => undefined,
      acted: (action) => void last.set(action.actionId, action),
    },
  });
  await cause(what, world, caught, bench.system);
  for (let minute = 0; minute < watchedMin && !isOver(last); minute++) {
    await bench.system.sweep();
    await drain(bench.system, setting);
    world.clock.advance(60_000);
  }
  const purchases = world.purchases(what.provider);
  const result = resultOf(purchases, [...last.values()], setting);
  await Promise.all([bench.close(), world.close()]);
  return result;
}

interface Setting {
  readonly kind: Case['fault'];
  readonly fault: Striker;
  calls: number;
  died: PromiseWithResolvers<void>;
}

/** Lets the provider send the callback that the rule answers, and hands it to receive. */
async function cause(
  what: Case,
  { simulator }: ProviderWorld,
  caught: CallbackMessage[],
  system: LocalSystem,
): Promise<void> {
  simulator.callbacks.setUrl('eiotclub', 'http://127.0.0.1/callbacks/eiotclub');
  simulator.callbacks.setUrl(
    'linksfield-csss',
    `http://127.0.0.1/callbacks/linksfield-csss/${csssPathToken}`,
  );
  if (what.provider === 'eiotclub') {
    const alert = { event: 'FlowAlert', iccid: simIds.eiotclub, alert_type: 1, alert_value: '98.5' };
    simulator.emit('eiotclub', alert);
  } else {
    simulator.expireOrder(heldCsssOrder);
  }
  await simulator.callbacks.settled();
  const [message] = caught;
  if (message === undefined) throw new Error('the simulator sent no callback');
  const answer = await system.handleHttp(toRequest(message));
  if (answer.statusCode !== 200) throw new Error(`the callback was answered ${answer.statusCode}`);
}

export function toRequest(message: CallbackMessage): HttpLambdaEvent {
  const path = new URL(message.url).pathname;
  return {
    version: '2.0',
    rawPath: path,
    headers: { ...message.headers },
    body: message.bodyText,
    isBase64Encoded: false,
    requestContext: { requestId: 'bench', http: { method: 'POST' } },
  };
}

/** The provider's own client, whose paid call goes wrong after the provider has accepted. */
function strickenProvider(provider: Provider, setting: Setting): Provider {
  return {
    ...provider,
    createClient: (deps) => {
      const client = provider.createClient(deps);
      return {
        ...client,
        purchase: async (order, startBy) => {
          setting.calls += 1;
          const outcome = await client.purchase(order, startBy);
          if (setting.kind === 'success-not-written' || !setting.fault.strikes()) return outcome;
          if (setting.kind === 'throws-after-acceptance') throw new Error('the handler broke');
          setting.died.resolve();
          return new Promise(() => undefined);
        },
      };
    },
  };
}

/** Refuses the write that would record a success. */
function failingTable(table: Table, { kind, fault }: Setting): Table {
  if (kind !== 'success-not-written') return table;
  return {
    ...table,
    write: async (changes) => {
      if (changes.some(recordsSuccess) && fault.strikes())
        throw new StoreError('unavailable', 'the store does not answer');
      return table.write(changes);
    },
  };
}

function recordsSuccess(change: Change): boolean {
  return change.kind === 'insert' && change.item.sk === 'TIE';
}

/** Works on the queues until they are empty; a function that the runtime ended is left where it stands. */
async function drain(system: LocalSystem, setting: Setting): Promise<void> {
  for (let turn = 0; turn < 1_000; turn++) {
    const handled = await Promise.all(
      system.sources.map((source) => Promise.race([pollOnce(source), setting.died.promise.then(() => 1)])),
    );
    setting.died = Promise.withResolvers();
    if (handled.every((count) => count === 0)) return;
  }
  throw new Error('the queues do not get empty');
}

function isOver(last: ReadonlyMap<string, Action>): boolean {
  const ends = ['succeeded', 'refused', 'cancelled', 'parked'];
  return last.size > 0 && [...last.values()].every(({ state }) => ends.includes(state.name));
}

function resultOf(purchases: readonly string[], actions: readonly Action[], setting: Setting): Result {
  const known = new Set(
    actions.flatMap(({ state }) => (state.name === 'succeeded' ? [state.providerOrderId] : [])),
  );
  const end = actions.every(({ state }) => state.name === 'succeeded') ? 'succeeded' : 'stuck';
  return {
    purchases: purchases.length,
    recorded: purchases.filter((orderId) => known.has(orderId)).length,
    end: actions.length === 0 ? 'stuck' : end,
    calls: setting.calls,
    struck: setting.fault.struck,
  };
}
